"""One of the two servers, as a token sees it: a connection for each thread, tried again while it is busy."""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any, Final, NamedTuple
from urllib.parse import quote, urlencode, urlsplit

from kms_actors.errors import InvalidRequest
from kms_actors.secret import SecretBytes

#: Times that one request is sent.
ATTEMPTS: Final = 8
#: Seconds waited at most between two of them.
MAX_WAIT: Final = 15
_TIMEOUT: Final = 60.0
_AGAIN: Final = frozenset({412, 429, 502, 503})


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
    """Redirects are not followed: they would take the token elsewhere."""

    def __init__(self, address: str, token: SecretBytes, sleep: Callable[[float], None] = time.sleep) -> None:
        """Connect to nothing yet. Raises InvalidRequest if `address` is no http(s) address."""
        parts = urlsplit(address)
        if not parts.hostname or parts.scheme not in ("http", "https"):
            raise InvalidRequest("an address is like https://kms.example:8202")
        self.address = address
        self._host, self._port, self._tls = parts.hostname, parts.port, parts.scheme == "https"
        self._base = f"{parts.path.rstrip('/')}/v1/"
        self._headers = {
            "X-Vault-Token": token.reveal().decode("ascii"),
            "X-Vault-Request": "true",
            "Content-Type": "application/json",
        }
        self._sleep = sleep
        self._local = threading.local()
        self._opened: list[HTTPConnection] = []

    def close(self) -> None:
        """Close the connections of all threads, which must have ended."""
        for connection in self._opened:
            connection.close()

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
        target = self._base + quote(path, safe="/") + (f"?{urlencode(query)}" if query else "")
        content = None if body is None else json.dumps(body).encode()
        failure = ""
        for attempt in range(ATTEMPTS):
            if attempt:
                self._sleep(min(0.2 * (1 << attempt), MAX_WAIT))
            connection = self._connection()
            try:
                connection.request(method, target, content, self._headers)
                response = connection.getresponse()
                raw = response.read()
            except (OSError, HTTPException) as error:
                connection.close()
                failure = type(error).__name__
                continue
            answer = _answer(response.status, raw)
            if answer.status not in _AGAIN:
                return answer
            failure = answer.why
        raise ServerFailed(f"{self.address}: {failure} ({ATTEMPTS} attempts)")

    def _connection(self) -> HTTPConnection:
        connection: HTTPConnection | None = getattr(self._local, "connection", None)
        if connection is None:
            if self._tls:
                context = ssl.create_default_context()
                connection = HTTPSConnection(self._host, self._port, timeout=_TIMEOUT, context=context)
            else:
                connection = HTTPConnection(self._host, self._port, timeout=_TIMEOUT)
            self._local.connection = connection
            self._opened.append(connection)
        return connection


def _answer(status: int, raw: bytes) -> Answer:
    try:
        body = json.loads(raw) if raw else {}
        return Answer(status, body.get("data"), "; ".join(map(str, body.get("errors") or ())))
    except (ValueError, AttributeError, TypeError):
        return Answer(status, None, "an answer that is none of this API")
