"""An answer, written to the connection in one piece.

aiohttp's own response builds a case-insensitive multidict and serialises it each time; ours are the same few
headers, so they are kept as bytes. That is most of what a small answer costs.
"""

from __future__ import annotations

import asyncio
import functools
import time
from email.utils import formatdate
from http import HTTPStatus
from typing import Final

from aiohttp.abc import AbstractStreamWriter
from aiohttp.web import BaseRequest, StreamResponse

#: Seconds a client has to take an answer that does not fit into the buffers of its connection.
WRITE_SECONDS: Final = 60

_HEADERS: Final = (
    b"Cache-Control: no-store\r\n"
    b"Content-Type: application/json\r\n"
    b"Strict-Transport-Security: max-age=31536000; includeSubDomains\r\n"
)


class Response(StreamResponse):
    """Status, JSON body, and further header lines, each ending in CR LF."""

    # The base class's constructor makes what is not used here.
    def __init__(self, status: int, body: bytes = b"", extra: bytes = b"", *, close: bool = False) -> None:
        self._status = status
        self._bytes = body
        self._extra = extra
        self._closes = close

    def add_header(self, name: bytes, value: bytes) -> None:
        """Add a header line; the caller vouches that `value` holds no control characters."""
        self._extra += b"%b: %b\r\n" % (name, value)

    def end_connection(self) -> None:
        """Make this the connection's last answer."""
        self._closes = True

    def write_to(self, request: BaseRequest) -> None:
        """Write all of it. Raises ConnectionError when the client is gone."""
        transport = request.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError
        self._keep_alive = request.keep_alive and not self._closes
        transport.write(self._block(request))

    async def be_taken(self, request: BaseRequest) -> None:
        """Wait until the client has taken most of it. Raises ConnectionError when it takes nothing for too long."""
        try:
            async with asyncio.timeout(WRITE_SECONDS):
                await request.protocol._drain_helper()  # noqa: SLF001  # aiohttp shows it by a writer alone
        except TimeoutError:
            if request.transport is not None:
                request.transport.abort()
            raise ConnectionResetError from None

    async def prepare(self, request: BaseRequest) -> AbstractStreamWriter | None:
        """Write all of it, for aiohttp. Raises ConnectionError when the client is gone, or takes nothing."""
        self.write_to(request)
        if request.protocol.writing_paused:
            await self.be_taken(request)
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        """Nothing is left to write."""

    def _block(self, request: BaseRequest) -> bytes:
        body, head, extra = self._bytes, _head(self._status), self._extra
        if not self._keep_alive:
            extra += b"Connection: close\r\n"
        elif request.version.minor == 0:
            extra += b"Connection: keep-alive\r\n"
        date = _date(int(time.time()))
        if self._status == HTTPStatus.NO_CONTENT:
            return b"%b%b%b\r\n" % (head, date, extra)
        if request.method == "HEAD":
            return b"%b%b%bContent-Length: %d\r\n\r\n" % (head, date, extra, len(body))
        return b"%b%b%bContent-Length: %d\r\n\r\n%b" % (head, date, extra, len(body), body)


@functools.lru_cache(maxsize=512)
def _head(status: int) -> bytes:
    known = HTTPStatus._value2member_map_.get(status)
    phrase = known.phrase if isinstance(known, HTTPStatus) else f"status code {status}"
    return f"HTTP/1.1 {status} {phrase}\r\n".encode() + _HEADERS


@functools.lru_cache(maxsize=1)
def _date(second: int) -> bytes:
    return b"Date: %b\r\n" % formatdate(second, usegmt=True).encode()
