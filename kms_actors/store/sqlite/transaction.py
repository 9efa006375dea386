"""A transaction of the SQLite engine: reads at a snapshot and remembers them, collects writes."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Generator, Sequence
from typing import Any, Final, NamedTuple

from kms_actors.store.api import PLACE_LENGTH, STAMP_LENGTH, Entry, Priority
from kms_actors.store.sqlite.file import (
    read_keys,
    read_range,
    read_value,
    read_values,
    translate,
)
from kms_actors.store.sqlite.pool import SnapshotPool
from kms_actors.store.writes import Writes

#: Entries read in one go; the event loop turns between two.
CHUNK: Final = 256
#: Values read, or compared, by one statement.
TOGETHER: Final = 12


class RangeRead(NamedTuple):
    """All entries seen with begin <= key < end, in ascending order."""

    begin: bytes
    end: bytes
    entries: list[Entry]


class Reads:
    """What a transaction has seen of the store, to be compared at commit."""

    __slots__ = ("keys", "ranges", "snapshot", "values")

    def __init__(self) -> None:
        self.snapshot: int | None = None  # commit version; None: nothing read
        self.values: dict[bytes, bytes | None] = {}
        self.ranges: list[RangeRead] = []
        self.keys: list[tuple[bytes, bytes, list[bytes]]] = []  # begin, end, and all keys between them

    def hold(self, connection: sqlite3.Connection, version: int) -> bool:
        """Return whether `connection`, at commit version `version`, would give the same."""
        if self.snapshot is None or self.snapshot == version:
            return True
        return (
            self._hold_values(connection)
            and all(
                read_range(connection, begin, end, limit=len(entries) + 1) == entries
                for begin, end, entries in self.ranges
            )
            and all(read_keys(connection, begin, end, limit=len(keys) + 1) == keys for begin, end, keys in self.keys)
        )

    def _hold_values(self, connection: sqlite3.Connection) -> bool:
        keys, values = tuple(self.values), tuple(self.values.values())
        return all(
            tuple(read_values(connection, keys[begin : begin + TOGETHER])) == values[begin : begin + TOGETHER]
            for begin in range(0, len(keys), TOGETHER)
        )


class SqliteTransaction:
    """See `kms_actors.store.api.Transaction`."""

    __slots__ = ("_asked", "_connection", "_ended", "_pool", "_priority", "_writes", "reads")

    def __init__(self, pool: SnapshotPool, priority: Priority = Priority.REQUEST) -> None:
        self.reads = Reads()
        self._pool = pool
        self._priority = priority
        self._writes = Writes()
        self._asked: list[Sequence[bytes]] = []  # to be read with the next statement, if they fit into it
        self._connection: sqlite3.Connection | None = None
        self._ended = False

    async def get(self, key: bytes) -> bytes | None:
        writes = self._open_writes()
        if not writes.reads_through(key):
            return writes.view(key, None)
        seen = self.reads.values
        if key not in seen:
            if self._asked:
                await self._read([key])
            else:
                connection = self._connection or await self._snapshot()
                try:
                    seen[key] = read_value(connection, key)
                except sqlite3.Error as error:
                    raise translate(error) from error
        return writes.view(key, seen[key])

    def get_many(self, keys: Sequence[bytes]) -> Awaitable[list[bytes | None]]:
        self._open_writes()
        self._asked.append(keys)
        return _Values(self, keys)

    async def values(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Return the values at `keys`, as they are now."""
        writes, seen = self._open_writes(), self.reads.values
        written = writes.touch(keys)
        unread = [key for key in keys if key not in seen and (not written or writes.reads_through(key))]
        if unread:
            await self._read(unread)
        if self._open_writes().touch(keys):  # meanwhile, too
            return [writes.view(key, seen.get(key)) for key in keys]
        return [seen[key] for key in keys]

    async def _read(self, keys: list[bytes]) -> None:
        """Read values that were not read yet, and beside them what else was asked for and fits into a statement."""
        seen, asked = self.reads.values, self._asked
        if asked:
            self._asked = []
            more = dict.fromkeys(key for each in asked for key in each if key not in seen)
            keys += [key for key in more if key not in keys][: -len(keys) % TOGETHER]
        for begin in range(0, len(keys), TOGETHER):
            some = keys[begin : begin + TOGETHER]
            connection = self._connection or await self._snapshot()
            try:
                seen.update(zip(some, read_values(connection, some), strict=True))
            except sqlite3.Error as error:
                raise translate(error) from error

    @property
    def size(self) -> int:
        return self._writes.size

    async def get_range(self, begin: bytes, end: bytes, *, limit: int = 0, reverse: bool = False) -> list[Entry]:
        self._open_writes()
        found: list[Entry] = []
        while begin < end:
            count = min(CHUNK, limit - len(found)) if limit else CHUNK
            chunk = await self._read_chunk(begin, end, count, reverse=reverse)
            found += self._open_writes().merge(chunk.entries, chunk.begin, chunk.end, reverse=reverse)
            if limit and len(found) >= limit:
                return found[:limit]
            begin, end = (begin, chunk.begin) if reverse else (chunk.end, end)
            await asyncio.sleep(0)
        return found

    async def get_keys(self, begin: bytes, end: bytes, *, limit: int) -> list[bytes]:
        self._open_writes()
        found: list[bytes] = []
        while begin < end and len(found) < limit:
            connection = self._connection or await self._snapshot()
            count = min(CHUNK, limit - len(found))
            try:
                keys = read_keys(connection, begin, end, limit=count)
            except sqlite3.Error as error:
                raise translate(error) from error
            behind = keys[-1] + b"\0" if len(keys) == count else end
            self.reads.keys.append((begin, behind, keys))
            entries = [(key, b"") for key in keys]
            found += [key for key, _ in self._open_writes().merge(entries, begin, behind, reverse=False)]
            begin = behind
            if begin < end and len(found) < limit:
                await asyncio.sleep(0)
        return found[:limit]

    async def snapshot_stamp(self) -> bytes:
        if self._connection is None:
            await self._snapshot()
        assert self.reads.snapshot is not None
        return self.reads.snapshot.to_bytes(8, "big") + b"\xff" * (STAMP_LENGTH - 8 + PLACE_LENGTH)

    def set(self, key: bytes, value: bytes) -> None:
        self._open_writes().set(key, value)

    def clear(self, key: bytes) -> None:
        self._open_writes().clear(key)

    def clear_range(self, begin: bytes, end: bytes) -> None:
        self._open_writes().clear_range(begin, end)

    def add(self, key: bytes, delta: int) -> None:
        self._open_writes().add(key, delta)

    def set_versionstamped(self, prefix: bytes, suffix: bytes, value: bytes) -> None:
        self._open_writes().set_versionstamped(prefix, suffix, value)

    def end(self) -> Writes:
        """Let go of the snapshot, refuse any further use, and return the writes. Idempotent."""
        self._ended = True
        if self._connection is not None:
            self._pool.give_back(self._connection, self._priority)
            self._connection = None
        return self._writes

    async def _read_chunk(self, begin: bytes, end: bytes, count: int, *, reverse: bool) -> RangeRead:
        """Read up to `count` stored entries and return them with the part of the range they cover."""
        connection = self._connection or await self._snapshot()
        try:
            entries = read_range(connection, begin, end, limit=count, reverse=reverse)
        except sqlite3.Error as error:
            raise translate(error) from error
        if len(entries) == count:
            begin, end = (entries[-1][0], end) if reverse else (begin, entries[-1][0] + b"\0")
        chunk = RangeRead(begin, end, entries)
        self.reads.ranges.append(RangeRead(begin, end, entries[::-1]) if reverse else chunk)
        return chunk

    async def _snapshot(self) -> sqlite3.Connection:
        self._open_writes()
        connection, version = await self._pool.take(self._priority)
        if self._ended or self._connection is not None:  # the body ended, or another of its reads was first
            self._pool.give_back(connection, self._priority)
            self._open_writes()
        else:
            self._connection, self.reads.snapshot = connection, version
        assert self._connection is not None
        return self._connection

    def _open_writes(self) -> Writes:
        if self._ended:
            raise RuntimeError("the transaction has ended")
        return self._writes


class _Values:
    """Reads when it is awaited: a point read here takes microseconds."""

    __slots__ = ("_keys", "_transaction")

    def __init__(self, transaction: SqliteTransaction, keys: Sequence[bytes]) -> None:
        self._transaction = transaction
        self._keys = keys

    def __await__(self) -> Generator[Any, None, list[bytes | None]]:
        return self._transaction.values(self._keys).__await__()
