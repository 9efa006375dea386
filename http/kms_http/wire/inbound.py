"""A body on its way in: waited for, read over, or left in the socket until it is known which."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from kms_http.wire import errors, limits
from kms_http.wire.errors import HttpError
from kms_http.wire.framing import framing_of

#: Seconds that any body may take, the least and the most, whatever its size.
_SECONDS: Final = 20.0
READ_SECONDS: Final = 60.0


class Inbound:
    """One body. `count` is asked before bytes of it are kept, and refuses where all bodies would be too many."""

    __slots__ = ("_count", "_error", "_framing", "_length", "_most", "_pieces", "_size", "_whole", "expects", "flows")

    def __init__(self, length: int, count: Callable[[int], bool], *, expects: bool) -> None:
        self._length = length
        self._framing = framing_of(length)
        self._count = count
        self._pieces: list[bytes] | None = None  # none are kept
        self._size = 0
        self._most = limits.MAX_BODY
        self._whole: asyncio.Future[bytes] | None = None
        self._error: HttpError | None = None
        #: True while bytes may be fed.
        self.flows = False
        #: True while the client waits to be told to send it.
        self.expects = expects

    @property
    def size(self) -> int:
        """Bytes of it that have come."""
        return self._size

    @property
    def complete(self) -> bool:
        return self._framing.complete

    def open(self, most: int) -> asyncio.Future[bytes]:
        """Begin to keep it; the future is done once it is whole. Raises HttpError for one above `most` bytes."""
        if self._length > most:
            raise too_large()
        self._most = most
        self._whole = asyncio.get_running_loop().create_future()
        self._pieces = []
        self.flows = True
        return self._whole

    def shut(self) -> None:
        """Keep nothing, and take nothing more until it is known what to do with the rest."""
        self._pieces = self._whole = None
        self.flows = False

    def discard(self) -> None:
        """Read over the rest."""
        self._pieces = self._whole = None
        self.flows = self._error is None

    def feed(self, data: bytes) -> bytes | None:
        """Take bytes, and return those behind its end; None once it cannot be read any further."""
        if self._error is not None:
            return None
        try:
            rest = self._framing.feed(data, self._take)
        except HttpError as error:
            self.fail(error)
            return None
        if self._framing.complete and self._whole is not None and not self._whole.done():
            pieces, self._pieces = self._pieces or [], None
            self._whole.set_result(b"".join(pieces))
        return rest

    def fail(self, error: HttpError) -> None:
        """Let go of all, and have who waits for it told `error`."""
        self._error = error
        self._pieces = None
        if self._whole is not None and not self._whole.done():
            self._whole.set_exception(error)

    def _take(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size > self._most:
            raise too_large()
        if self._pieces is not None:
            counted = min(len(piece), self._size - limits.UNCOUNTED)
            if counted > 0 and not self._count(counted):
                raise errors.too_busy()
            self._pieces.append(piece)


def too_large() -> HttpError:
    """Return the error of a body that is too large."""
    return HttpError(413, "http: request body too large", close=True)


def too_slow() -> HttpError:
    """Return the error of a body that comes too slowly."""
    return HttpError(408, "request body was not received in time", close=True)


def body_seconds(size: int, rate: int) -> float:
    """Return how long a body may have taken of which so many bytes are there, `rate` of which a second is enough."""
    return min(_SECONDS + size / rate, READ_SECONDS)
