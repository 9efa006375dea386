"""Two servers asked the same: a node of this project and a reference server, each by one connection that is kept."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import urlsplit

TIMEOUT = 60.0


class Answer(NamedTuple):
    """A status, and of the body what can be compared: data, errors, warnings, seconds of a lease, what is given."""

    status: int
    data: Any = None
    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    lease_duration: int = 0
    auth: Any = None


#: Of a request that breaks what answers it.
BROKEN = Answer(500, None, ("no answer",))


@dataclass
class Side:
    """One server, as seen by one caller; `mounts` are its paths of the mounts that cases name."""

    address: str
    token: str
    mounts: dict[str, str]
    _connection: http.client.HTTPConnection | None = field(default=None, repr=False)

    def __call__(self, method: str, path: str, body: Any = None, media_type: str = "application/json") -> Answer:
        """Ask; the first part of `path` names a mount."""
        mount, _, rest = path.partition("/")
        target = f"/v1/{self.mounts.get(mount, mount)}/{rest}"
        content = None if body is None else json.dumps(body).encode()
        headers = {"X-Vault-Token": self.token, "Content-Type": media_type}
        try:
            status, raw = self._exchange(method, target, content, headers)
        except (http.client.HTTPException, OSError):
            # A kept connection may have been closed meanwhile, or a handler broke: a new one tells which.
            self.close()
            try:
                status, raw = self._exchange(method, target, content, headers)
            except http.client.RemoteDisconnected:
                self.close()
                return BROKEN
        return answer_of(status, json.loads(raw) if raw else {})

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _exchange(self, method: str, target: str, body: bytes | None, headers: dict[str, str]) -> tuple[int, bytes]:
        if self._connection is None:
            url = urlsplit(self.address)
            self._connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=TIMEOUT)
        self._connection.request(method, target, body, headers)
        response = self._connection.getresponse()
        return response.status, response.read()


def answer_of(status: int, body: Any) -> Answer:
    """Return what of a body can be compared; an error's text without the wrapping of several errors."""
    texts = tuple(unwrapped(text) for text in body.get("errors") or ())
    warnings = tuple(body.get("warnings") or ())
    return Answer(status, body.get("data"), texts, warnings, body.get("lease_duration", 0), body.get("auth"))


def unwrapped(text: str) -> str:
    """Return the inner text of Go's list of one error."""
    prefix = "1 error occurred:\n\t* "
    return text.removeprefix(prefix).removesuffix("\n\n") if text.startswith(prefix) else text


class Pair(NamedTuple):
    """Both servers."""

    ours: Side
    reference: Side
