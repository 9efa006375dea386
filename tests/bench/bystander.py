"""Who asks now and then, beside others: one connection, at a steady pace, and how long each answer took."""

from __future__ import annotations

import json
import socket
import time
from collections import Counter
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from tests.bench.results import percentile

_PATIENCE: Final = 30.0


class Asked(NamedTuple):
    """One request; `path` is without `/v1/`."""

    method: str
    path: str
    body: Any


class Bystander:
    """Sends one request over and over, one each `interval` seconds, but none before the last one's answer."""

    def __init__(self, address: str, token: str, asked: Asked, interval: float = 0.005) -> None:
        place = urlsplit(address)
        self._place = (place.hostname or "", place.port or 0)
        sent = b"" if asked.body is None else json.dumps(asked.body).encode()
        head = f"{asked.method} /v1/{asked.path} HTTP/1.1\r\nHost: bench\r\nX-Vault-Token: {token}\r\n"
        self._bytes = f"{head}Content-Length: {len(sent)}\r\n\r\n".encode() + sent
        self._interval = interval
        self.statuses: Counter[int] = Counter()

    def watch(self, seconds: float) -> list[float]:
        """Return the milliseconds of each answer in so many seconds."""
        found = []
        with socket.create_connection(self._place, _PATIENCE) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._ask(connection)  # what the first one brings with it is no wait for others
            ends = time.perf_counter() + seconds
            while (began := time.perf_counter()) < ends:
                self.statuses[self._ask(connection)] += 1
                took = time.perf_counter() - began
                found.append(1000 * took)
                time.sleep(max(0.0, self._interval - took))
        return found

    def _ask(self, connection: socket.socket) -> int:
        connection.sendall(self._bytes)
        data = b""
        while b"\r\n\r\n" not in data:
            data += self._receive(connection)
        head, _, rest = data.partition(b"\r\n\r\n")
        left = int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0]) if b"Content-Length: " in head else 0
        left -= len(rest)
        while left > 0:
            left -= len(self._receive(connection))
        return int(head[9:12])

    @staticmethod
    def _receive(connection: socket.socket) -> bytes:
        data = connection.recv(65536)
        if not data:
            raise ConnectionResetError("the server has ended the connection")
        return data


def p99(milliseconds: list[float]) -> float:
    """Return the 99th percentile."""
    return percentile(milliseconds, 0.99)
