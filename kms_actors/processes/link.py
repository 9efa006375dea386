"""One end of the socket pair between supervisor and worker: frames both ways, requests and their replies."""

from __future__ import annotations

import asyncio
import itertools
import socket
from collections.abc import Callable
from typing import Any, Final, cast

import msgspec
import structlog

from kms_actors.errors import Overloaded, Unavailable
from kms_actors.processes.frames import Frame, FrameError, FrameReader, NodeState, Reply, Request, encode
from kms_actors.secret import overwrite, overwrite_unshared_parts

#: Requests of one side that may wait for their replies.
MAX_WAITING: Final = 1024

_log = structlog.get_logger(__name__)


class Link(asyncio.Protocol):
    """`receive` is told what is no reply; `ended` is done once the other side is gone, or has spoken nonsense."""

    def __init__(self, decoder: msgspec.msgpack.Decoder[Any], receive: Callable[[Frame], None]) -> None:
        self._reader = FrameReader(decoder)
        self._receive = receive
        self._transport: asyncio.Transport | None = None
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Reply]] = {}
        self._secrets: tuple[bytes, ...] = ()  # sent, and to be overwritten once they are out
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def connect(self, end: socket.socket) -> None:
        """Begin, over one end of a socket pair, which is the link's own from now on."""
        end.setblocking(False)
        await asyncio.get_running_loop().create_unix_connection(lambda: self, sock=end)

    def send(self, frame: Frame) -> None:
        """Send `frame`; nothing happens once the link has ended."""
        if self._transport is not None and not self.ended.done():
            encoded = encode(frame)
            self._transport.write(encoded)
            if isinstance(frame, NodeState):
                self._secrets = (*self._secrets, encoded)

    def request(self, kind: Callable[..., Request], *fields: Any) -> asyncio.Future[Reply]:
        """Send `kind(number, *fields)` now, and return its reply to come.

        That raises Unavailable when the link ends before. Raises Overloaded when too many wait; a node's new state
        goes out whatever waits, or a seal could not be told to who answers nothing.
        """
        if len(self._waiting) >= MAX_WAITING and kind is not NodeState:
            raise Overloaded("too many requests at once")
        reply: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        if self.ended.done():
            reply.set_exception(_gone())
            return reply
        number = next(self._numbers)
        self._waiting[number] = reply
        reply.add_done_callback(lambda done: self._forget(number, done))
        self.send(kind(number, *fields))
        return reply

    def close(self) -> None:
        """End the link, once what was sent is out."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance

    def data_received(self, data: bytes) -> None:
        try:
            for frame in self._reader.feed(data):
                if isinstance(frame, Reply):
                    self._settle(frame)
                else:
                    self._hear(frame)
        except FrameError as error:
            _log.error("link between processes failed", reason=str(error))
            if self._transport is not None:
                self._transport.abort()
        finally:
            overwrite(data)  # the transport has made it for this call

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_result(None)
        for reply in list(self._waiting.values()):
            if not reply.done():
                reply.set_exception(_gone())

    def _hear(self, frame: Frame) -> None:
        try:
            self._receive(frame)
        except FrameError:
            raise
        except Exception as error:  # noqa: BLE001  # it would end the link, and all that this process does
            _log.error("frame not heeded", frame=type(frame).__name__, error=type(error).__name__)

    def _settle(self, frame: Reply) -> None:
        if self._secrets:
            overwrite_unshared_parts(self, "_secrets")
            self._secrets = ()
        reply = self._waiting.get(frame.number)
        if reply is not None and not reply.done():  # else nobody waits any longer
            reply.set_result(frame)

    def _forget(self, number: int, reply: asyncio.Future[Reply]) -> None:
        self._waiting.pop(number, None)
        if not reply.cancelled():
            reply.exception()  # seen, though nobody may have waited


def _gone() -> Unavailable:
    return Unavailable("the other process is gone, try again")
