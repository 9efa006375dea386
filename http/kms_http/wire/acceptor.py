"""Takes connections from a listening socket that several processes share.

A few at a time, and then none for a moment, which is the others' chance: asyncio and libuv take all that wait, and so
one process would get every connection of a burst. A busy process turns its loop less often, so it takes fewer.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Sequence
from typing import Final

import structlog

#: Connections taken at a time, and seconds to leave the rest to the others.
_AT_A_TIME: Final = 2
_YIELD_SECONDS: Final = 0.001
#: Seconds to leave the socket alone when the process has no room for another connection.
_PAUSE_SECONDS: Final = 0.1
_HANDSHAKE_SECONDS: Final = 10.0

_log = structlog.get_logger(__name__)


class Acceptor:
    """Accepts from `start` to `stop`; `stop` closes this process's copies of the sockets."""

    def __init__(
        self,
        listeners: Sequence[socket.socket],
        protocol: Callable[[], asyncio.Protocol],
        ssl_context: ssl.SSLContext | None,
    ) -> None:
        self._listeners = list(listeners)
        self._protocol = protocol
        self._ssl = ssl_context
        self._connecting: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()

    @property
    def connecting(self) -> bool:
        """True while an accepted connection is not yet one: a TLS handshake is under way."""
        return bool(self._connecting)

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
            for _ in range(_AT_A_TIME):
                connection, _ = listener.accept()
                self._start(connection)
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            pass  # no more, another process was faster, or the client has gone
        except OSError as error:
            _log.warning("cannot accept", error=type(error).__name__)
            self._leave_alone(listener, _PAUSE_SECONDS)
            return
        self._leave_alone(listener, _YIELD_SECONDS)

    def _start(self, connection: socket.socket) -> None:
        task = self._loop.create_task(self._connect(connection))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    async def _connect(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        try:
            await self._loop.connect_accepted_socket(
                self._protocol,
                connection,
                ssl=self._ssl,
                ssl_handshake_timeout=_HANDSHAKE_SECONDS if self._ssl is not None else None,
            )
        except (OSError, TimeoutError):  # of TLS, or gone
            connection.close()
