"""One of the two servers, as a token sees it: a connection for each thread, tried again while it is busy."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, NamedTuple
from urllib.parse import quote, urlencode

from kms_actors.cli.sender import AGAIN, RequestFailed, Sender
from kms_actors.secret import SecretBytes

#: Times that one request is sent.
ATTEMPTS: Final = 8
#: Vault answers 412 where it is behind, proxies 502 where nobody is.
_AGAIN: Final = AGAIN | {412, 502}


class ServerFailed(Exception):
    """A server refused a request that it should have taken, or did not answer."""


class Answer(NamedTuple):
    """What came of a request."""

    status: int
    data: Any
    errors: str

    @property
    def good(self) -> bool:
        return self.status in (200, 204)

    @property
    def why(self) -> str:
        """What is told of a failure."""
        return f"{self.status} {self.errors}".strip()


class Server:
    """Each thread has a connection of its own."""

    def __init__(
        self, address: str, token: SecretBytes, sleep: Callable[[float], None] = time.sleep, *, own: bool = True
    ) -> None:
        """Connect to nothing yet; `own`: see `Sender`. Raises InvalidRequest if `address` is no http(s) address."""
        self.address = address
        self._make = partial(Sender, address, token, attempts=ATTEMPTS, again=_AGAIN, sleep=sleep, own=own)
        self._local = threading.local()
        self._opened = [self._make()]
        self._local.sender = self._opened[0]

    def close(self) -> None:
        """Close the connections of all threads, which must have ended."""
        for sender in self._opened:
            sender.close()

    def read(self, path: str, **query: object) -> Any:
        """Return what is at a path; None if there is nothing. Raises ServerFailed."""
        answer = self.ask("GET", path, query=query)
        if answer.status == 404:
            return None
        if not answer.good:
            raise ServerFailed(f"{path}: {answer.why}")
        return answer.data

    def names(self, path: str) -> list[str]:
        """Return the names in a folder."""
        found = self.read(path, list="true")
        return [] if found is None else list(found["keys"])

    def write(self, path: str, body: Mapping[str, Any]) -> Any:
        """Write; raises ServerFailed."""
        answer = self.ask("POST", path, body)
        if not answer.good:
            raise ServerFailed(f"{path}: {answer.why}")
        return answer.data

    def ask(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, query: Mapping[str, object] | None = None
    ) -> Answer:
        """Send a request; raises ServerFailed where no answer comes. All that is sent here may be sent twice."""
        sender = self._sender()
        target = sender.root + quote(path, safe="/") + (f"?{urlencode(query)}" if query else "")
        try:
            return _answer(*sender.send(method, target, None if body is None else json.dumps(body).encode()))
        except RequestFailed as failure:
            raise ServerFailed(str(failure)) from None

    def _sender(self) -> Sender:
        sender: Sender | None = getattr(self._local, "sender", None)
        if sender is None:
            sender = self._local.sender = self._make()
            self._opened.append(sender)
        return sender


def _answer(status: int, raw: bytes) -> Answer:
    try:
        body = json.loads(raw) if raw else {}
        return Answer(status, body.get("data"), "; ".join(map(str, body.get("errors") or ())))
    except (ValueError, AttributeError, TypeError):
        return Answer(status, None, "an answer that is none of this API")
