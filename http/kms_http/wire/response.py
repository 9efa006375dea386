"""An answer, and its bytes: made in one piece, since its headers are the same few each time."""

from __future__ import annotations

import functools
import time
from asyncio import Future
from collections.abc import AsyncIterator
from email.utils import formatdate
from http import HTTPStatus
from typing import Final, Protocol

#: Seconds a client has to take an answer that does not fit into the buffers of its connection.
WRITE_SECONDS: Final = 60

JSON: Final = b"application/json"
_HEADERS: Final = (
    b"Cache-Control: no-store\r\n"
    b"Content-Type: %b\r\n"
    b"Strict-Transport-Security: max-age=31536000; includeSubDomains\r\n"
)
#: Answers that have neither a body nor a length (RFC 9110, section 6.4.1): these, and all below 200.
_BODILESS: Final = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED})


class Held(Protocol):
    """What an answer waits for before it leaves: that something of it is known to be safe."""

    def waits_for(self) -> Future[bool] | None:
        """Return something that is waited for; None once nothing is."""

    def leave(self) -> Response:
        """Return what leaves in its place, once that is known."""


class Response:
    """Status, body, and further header lines, each ending in CR LF. A newline follows the body on the wire.

    `media` is the body's type where it is no JSON. `stream` gives a body that has no end yet, a piece at a time;
    an empty one says that there is nothing new. What is `held` leaves as that says, and when.
    """

    __slots__ = ("_extra", "body", "held", "last", "media", "status", "stream")

    def __init__(
        self,
        status: int,
        body: bytes = b"",
        extra: bytes = b"",
        *,
        close: bool = False,
        media: bytes = JSON,
        stream: AsyncIterator[bytes] | None = None,
    ) -> None:
        self.status = status
        self.body = body
        self._extra = extra
        self.last = close
        self.media = media
        self.stream = stream
        self.held: Held | None = None

    def replace(self, other: Response) -> None:
        """Give another answer in this one's place; the further header lines stay."""
        self.status, self.body, self.media, self.stream = other.status, other.body, other.media, other.stream

    def add_header(self, name: bytes, value: bytes) -> None:
        """Add a header line; the caller vouches that `value` holds no control characters."""
        self._extra += b"%b: %b\r\n" % (name, value)

    def end_connection(self) -> None:
        """Make this the connection's last answer."""
        self.last = True

    def encode(self, method: str, minor: int, *, last: bool) -> bytes:
        """Return the bytes of it, as the answer to a request of `method` in HTTP/1.`minor`."""
        body, head, extra = self.body, _head(self.status, self.media), self._extra
        if last:
            extra += b"Connection: close\r\n"
        elif minor == 0:
            extra += b"Connection: keep-alive\r\n"
        date = _date(int(time.time()))
        if self.status in _BODILESS or self.status < 200:
            return b"%b%b%b\r\n" % (head, date, extra)
        length = len(body) + 1 if body else 0
        if not body or method == "HEAD":
            return b"%b%b%bContent-Length: %d\r\n\r\n" % (head, date, extra, length)
        return b"%b%b%bContent-Length: %d\r\n\r\n%b\n" % (head, date, extra, length, body)

    def encode_head(self, minor: int) -> bytes:
        """Return what goes before the pieces of a body without an end: the connection's last answer.

        HTTP/1.0 knows no pieces: there the connection's end is that of the body.
        """
        pieces = b"Transfer-Encoding: chunked\r\n" if minor else b""
        date = _date(int(time.time()))
        return b"%b%b%b%bConnection: close\r\n\r\n" % (_head(self.status, self.media), date, self._extra, pieces)


@functools.lru_cache(maxsize=512)
def _head(status: int, media: bytes) -> bytes:
    known = HTTPStatus._value2member_map_.get(status)
    phrase = known.phrase if isinstance(known, HTTPStatus) else f"status code {status}"
    return f"HTTP/1.1 {status} {phrase}\r\n".encode() + _HEADERS % media


@functools.lru_cache(maxsize=1)
def _date(second: int) -> bytes:
    return b"Date: %b\r\n" % formatdate(second, usegmt=True).encode()
