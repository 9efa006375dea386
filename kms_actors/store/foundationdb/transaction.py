"""A transaction of the FoundationDB engine: one attempt, as its body sees it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Generator, Sequence
from typing import Any

from kms_actors.errors import TransactionTooLarge
from kms_actors.store.api import PLACE_LENGTH, STAMP_LENGTH, TRANSACTION_BYTES, VERSIONSTAMP_LENGTH, Entry
from kms_actors.store.foundationdb.native import (
    Failure,
    Native,
)
from kms_actors.store.foundationdb.values import (
    CHUNK_BYTES,
    chunks_between,
    chunks_of,
    is_plain,
    read_chunks,
    write_chunks,
)
from kms_actors.store.writes import COUNTER_LENGTH, place


class FoundationDbTransaction:
    """See `kms_actors.store.api.Transaction`. Versionstamped keys are written after all others."""

    __slots__ = ("_issued", "_native", "_plain", "_stamped", "failure", "size", "writes")

    def __init__(self, native: Native) -> None:
        #: The first read that failed, whatever the body made of it.
        self.failure: Failure | None = None
        self.writes = False
        self._native: Native | None = native
        self._plain: set[bytes] = set()  # keys known to have no chunks
        self._stamped: list[tuple[bytes, bytes, bytes]] = []
        self._issued: list[asyncio.Future[list[bytes | None]]] = []  # reads that need not be awaited
        self.size = 0  # bytes written

    async def get(self, key: bytes) -> bytes | None:
        native = self._open()
        try:
            value = await native.get(key)
            if value is None or is_plain(value):
                self._plain.add(key)
                return value
            return await read_chunks(native, key, value)
        except Failure as failure:
            raise self._note(failure) from None

    def get_many(self, keys: Sequence[bytes]) -> Awaitable[list[bytes | None]]:
        native = self._open()
        issued = native.get_many(keys)
        self._issued.append(issued)
        return _Values(self, keys, issued)

    async def values(self, keys: Sequence[bytes], issued: asyncio.Future[list[bytes | None]]) -> list[bytes | None]:
        """Return what reads that are under way give."""
        native = self._open()
        values: list[bytes | None] = []
        try:
            for key, value in zip(keys, await issued, strict=True):
                if value is None or is_plain(value):
                    self._plain.add(key)
                    values.append(value)
                else:
                    values.append(await read_chunks(native, key, value))
        except Failure as failure:
            raise self._note(failure) from None
        return values

    async def get_range(self, begin: bytes, end: bytes, *, limit: int = 0, reverse: bool = False) -> list[Entry]:
        native = self._open()
        try:
            entries = await native.get_range(begin, end, limit=limit, reverse=reverse)
            for place, (key, value) in enumerate(entries):
                if not is_plain(value):
                    entries[place] = (key, await read_chunks(native, key, value))
        except Failure as failure:
            raise self._note(failure) from None
        return entries

    async def get_keys(self, begin: bytes, end: bytes, *, limit: int) -> list[bytes]:
        native = self._open()
        try:
            return await native.get_keys(begin, end, limit=limit)
        except Failure as failure:
            raise self._note(failure) from None

    async def snapshot_stamp(self) -> bytes:
        try:
            version = await self._open().read_version()
        except Failure as failure:
            raise self._note(failure) from None
        return version.to_bytes(8, "big") + b"\xff" * (STAMP_LENGTH - 8 + PLACE_LENGTH)

    def set(self, key: bytes, value: bytes) -> None:
        native = self._open_to_write(len(key) + len(value))
        if key not in self._plain:
            native.clear_range(*chunks_of(key))
        if is_plain(value):
            native.set(key, value)
        else:
            self._plain.discard(key)
            write_chunks(native, key, value)

    def clear(self, key: bytes) -> None:
        native = self._open_to_write(len(key))
        native.clear_range(*chunks_of(key))
        native.clear(key)

    def clear_range(self, begin: bytes, end: bytes) -> None:
        if begin >= end:
            self._open()
            return
        native = self._open_to_write(len(begin) + len(end))
        native.clear_range(*chunks_between(begin, end))
        native.clear_range(begin, end)

    def add(self, key: bytes, delta: int) -> None:
        # Chunks of a long value at the key would stay, unseen until it is written or cleared.
        self._open_to_write(len(key) + COUNTER_LENGTH).add(key, delta.to_bytes(COUNTER_LENGTH, "little", signed=True))

    def set_versionstamped(self, prefix: bytes, suffix: bytes, value: bytes) -> None:
        self._open_to_write(len(prefix) + VERSIONSTAMP_LENGTH + len(suffix) + len(value))
        if not is_plain(value):
            raise TransactionTooLarge(f"the value of a versionstamped key may have at most {CHUNK_BYTES} bytes")
        self._stamped.append((prefix, place(len(self._stamped)) + suffix, value))

    def end(self) -> None:
        """Refuse any further use. Idempotent."""
        native, self._native = self._native, None
        for read in self._issued:
            if not read.cancel() and not read.cancelled():
                read.exception()  # whether anybody wanted to know or not
        if native is not None:
            # Only now: the client refuses reads where a versionstamped key may come to lie.
            for prefix, suffix, value in self._stamped:
                native.set_versionstamped(prefix, suffix, value)

    def _open(self) -> Native:
        if self._native is None:
            raise RuntimeError("the transaction has ended")
        return self._native

    def _open_to_write(self, size: int) -> Native:
        native = self._open()
        self.writes = True
        self.size += size
        if self.size > TRANSACTION_BYTES:
            raise TransactionTooLarge(f"a transaction may write at most {TRANSACTION_BYTES} bytes")
        return native

    def _note(self, failure: Failure) -> Failure:
        self.failure = self.failure or failure
        return failure


class _Values:
    """Reads that are under way; whoever does not await them has them dropped."""

    __slots__ = ("_issued", "_keys", "_transaction")

    def __init__(
        self,
        transaction: FoundationDbTransaction,
        keys: Sequence[bytes],
        issued: asyncio.Future[list[bytes | None]],
    ) -> None:
        self._transaction = transaction
        self._keys = keys
        self._issued = issued

    def __await__(self) -> Generator[Any, None, list[bytes | None]]:
        return self._transaction.values(self._keys, self._issued).__await__()
