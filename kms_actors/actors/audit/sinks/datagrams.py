"""Datagrams, one a line: to a collector over UDP, or to the system's log.

Source: RFC 3164, as system loggers of one machine take it: the priority, the time, a tag and the process.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Sequence
from typing import Final

from kms_actors.audit.sink import SinkFailed
from kms_actors.system_errors import in_words

#: Severity `informational` (RFC 5424, section 6.2.1).
_INFORMATIONAL: Final = 6
#: Seconds until a socket that takes nothing is tried again.
_AGAIN: Final = 0.005

Frame = Callable[[bytes], bytes]


def bare(line: bytes) -> bytes:
    """Return a line as it is."""
    return line


def syslog_frame(facility: int, tag: str, process: int) -> Frame:
    """Return what makes a message of a line."""
    head = f"<{facility * 8 + _INFORMATIONAL}>%b {tag}[{process}]: %b".encode()

    def frame(line: bytes) -> bytes:
        return head % (time.strftime("%b %e %H:%M:%S").encode(), line.removesuffix(b"\n"))

    return frame


class DatagramSink:
    """Sends without waiting; where the other end takes nothing, it is tried again for `seconds` in all."""

    def __init__(self, address: str, seconds: float, frame: Frame = bare) -> None:
        """`address` is the path of a socket, or host:port."""
        self._address = address
        self._seconds = seconds
        self._frame = frame
        self._socket: socket.socket | None = None

    async def write(self, lines: Sequence[bytes]) -> None:
        """See `Sink`."""
        try:
            async with asyncio.timeout(self._seconds):
                for line in lines:
                    await self._send(self._frame(line))
        except TimeoutError:
            raise SinkFailed(f"the log takes nothing for {self._seconds:g} seconds") from None
        except OSError as error:
            self._drop()
            raise SinkFailed(in_words(error)) from None

    async def reopen(self) -> None:
        """See `Sink`."""
        self._drop()

    async def close(self) -> None:
        """See `Sink`."""
        self._drop()

    async def _send(self, datagram: bytes) -> None:
        fresh = self._socket is None
        while True:
            try:
                if self._socket is None:
                    self._socket = await self._connect()
                self._socket.send(datagram)
            except BlockingIOError:
                await asyncio.sleep(_AGAIN)
            except OSError:
                self._drop()  # a logger that was started anew has another socket
                if fresh:
                    raise
                fresh = True
            else:
                return

    async def _connect(self) -> socket.socket:
        if self._address.startswith("/"):
            return _connected(socket.AF_UNIX, self._address)
        host, _, port = self._address.rpartition(":")
        found = await asyncio.get_running_loop().getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_DGRAM)
        return _connected(found[0][0], found[0][4])

    def _drop(self) -> None:
        made, self._socket = self._socket, None
        if made is not None:
            made.close()


def _connected(family: int, address: object) -> socket.socket:
    made = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
    try:
        made.setblocking(False)
        made.connect(address)  # type: ignore[arg-type]  # a path, or what getaddrinfo gave
    except OSError:
        made.close()
        raise
    return made
