"""Where a body ends: told by its length, or by its chunks (RFC 9112, sections 6 and 7.1)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, Protocol

from kms_http.wire.errors import HttpError
from kms_http.wire.head import CHUNKED

_SIZE: Final = re.compile(rb"([0-9A-Fa-f]{1,8})(?:[ \t]*;[\t\x20-\x7e\x80-\xff]*)?")
_LONGEST_LINE: Final = 256  # bytes of a chunk's size and extensions
_MAX_TRAILERS: Final = 8192  # bytes
#: Chunks of one body. Each costs time, however small it is.
MAX_CHUNKS: Final = 16_384

Sink = Callable[[bytes], None]


class Framing(Protocol):
    """Takes a body's bytes as they come."""

    complete: bool

    def feed(self, data: bytes, sink: Sink) -> bytes:
        """Give `sink` what belongs to the body, and return what follows it. Raises HttpError for no such framing."""


def framing_of(length: int) -> Framing:
    """Return how a body of `length` bytes, or a chunked one, is cut out of the stream."""
    return Chunked() if length == CHUNKED else Sized(length)


class Sized:
    """A body of a known length."""

    def __init__(self, length: int) -> None:
        self._left = length
        self.complete = length == 0

    def feed(self, data: bytes, sink: Sink) -> bytes:
        piece = data[: self._left]
        self._left -= len(piece)
        self.complete = self._left == 0
        sink(piece)
        return data[len(piece) :]


class Chunked:
    """A body in chunks. Extensions and trailers are read over."""

    def __init__(self) -> None:
        self.complete = False
        self._line = b""  # of which the end is still to come
        self._left = 0  # bytes of the chunk at hand
        self._within = False  # a chunk, or the line end behind it
        self._trailers = -1  # bytes of them so far; -1 before the last chunk
        self._chunks = 0

    def feed(self, data: bytes, sink: Sink) -> bytes:
        position = 0
        while position < len(data) and not self.complete:
            if self._left:
                piece = data[position : position + self._left]
                self._left -= len(piece)
                position += len(piece)
                sink(piece)
                continue
            end = data.find(b"\n", position)
            part = data[position:] if end < 0 else data[position : end + 1]
            self._line += part
            position += len(part)
            if len(self._line) > (_LONGEST_LINE if self._trailers < 0 else _MAX_TRAILERS):
                raise _broken()
            if end >= 0:
                line, self._line = self._line, b""
                self._take(line)
        return data[position:]

    def _take(self, line: bytes) -> None:
        if not line.endswith(b"\r\n"):
            raise _broken()
        content = line[:-2]
        if self._trailers >= 0:
            self._trailers += len(line)
            if self._trailers > _MAX_TRAILERS or b"\0" in content or b"\r" in content:
                raise _broken()
            self.complete = not content
        elif self._within:  # the line end behind a chunk
            if content:
                raise _broken()
            self._within = False
        else:
            self._begin(content)

    def _begin(self, line: bytes) -> None:
        size = _SIZE.fullmatch(line)
        self._chunks += 1
        if size is None or self._chunks > MAX_CHUNKS:
            raise _broken()
        self._left = int(size[1], 16)
        if self._left:
            self._within = True
        else:
            self._trailers = 0


def _broken() -> HttpError:
    return HttpError(400, "malformed or incomplete request body", close=True)
