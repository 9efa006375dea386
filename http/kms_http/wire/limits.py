"""What clients may hold of a process before and after it knows who they are, and the accounts that watch over it."""

from __future__ import annotations

from typing import Final, NamedTuple

MAX_LINE: Final = 32 * 1024  # bytes of the request line, and of each header line
MAX_HEAD: Final = 64 * 1024  # bytes of a request line and all its headers together
MAX_HEADERS: Final = 64
MAX_BODY: Final = 32 * 1024 * 1024  # bytes
#: Bytes of a body of who has no token: a login, shares of a seal.
MAX_NOBODYS_BODY: Final = 1024 * 1024
#: Seconds from the first byte of a request's head to its last.
HEAD_SECONDS: Final = 10.0
#: Bodies up to this many bytes are not counted, and so get through when large ones do not: connections bound their
#: number, and they are no more than their request's other state.
UNCOUNTED: Final = 16 * 1024


class Limits(NamedTuple):
    """Of one process, over all its connections."""

    connections: int = 4096
    pending_bytes: int = 64 * 2**20  # sent, but not yet part of a request that is worked on
    body_bytes: int = 256 * 2**20  # of requests that are worked on
    connections_per_address: int = 2048
    pending_bytes_per_address: int = 16 * 2**20
    wait_seconds: float = 0.1  # for which requests may be expected to wait before some are refused
    body_rate: int = 500  # bytes of a body that a client sends a second, at least


class Account:
    """Bytes that are held at the moment, and the most that may be."""

    __slots__ = ("held", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.held = 0

    def take(self, size: int) -> bool:
        """Count `size` bytes more, or answer False if that is too many; a negative size gives some back."""
        if size > 0 and self.held + size > self.limit:
            return False
        self.held += size
        return True
