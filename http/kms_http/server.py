"""The HTTP server: sockets, and the start and the end of connections.

Built on aiohttp's low-level server: no application, no middleware, no dispatcher.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from aiohttp.web import BaseRequest, RequestHandler, Server

from kms_http.api.routes import (
    ENGINES,
    SYSTEM,
)
from kms_http.backend import (
    Authenticator,
    Backend,
    Observe,
)
from kms_http.handler import Handler
from kms_http.routing import Router
from kms_http.wire.acceptor import Acceptor
from kms_http.wire.connection import (
    Connection,
    Outbox,
    Request,
)
from kms_http.wire.response import Response

MAX_LINE: Final = 32 * 1024  # bytes of the request line, and of each header
MAX_HEADERS: Final = 64
#: Seconds an idle connection is kept, and the longest a client may take to send its headers.
KEEPALIVE_SECONDS: Final = 75
#: Seconds to go on reading a body nobody wants, so that the client gets to see the answer.
LINGER_SECONDS: Final = 5
BACKLOG: Final = 1024

_POLL_SECONDS: Final = 0.02


class _Server(Server):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._outbox = Outbox(self._loop)

    def __call__(self) -> RequestHandler:
        return Connection(self._outbox, self, loop=self._loop, **self._kwargs)


class HttpServer:
    """Serves the API of a node over HTTP, from `start` to `stop`."""

    def __init__(
        self,
        backend: Backend,
        authenticator: Authenticator,
        observe: Observe,
        engines: Mapping[str, Router] = ENGINES,
    ) -> None:
        self._handler = Handler(backend, authenticator, observe, system=SYSTEM, engines=engines)
        self._server: _Server | None = None
        self._sockets: asyncio.Server | Acceptor | None = None

    async def start(
        self, host: str, port: int, ssl_context: ssl.SSLContext | None = None, *, reuse_port: bool = False
    ) -> None:
        """Listen; port 0 takes a free one. Raises OSError when the address is taken."""
        self._server = self._make_server()
        self._sockets = await asyncio.get_running_loop().create_server(
            self._server, host, port, ssl=ssl_context, backlog=BACKLOG, reuse_port=reuse_port or None
        )

    def start_shared(self, listeners: Sequence[socket.socket], ssl_context: ssl.SSLContext | None = None) -> None:
        """Serve on sockets that listen already, and other processes with it."""
        self._server = self._make_server()
        self._sockets = Acceptor(listeners, self._server, ssl_context)
        self._sockets.start()

    def _make_server(self) -> _Server:
        return _Server(
            self._handler,
            request_factory=Request,
            access_log=None,
            auto_decompress=False,  # Vault takes no compressed bodies, and a small one can be made huge
            keepalive_timeout=KEEPALIVE_SECONDS,
            lingering_time=LINGER_SECONDS,
            max_field_size=MAX_LINE,
            max_headers=MAX_HEADERS,
            max_line_size=MAX_LINE,
        )

    @property
    def port(self) -> int:
        """The port it listens on."""
        assert isinstance(self._sockets, asyncio.Server)
        return int(self._sockets.sockets[0].getsockname()[1])

    async def drain(self) -> None:
        """Take no new connection, tell each client with its next answer to make another, wait until all have gone.

        No request is lost: a connection is closed after an answer that says so, or when it was idle for as long as
        any idle connection is kept.
        """
        if self._server is None or self._sockets is None:
            return
        self._close_sockets()
        self._server.request_handler = self._answer_last  # of connections whose handshake is under way
        for connection in self._server.connections:
            if isinstance(connection, Connection):
                connection.answer_by(self._answer_last)
        while self._server is not None and (self._server.connections or self._connecting):  # noqa: ASYNC110
            await asyncio.sleep(_POLL_SECONDS)

    async def _answer_last(self, request: BaseRequest) -> Response:
        response = await self._handler(request)
        if not (isinstance(request.protocol, Connection) and request.protocol.behind):
            response.end_connection()
        return response

    @property
    def _connecting(self) -> bool:
        return isinstance(self._sockets, Acceptor) and self._sockets.connecting

    def _close_sockets(self) -> None:
        if isinstance(self._sockets, Acceptor):
            self._sockets.stop()
        elif self._sockets is not None:
            self._sockets.close()

    async def stop(self, grace: float) -> None:
        """Stop listening, let requests end for up to `grace` seconds, close all connections."""
        if self._server is None or self._sockets is None:
            return
        self._close_sockets()
        end = time.monotonic() + grace
        # An event would have to be kept up by every request; this is once, at the end of the process.
        while self._close_idle(self._server.connections) and time.monotonic() < end:  # noqa: ASYNC110
            await asyncio.sleep(_POLL_SECONDS)
        await self._server.shutdown(timeout=_POLL_SECONDS)  # 0 would be without end
        self._server = self._sockets = None

    @staticmethod
    def _close_idle(connections: list[RequestHandler]) -> bool:
        """Close connections without a request; tell whether any has one."""
        busy = [connection for connection in connections if isinstance(connection, Connection) and connection.busy]
        for connection in connections:
            if connection not in busy:
                connection.close()
        return bool(busy)
