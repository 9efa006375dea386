"""HTTP over a unix socket: what speaks to a node beside it, without a port."""

from __future__ import annotations

import socket
from http.client import HTTPConnection
from typing import Any


class UnixConnection(HTTPConnection):
    """A connection to the socket at a path, that is not made yet; an answer is waited for so many seconds."""

    def __init__(self, path: str, seconds: float) -> None:
        super().__init__("localhost", timeout=seconds)
        self._path = path

    def connect(self) -> None:
        """See `HTTPConnection`."""
        self.sock: Any = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)
