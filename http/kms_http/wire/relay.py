"""A connection under TLS whose request another process answers: bytes go to and fro between the two.

What TLS knows of a connection cannot be handed over as its descriptor can (`passing`). So the process that shook
hands keeps it, and the other one gets an end of a socket pair in its place. What is left to do here is to open and to
seal records, a few at a time; reading a body, and all that is done for it, holds the other process. Neither side is
read from while the other takes no more, so no more is held than the buffers of two sockets. A client that takes
nothing for long is given up: that the other process has done so would be read behind what he does not take.
See decision 66.
"""

from __future__ import annotations

import asyncio
import select
import socket
from collections.abc import Callable
from typing import Final, NamedTuple, cast

from kms_http.wire import response
from kms_http.wire.secured import Secured

#: Bytes of each direction that the system holds between both processes, at least.
_ROOM: Final = 1 << 18


def pair() -> tuple[socket.socket, socket.socket]:
    """Return the end that stays here, and the one for the other process."""
    ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    for end in ends:
        end.setblocking(False)
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _ROOM)
    return ends


class Kept(NamedTuple):
    """What is kept of a connection that another process answers."""

    client: Secured
    close: Callable[[], None]  # ends it once all is sent
    lost: Callable[[Exception | None], None]  # is told when it has ended
    linger: float  # seconds to go on reading what nobody wants, so that the client gets to see the answer


class Relay(asyncio.Protocol):
    """The client's side. Nothing may be read of him when it is made; `begin` reads on."""

    def __init__(self, kept: Kept, end: socket.socket) -> None:
        self._kept = kept
        self._end = end
        self._other: asyncio.Transport | None = None
        self._giving_up: asyncio.TimerHandle | None = None  # while the client takes nothing

    async def begin(self) -> None:
        """Relay from now on."""
        loop = asyncio.get_running_loop()
        try:
            self._other, _ = await loop.connect_accepted_socket(lambda: _Answers(self._kept), self._end)
        except OSError:
            self._kept.client.abort()
        else:
            self._kept.client.resume_reading()

    def data_received(self, data: bytes) -> None:
        if self._other is not None and not self._other.is_closing():
            self._other.write(data)

    def pause_writing(self) -> None:
        self._wait_no_more()
        loop = asyncio.get_running_loop()
        self._giving_up = loop.call_later(response.WRITE_SECONDS, self._kept.client.abort)
        if self._other is not None and not self._other.is_closing():
            self._other.pause_reading()

    def resume_writing(self) -> None:
        self._wait_no_more()
        if self._other is not None and not self._other.is_closing():
            self._other.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self._wait_no_more()
        other, self._other = self._other, None
        if other is None:
            self._end.close()
        else:
            other.abort()
        self._kept.lost(exc)

    def _wait_no_more(self) -> None:
        if self._giving_up is not None:
            self._giving_up.cancel()
            self._giving_up = None


class _Answers(asyncio.Protocol):
    """The other process's side."""

    _transport: asyncio.Transport

    def __init__(self, kept: Kept) -> None:
        self._kept = kept

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance

    def data_received(self, data: bytes) -> None:
        self._kept.client.write(data)

    def eof_received(self) -> bool:
        """End with the other process, or go on for a moment, where it reads over what the client still sends."""
        if _gone(self._transport):
            return False
        asyncio.get_running_loop().call_later(self._kept.linger, self._transport.abort)
        return True

    def pause_writing(self) -> None:
        if not self._kept.client.is_closing():
            self._kept.client.pause_reading()

    def resume_writing(self) -> None:
        if not self._kept.client.is_closing():
            self._kept.client.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self._kept.close()


def _gone(transport: asyncio.Transport) -> bool:
    """Tell whether the other end of a socket pair is closed; else no more comes of it, but it still takes."""
    poll = select.poll()
    poll.register(transport.get_extra_info("socket").fileno(), 0)  # the end of both halves is always told
    return bool(poll.poll(0))
