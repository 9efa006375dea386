"""Connections that go to another process as soon as a large body is announced, whole, with what was read.

One call into a library over such a body holds a process for tens of milliseconds, and all who share it. So those who
send small requests share none with those who send large ones. What is passed is the system's own descriptor
(SCM_RIGHTS), in one message each, over a socket pair that all processes of the node have inherited: whatever is not
taken yet waits there, whoever of them comes and goes. See decision 66.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Final, NamedTuple

import msgspec
import structlog
from multidict import istr

from kms_http.wire.head import CHUNKED, Head

#: Bytes of a body from which its connection goes to the other process; a chunked one may have as many.
LARGE: Final = 1 << 18
#: Bytes that may have been read before it is known that they belong to a large body: some reads of a socket.
_MOST_READ: Final = 384 * 1024
#: Bytes of messages that may wait for the other process; the system gives what it allows.
_ROOM: Final = 1 << 19
_ENCODED: Final = _MOST_READ + 4096
#: Connections taken in a pass of the loop.
_FEW: Final = 16
_TOKENS: Final = istr("X-Vault-Token"), istr("Authorization")

_log = structlog.get_logger(__name__)


class Passed(NamedTuple):
    """What is told of a connection beside its descriptor."""

    entry: int  # the number of its listener
    peer: str
    read: bytes  # from the beginning of its request

    def __repr__(self) -> str:
        return f"<Passed of listener {self.entry}>"


_DECODER: Final = msgspec.msgpack.Decoder(Passed)


def pair() -> tuple[socket.socket, socket.socket]:
    """Return a socket to pass connections on by, and the one that they come out of."""
    sending, receiving = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for end in (sending, receiving):
        end.setblocking(False)
    sending.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _ROOM)
    return sending, receiving


class Staying:
    """Where there is no other process: all connections stay."""

    def wants(self, head: Head) -> bool:
        """Tell whether a request is another process's."""
        return False

    def pass_on(self, descriptor: int, passed: Passed) -> bool:
        """Send a connection away; False where it has to stay."""
        return False


class PassingOn(Staying):
    """The end of those who pass connections on."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end

    def wants(self, head: Head) -> bool:
        # Without a token it is refused where it is, and cheaply.
        large = head.length >= LARGE or head.length == CHUNKED
        return large and any(name in head.headers for name in _TOKENS)

    def pass_on(self, descriptor: int, passed: Passed) -> bool:
        if len(passed.read) > _MOST_READ:
            return False
        try:
            socket.send_fds(self._end, [msgspec.msgpack.encode(passed)], [descriptor])
        except OSError:  # too many wait
            return False
        return True


class PassedOn:
    """The end of the process that takes them, from `start` to `stop`."""

    def __init__(self, end: socket.socket, take: Callable[[socket.socket, Passed], None]) -> None:
        self._end = end
        self._take = take
        self._loop = asyncio.get_running_loop()

    def start(self) -> None:
        """Begin to take connections."""
        self._loop.add_reader(self._end.fileno(), self._receive)

    def stop(self) -> None:
        """Take no more: what waits is another process's. Idempotent."""
        if self._end.fileno() >= 0:
            self._loop.remove_reader(self._end.fileno())
            self._end.close()

    def _receive(self) -> None:
        for _ in range(_FEW):
            try:
                message, descriptors, _, _ = socket.recv_fds(self._end, _ENCODED, 1, socket.MSG_CMSG_CLOEXEC)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                _log.warning("cannot take a connection", error=type(error).__name__)
                return
            if not descriptors:
                return  # nobody is left to pass any on
            connection = socket.socket(fileno=descriptors[0])
            try:
                passed = _DECODER.decode(message)
            except msgspec.DecodeError:
                _log.warning("cannot take a connection", error="damaged message")
                connection.close()
                continue
            connection.setblocking(False)
            self._take(connection, passed)
