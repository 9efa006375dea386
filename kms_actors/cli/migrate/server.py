"""One of the two servers, as a token sees it: a connection for each thread, tried again while it is busy."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import partial
from typing import Any, Final, NamedTuple
from urllib.parse import quote, urlencode

import msgspec

from kms_actors.cli.sender import AGAIN, RequestFailed, Sender, in_one_line
from kms_actors.secret import SecretBytes

#: Times that one request is sent.
ATTEMPTS: Final = 8
#: Times that it is sent where the answer is only whether there is a server.
_ONCE_MORE: Final = 2
#: Vault answers 412 where it is behind, proxies 502 where nobody is.
_AGAIN: Final = AGAIN | {412, 502}
#: Statuses from here on are of a server that can do nothing.
_OUT_OF_ORDER: Final = 500
#: Statuses of who may not see what there is.
_REFUSED: Final = frozenset({401, 403})
_OTHER: Final = "an answer that is none of this API"
#: Each number comes and goes with all of its digits.
_DECODER: Final = msgspec.json.Decoder(float_hook=Decimal)
_ENCODER: Final = msgspec.json.Encoder(decimal_format="number")


class ServerFailed(Exception):
    """A server refused a request that it should have taken, or did not answer."""


class ServerGone(ServerFailed):
    """A server answers nothing any more, not even which mounts it has: what else there is to do would fail, too."""


class Answer(NamedTuple):
    """What came of a request."""

    status: int
    data: Any
    errors: str

    @property
    def good(self) -> bool:
        return self.status in (200, 204) and not self.errors

    @property
    def why(self) -> str:
        """What is told of a failure."""
        return f"{self.status} {self.errors}".strip()


class Server:
    """Each thread has a connection of its own."""

    def __init__(
        self,
        address: str,
        token: SecretBytes,
        sleep: Callable[[float], None] = time.sleep,
        *,
        own: bool = True,
        namespace: str = "",
    ) -> None:
        """Connect to nothing yet; `own` and `namespace`: see `Sender`. Raises InvalidRequest if `address` is none."""
        self.address = address
        self.own = own
        self._make = partial(
            Sender, address, token, attempts=ATTEMPTS, again=_AGAIN, sleep=sleep, own=own, namespace=namespace
        )
        self._gone = ""
        self._local = threading.local()
        self._opened = [self._make()]
        self._local.sender = self._opened[0]

    def close(self) -> None:
        """Close the connections of all threads, which must have ended."""
        for sender in self._opened:
            sender.close()

    def reach(self) -> None:
        """Raise ServerFailed where no server is, or shows the token no mounts: all would seem to be empty."""
        first = self._make(attempts=_ONCE_MORE)
        try:
            answer = _answer(*first.send("GET", f"{first.root}sys/mounts"))
        except RequestFailed as failure:
            raise ServerFailed(str(failure)) from None
        finally:
            first.close()
        if not answer.good or answer.data is None:
            why = answer.why if answer.errors else "no mounts are shown to this token"
            raise ServerFailed(f"{first.server}: sys/mounts: {why}")

    def read(self, path: str, **query: object) -> Any:
        """Return what is at a path; None if there is nothing. Raises ServerFailed."""
        answer = self.ask("GET", path, query=query)
        if answer.status in {204, 404}:
            return None
        if not answer.good:
            raise ServerFailed(f"{path}: {answer.why}")
        if answer.data is None:  # as of another service: it does not say that there is nothing
            raise ServerFailed(f"{path}: {_OTHER}")
        return answer.data

    def names(self, path: str) -> list[str]:
        """Return the names in a folder. Raises ServerFailed."""
        found = self.read(path, list="true")
        return [] if found is None else list(found["keys"])

    def names_if_any(self, path: str) -> list[str]:
        """Return the names in a folder; none where the server has no such thing. Raises ServerFailed."""
        answer = self.ask("GET", path, query={"list": "true"})
        if answer.status in _REFUSED:
            raise ServerFailed(f"{path}: {answer.why}")
        return list(answer.data["keys"]) if answer.good and answer.data else []

    def may_name(self, path: str) -> list[str]:
        """Return the names in a folder; none where there is no such thing, or the token may not know."""
        answer = self.ask("GET", path, query={"list": "true"})
        return list(answer.data["keys"]) if answer.good and answer.data else []

    def write(self, path: str, body: Mapping[str, Any]) -> Any:
        """Write; raises ServerFailed."""
        answer = self.ask("POST", path, body)
        if not answer.good:
            raise ServerFailed(f"{path}: {answer.why}")
        return answer.data

    def ask(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, query: Mapping[str, object] | None = None
    ) -> Answer:
        """Send a request; all that is sent here may be sent twice.

        Raises ServerFailed where no answer comes, and ServerGone where none comes to other requests either.
        """
        if self._gone:  # what another thread has found
            raise ServerGone(self._gone)
        sender = self._sender()
        target = sender.root + quote(path, safe="/") + (f"?{urlencode(query)}" if query else "")
        try:
            return _answer(*sender.send(method, target, None if body is None else _ENCODER.encode(body)))
        except RequestFailed as failure:
            if self._answers():
                raise ServerFailed(str(failure)) from None
            self._gone = str(failure)
            raise ServerGone(self._gone) from None

    def _answers(self) -> bool:
        """Tell whether the server has an answer to something: one request of many may break it."""
        other = self._make(attempts=_ONCE_MORE)
        try:
            status, _ = other.send("GET", f"{other.root}sys/mounts")
        except RequestFailed:
            return False
        finally:
            other.close()
        return status < _OUT_OF_ORDER

    def _sender(self) -> Sender:
        sender: Sender | None = getattr(self._local, "sender", None)
        if sender is None:
            sender = self._local.sender = self._make()
            self._opened.append(sender)
        return sender


def _answer(status: int, raw: bytes) -> Answer:
    try:
        body = _DECODER.decode(raw) if raw else {}
        return Answer(status, body.get("data"), in_one_line(body.get("errors") or ()))
    except (ValueError, AttributeError, TypeError):
        return Answer(status, None, _OTHER)
