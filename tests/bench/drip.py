"""Many connections that send a byte a second of a request's head: `python -m tests.bench.drip ADDRESS COUNT`.

They come from several addresses, as many as one may hold from each; who is sent away comes again. Until it is ended.
"""

from __future__ import annotations

import socket
import sys
import time
from typing import Final
from urllib.parse import urlsplit

_BEGINNING: Final = b"GET /v1/sys/health HTTP/1.1\r\nHost: x\r\nX: "
_EACH: Final = 1000  # connections from one address
_SLICES: Final = 1000  # in which a second is cut: those of so many clients come one by one, not all at once


class Drop:
    """One connection, and how much it has sent."""

    def __init__(self, place: tuple[str, int], number: int) -> None:
        self._place = place
        self._source = (f"127.0.1.{1 + number // _EACH}", 0)
        self._open()

    def _open(self) -> None:
        self._sent = 0
        self._socket = socket.create_connection(self._place, 10, self._source)
        self._socket.setblocking(False)

    def send(self) -> None:
        """Send a byte, on a new connection where the server has ended the last one."""
        byte = _BEGINNING[self._sent : self._sent + 1] or b"x"
        try:
            if self._sent > 5 and self._ended():
                raise ConnectionResetError
            self._socket.send(byte)
            self._sent += 1
        except BlockingIOError:
            pass
        except OSError:
            self._socket.close()
            self._open()

    def _ended(self) -> bool:
        try:
            return bool(self._socket.recv(4096)) or True
        except BlockingIOError:
            return False


def main(address: str, count: int) -> None:
    """Drip."""
    place = urlsplit(address)
    drops = [Drop((place.hostname or "", place.port or 0), number) for number in range(count)]
    while True:
        for part in range(_SLICES):
            began = time.monotonic()
            for drop in drops[part::_SLICES]:
                drop.send()
            time.sleep(max(0.0, 1 / _SLICES - (time.monotonic() - began)))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
