"""Connections that go to another process as soon as a large body is announced, whole, with what was read.

One call into a library over such a body holds a process for tens of milliseconds, and all who share it. So those who
send small requests share none with those who send large ones. What is passed is the system's own descriptor
(SCM_RIGHTS), in one message each, over a socket pair that all processes of the node have inherited: whatever is not
taken yet waits there, whoever of them comes and goes. See decision 66.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import Final, NamedTuple

import msgspec
import structlog
from multidict import istr

from kms_http.wire import errors
from kms_http.wire.head import CHUNKED, Head

#: Bytes of a body from which its connection goes to the other process; a chunked one may have as many.
LARGE: Final = 1 << 18
#: Bytes that may have been read before it is known that they belong to a large body: some reads of a socket.
_MOST_READ: Final = 384 * 1024
#: Bytes of messages that may wait for the other process; the system gives what it allows.
_ROOM: Final = 1 << 19
#: Bytes of certificates that go along.
_MOST_SHOWN: Final = 32 * 1024
_ENCODED: Final = _MOST_READ + _MOST_SHOWN + 4096
#: Connections taken in a pass of the loop.
_FEW: Final = 16
#: Seconds that a client who is sent away has to read the answer, and bytes of its body that are read over at a time.
_TOLD_SECONDS: Final = 2.0
_PIECE: Final = 1 << 16
_TOKENS: Final = istr("X-Vault-Token"), istr("Authorization")

_log = structlog.get_logger(__name__)


class Passed(NamedTuple):
    """What is told of a connection beside its descriptor."""

    entry: int  # the number of its listener
    peer: str
    port: int  # of the client; 0: it is not known
    certificates: tuple[bytes, ...] | None  # what the client has shown, DER; None without TLS
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
        shown = sum(map(len, passed.certificates or ()))
        if len(passed.read) > _MOST_READ or shown > _MOST_SHOWN:
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
            waiting = _next(self._end)
            if waiting is None:
                return
            message, connection = waiting
            if connection is None:
                continue
            try:
                passed = _DECODER.decode(message)
            except msgspec.DecodeError:
                _log.warning("cannot take a connection", error="damaged message")
                connection.close()
                continue
            self._take(connection, passed)


def waiting(end: socket.socket) -> list[socket.socket]:
    """Return the connections that no process has taken: whoever asks for them has them."""
    found = []
    while (taken := _next(end)) is not None:
        if taken[1] is not None:
            found.append(taken[1])
    return found


async def send_away(connection: socket.socket) -> None:
    """Tell a client to come again, and end its connection once it has read that, or has had the time to."""
    loop = asyncio.get_running_loop()
    answer = errors.respond(errors.too_busy()).encode("POST", 1, last=True)
    with connection, contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(_TOLD_SECONDS):
            await loop.sock_sendall(connection, answer)
            connection.shutdown(socket.SHUT_WR)
            while await loop.sock_recv(connection, _PIECE):  # an end with bytes unread would undo the answer
                pass


def _next(end: socket.socket) -> tuple[bytes, socket.socket | None] | None:
    """Take what waits first: its message, and the connection unless it is lost; None where nothing waits."""
    try:
        message, descriptors, _, _ = socket.recv_fds(end, _ENCODED, 1, socket.MSG_CMSG_CLOEXEC)
    except (BlockingIOError, InterruptedError):
        return None
    except OSError as error:
        _log.warning("cannot take a connection", error=type(error).__name__)
        return None
    if not message:
        return None  # nobody is left to pass any on
    if not descriptors:  # the system has closed the connection
        _log.warning("cannot take a connection", error="no descriptor is left")
        return message, None
    connection = socket.socket(fileno=descriptors[0])
    connection.setblocking(False)
    return message, connection
