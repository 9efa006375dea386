"""Takes connections from listening sockets, which several processes may share.

Where they do, a few at a time, and then none for a moment, which is the others' chance: asyncio and libuv take all
that wait, and so one process would get every connection of a burst. A busy process turns its loop less often, so it
takes fewer. Under TLS the first byte tells who speaks plain HTTP; such a client is told so in words.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from kms_http.wire import errors

#: Connections taken at a time, and seconds to leave the rest to the others.
_AT_A_TIME: Final = 2
_ALONE_AT_A_TIME: Final = 64
_YIELD_SECONDS: Final = 0.001
#: Seconds to leave the socket alone when the process has no room for another connection.
_PAUSE_SECONDS: Final = 0.1
_HANDSHAKE_SECONDS: Final = 10.0

_HANDSHAKE_RECORD: Final = b"\x16"  # RFC 8446, section 5.1
_NOT_TLS: Final = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n"
    b"Content-Length: 48\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"
)

_log = structlog.get_logger(__name__)


class Acceptor:
    """Accepts from `start` to `stop`; `stop` closes this process's copies of the sockets.

    `protocol` is given what it calls once its connection is made. `has_room` is asked before one is kept, with the
    number of those that are not made yet.
    """

    def __init__(
        self,
        listeners: Sequence[socket.socket],
        protocol: Callable[[Callable[[], None]], asyncio.Protocol],
        ssl_context: ssl.SSLContext | None,
        has_room: Callable[[int], bool],
        *,
        alone: bool,
    ) -> None:
        self._listeners = list(listeners)
        self._protocol = protocol
        self._ssl = ssl_context
        self._has_room = has_room
        self._alone = alone
        self._connecting: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()

    @property
    def connecting(self) -> bool:
        """True while an accepted connection is not yet one: a TLS handshake is under way."""
        return bool(self._connecting)

    @property
    def port(self) -> int:
        """The port of the first socket."""
        return int(self._listeners[0].getsockname()[1])

    def start(self) -> None:
        """Begin; the sockets listen already."""
        for listener in self._listeners:
            listener.setblocking(False)
            self._watch(listener)

    def stop(self) -> None:
        """Accept no more. Connections that wait are left to the other processes. Idempotent."""
        for listener in self._listeners:
            self._loop.remove_reader(listener.fileno())
            listener.close()
        self._listeners.clear()

    def _watch(self, listener: socket.socket) -> None:
        if listener in self._listeners:
            self._loop.add_reader(listener.fileno(), self._accept, listener)

    def _leave_alone(self, listener: socket.socket, seconds: float) -> None:
        self._loop.remove_reader(listener.fileno())
        self._loop.call_later(seconds, self._watch, listener)

    def _accept(self, listener: socket.socket) -> None:
        try:
            for _ in range(_ALONE_AT_A_TIME if self._alone else _AT_A_TIME):
                connection, _ = listener.accept()
                self._start(connection)
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            pass  # no more, another process was faster, or the client has gone
        except OSError as error:
            _log.warning("cannot accept", error=type(error).__name__)
            self._leave_alone(listener, _PAUSE_SECONDS)
            return
        if not self._alone:
            self._leave_alone(listener, _YIELD_SECONDS)

    def _start(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        if not self._has_room(len(self._connecting)):
            self._turn_away(connection)
            return
        task = self._loop.create_task(self._connect(connection))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    def _turn_away(self, connection: socket.socket) -> None:
        with contextlib.closing(connection), contextlib.suppress(OSError):
            if self._ssl is None:
                connection.send(errors.respond(errors.too_busy()).encode("", 1, last=True))

    async def _connect(self, connection: socket.socket) -> None:
        own = asyncio.current_task()
        assert own is not None
        try:
            if self._ssl is not None and not await self._begins_tls(connection):
                await self._tell_of_tls(connection)
                return
            await self._loop.connect_accepted_socket(
                lambda: self._protocol(lambda: self._connecting.discard(own)),
                connection,
                ssl=self._ssl,
                ssl_handshake_timeout=_HANDSHAKE_SECONDS if self._ssl is not None else None,
            )
        except (OSError, TimeoutError):  # of TLS, or gone
            connection.close()

    async def _begins_tls(self, connection: socket.socket) -> bool:
        """Look at the first byte and leave it where it is. Raises ConnectionError without one, TimeoutError late."""
        readable: asyncio.Future[None] = self._loop.create_future()
        self._loop.add_reader(connection.fileno(), _settle, readable)
        try:
            async with asyncio.timeout(_HANDSHAKE_SECONDS):
                await readable
        finally:
            self._loop.remove_reader(connection.fileno())
        first = connection.recv(1, socket.MSG_PEEK)
        if not first:
            raise ConnectionResetError
        return first == _HANDSHAKE_RECORD

    async def _tell_of_tls(self, connection: socket.socket) -> None:
        """Answer in plain HTTP, having read what was sent: a reset would undo the answer."""
        with contextlib.closing(connection):
            with contextlib.suppress(BlockingIOError):
                connection.recv(65536)
            connection.send(_NOT_TLS)
            connection.shutdown(socket.SHUT_WR)
            async with asyncio.timeout(1):
                while await self._loop.sock_recv(connection, 65536):
                    pass


def _settle(readable: asyncio.Future[None]) -> None:
    if not readable.done():
        readable.set_result(None)
