"""A kept connection over which requests go, and what comes back: plain sockets, so that a generator is quick."""

from __future__ import annotations

import contextlib
import re
import socket
from typing import Final, NamedTuple

#: Seconds that an answer may take, on a slow and busy machine. One that takes longer is a finding.
PATIENCE: Final = 30.0
_STATUS: Final = re.compile(rb"HTTP/1\.1 (\d{3}) ")
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class Answered(NamedTuple):
    """A status and a body; status 0 where the connection was closed without an answer."""

    status: int
    body: bytes


class Lane:
    """One connection to a node on loopback."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket: socket.socket | None = None
        self._buffer = b""

    def send(self, request: bytes) -> None:
        """Send, over a new connection where the last one was closed."""
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self._port), timeout=PATIENCE)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(ConnectionError):  # the answer shows why
            self._socket.sendall(request)

    def receive(self, *, bodiless: bool = False) -> Answered:
        """Return the answer to what was sent. Raises TimeoutError where none comes."""
        try:
            return self._receive(bodiless)
        except ConnectionError:
            self.close()
            return Answered(0, b"")

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket, self._buffer = None, b""

    def _receive(self, bodiless: bool) -> Answered:
        while (end := self._buffer.find(b"\r\n\r\n")) < 0:
            if not self._more():
                self.close()
                return Answered(0, b"")
        head = self._buffer[: end + 2]
        self._buffer = self._buffer[end + 4 :]
        found = _STATUS.match(head)
        assert found is not None, head[:200]
        status = int(found[1])
        if status in {100, 102}:
            return self._receive(bodiless)
        length = _LENGTH.search(head)
        if length is None and status != 204 and not bodiless:  # a stream ends with its connection
            while self._more():
                pass
            body, self._buffer = self._buffer, b""
            self.close()
            return Answered(status, body)
        size = int(length[1]) if length is not None and not bodiless else 0
        while len(self._buffer) < size:
            if not self._more():
                self.close()
                return Answered(0, b"")
        body, self._buffer = self._buffer[:size], self._buffer[size:]
        if b"\r\nconnection: close" in head.lower():
            self.close()
        return Answered(status, body)

    def _more(self) -> bool:
        assert self._socket is not None
        data = self._socket.recv(1 << 16)
        self._buffer += data
        return bool(data)
