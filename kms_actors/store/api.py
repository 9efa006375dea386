"""The store's protocol: what an engine must give, and what a transaction body may rely on.

Keys and values are bytes; keys are ordered bytewise. Transactions are strictly serialisable. A body is a
coroutine function that may run more than once, so whatever must not differ between runs (identifiers,
nonces, key material, times) is made outside it. An open store belongs to the event loop that opened it.
"""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol, TypeVar

T = TypeVar("T")

Body = Callable[["Transaction"], Awaitable[T]]
Entry = tuple[bytes, bytes]

#: Bytes of a versionstamp: 8 of commit version, 2 of order within it, 2 that count the writes of one transaction that
#: have one, so that none of them replaces another; all big-endian.
VERSIONSTAMP_LENGTH: Final = 12
#: Of these, those that are the same for a whole transaction, and those that count within.
STAMP_LENGTH: Final = 10
PLACE_LENGTH: Final = VERSIONSTAMP_LENGTH - STAMP_LENGTH

#: Bytes of keys and values that one transaction may write.
TRANSACTION_BYTES: Final = 10_000_000


class Priority(enum.Enum):
    """What a transaction gives way to.

    REQUEST: somebody waits for it. BATCH: the work of backups, checks, trims and sweeps, which stands back while
    there are requests, and so may take its time.
    """

    REQUEST = enum.auto()
    BATCH = enum.auto()


class Reads(Protocol):
    """What a body that only looks needs of a transaction."""

    async def get(self, key: bytes) -> bytes | None:
        """Return the value at `key`, or None."""

    def get_many(self, keys: Sequence[bytes]) -> Awaitable[list[bytes | None]]:
        """Begin to read the values at `keys`, all at once; what is returned gives them when it is awaited.

        It costs one wait, less than gathered calls of `get`, and need not be awaited. A key that is written in
        between gives the one value or the other.
        """

    async def get_range(self, begin: bytes, end: bytes, *, limit: int = 0, reverse: bool = False) -> list[Entry]:
        """Return entries with begin <= key < end in key order; `limit` 0 means all.

        With `reverse` the order is descending, and `limit` takes the last ones.
        """

    async def get_keys(self, begin: bytes, end: bytes, *, limit: int) -> list[bytes]:
        """Return the first `limit` keys with begin <= key < end, in order, without their values."""


class Transaction(Reads, Protocol):
    """One attempt. Reads see a snapshot and this transaction's own writes (not its versionstamped ones).

    Reads may be issued together (`asyncio.gather`). A writing method raises `TransactionTooLarge` past
    `TRANSACTION_BYTES`; any method raises `RuntimeError` once the body has returned.
    """

    @property
    def size(self) -> int:
        """Bytes of keys and values written so far, each write counted."""

    async def snapshot_stamp(self) -> bytes:
        """Return a versionstamp that none committed before this snapshot is above, and all later ones are.

        A versionstamp above it is of another run of versions: of a store whose data was moved into this one.
        """

    def set(self, key: bytes, value: bytes) -> None:
        """Write `value` at `key`."""

    def clear(self, key: bytes) -> None:
        """Remove `key`, if there."""

    def clear_range(self, begin: bytes, end: bytes) -> None:
        """Remove all keys with begin <= key < end."""

    def add(self, key: bytes, delta: int) -> None:
        """Add to the little-endian signed 64-bit integer at `key` (absent = 0) without a read conflict.

        The sum wraps around; a `delta` that has no 64 bits raises OverflowError.
        """

    def set_versionstamped(self, prefix: bytes, suffix: bytes, value: bytes) -> None:
        """At commit, write `value` at prefix ‖ versionstamp ‖ suffix.

        Versionstamps of a transaction are greater than those of any committed before, and grow in the order of the
        calls: each has a place of its own. More than 65,536 in one transaction raise TransactionTooLarge.
        """


class Store(Protocol):
    """An open database."""

    async def run(
        self, body: Body[T], *, idempotency_key: bytes | None = None, priority: Priority = Priority.REQUEST
    ) -> T:
        """Run `body` in a transaction, commit, return its result; retry on conflict up to the engine's limit.

        With `idempotency_key` (16 random bytes, made by the caller) an engine whose commit may end
        unknown makes sure that the body's writes are applied once. A cancelled call may have committed.

        Raises:
            TransactionConflict: retries ran out.
            StoreUnavailable: the database does not answer in time, or is closed.

        Any exception of the body ends the transaction without writing and is raised as it is.

        """

    async def watch(self, key: bytes) -> asyncio.Future[None]:
        """Return a future that completes once `key` has changed after this call (or may have).

        Cancelling it ends the watch. A completion is a hint: read again, and watch again. A change that is
        undone at once may be missed. Closing the store completes it too.
        """

    async def close(self) -> None:
        """Finish the commits under way and close. Idempotent."""
