"""One request, and the body that belongs to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kms_http.wire.head import Head
from kms_http.wire.limits import MAX_BODY

if TYPE_CHECKING:
    from kms_http.wire.connection import Connection


class Request:
    """What the handler is given. `body` is None while some of it is still to come: `read` brings it."""

    __slots__ = ("_connection", "body", "headers", "keep_alive", "length", "method", "minor", "remote", "target")

    def __init__(self, connection: Connection, head: Head, body: bytes | None) -> None:
        self._connection = connection
        self.method, self.target, self.minor, self.headers, self.length, self.keep_alive, _ = head
        self.body = body
        self.remote = connection.remote  # address of the client; empty where it has none

    def __repr__(self) -> str:
        return f"<Request {self.method}>"

    async def read(self, most: int = MAX_BODY) -> bytes:
        """Return the whole body. Raises HttpError: 400, broken off or malformed; 408, 413 or 503, past a limit."""
        if self.body is None:
            self.body = await self._connection.receive_body(most)
            self._connection.works_on(self)
        return self.body

    @property
    def certificates(self) -> tuple[bytes, ...] | None:
        """What the client has shown under TLS, DER, its own first; None without TLS."""
        return self._connection.certificates

    @property
    def console(self) -> bool:
        """True where the listener serves the console."""
        return self._connection.console

    @property
    def remote_port(self) -> int:
        """The port of the peer at `remote`; 0 where that is not known."""
        return self._connection.remote_port if self.remote == self._connection.remote else 0

    @property
    def gone(self) -> bool:
        """True once the client can get no answer any more."""
        return self._connection.lost

    @property
    def followed(self) -> bool:
        """True while another request waits behind this one."""
        return self._connection.behind
