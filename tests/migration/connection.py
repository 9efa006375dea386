"""A connection to a server of the API that costs little, and shares nothing with the migration's own."""

from __future__ import annotations

import json
import socket
import time
from decimal import Decimal
from typing import Any
from urllib.parse import quote, urlsplit

TIMEOUT = 120.0
#: Of a server that has too much to do: clients come again.
BUSY = frozenset({429, 503})
_ATTEMPTS = 100


class Connection:
    """Asks one request after the other; HTTP/1.1 as both servers speak it."""

    def __init__(self, address: str, token: str) -> None:
        self._place = urlsplit(address)
        self._head = f"Host: {self._place.netloc}\r\nX-Vault-Token: {token}\r\n"
        self.refused = 0  # times that the server was too busy
        self._socket = socket.create_connection((self._place.hostname, self._place.port), TIMEOUT)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self._socket.makefile("rb")

    def close(self) -> None:
        self._file.close()
        self._socket.close()

    def __call__(self, method: str, path: str, body: Any = None, query: str = "") -> tuple[int, Any]:
        """Return status and `data` of the answer; floats come as Decimal, so that every digit is compared."""
        content = b"" if body is None else json.dumps(body).encode()
        target = f"/v1/{quote(path)}{query}"
        head = f"{method} {target} HTTP/1.1\r\n{self._head}Content-Length: {len(content)}\r\n\r\n"
        for _ in range(_ATTEMPTS):
            self._socket.sendall(head.encode() + content)
            status, raw = self._answer()
            if status not in BUSY:
                break
            self.refused += 1
            time.sleep(0.2)
        answer = json.loads(raw, parse_float=Decimal) if raw else {}
        return status, answer.get("data")

    def good(self, method: str, path: str, body: Any = None, query: str = "") -> Any:
        """Return the data of an answer, which must be one of success."""
        status, data = self(method, path, body, query)
        assert status in {200, 204}, (status, method, path)
        return data

    def _answer(self) -> tuple[int, bytes]:
        status = int(self._file.readline().split()[1])
        length, chunked = 0, False
        while line := self._file.readline().strip():
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
            chunked = chunked or (name.lower() == b"transfer-encoding" and b"chunked" in value)
        if not chunked:
            return status, self._file.read(length)
        parts = []
        while size := int(self._file.readline(), 16):
            parts.append(self._file.read(size))
            self._file.readline()
        self._file.readline()
        return status, b"".join(parts)
