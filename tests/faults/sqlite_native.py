"""The embedded store as FoundationDB transactions, so that the engine's retries run without a FoundationDB."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, Final, TypeVar

from kms_actors.store.api import Entry, Priority
from kms_actors.store.foundationdb.attempts import (
    COMMIT_UNKNOWN,
    NOT_COMMITTED,
    TOO_OLD,
)
from kms_actors.store.foundationdb.native import Failure
from kms_actors.store.sqlite.engine import SqliteStore
from kms_actors.store.writes import SetVersionstamped

T = TypeVar("T")

RETRYABLE: Final = {TOO_OLD, NOT_COMMITTED, COMMIT_UNKNOWN}
RETRIES: Final = 50


class SqliteNative:
    """See `kms_actors.store.foundationdb.native.Native`."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store
        self._transaction = store._begin(Priority.REQUEST)
        self._conflicts: list[bytes] = []
        self._deferred: dict[bytes, bytes] = {}  # written after the read that makes the conflict
        self._retries = 0

    def stand_back(self) -> None:
        """Nothing: there is nobody else."""

    def read_version(self) -> asyncio.Future[int]:
        return _future(self._read_version())

    def get(self, key: bytes, *, snapshot: bool = False) -> asyncio.Future[bytes | None]:
        return _future(self._transaction.get(key))

    def get_many(self, keys: Sequence[bytes]) -> asyncio.Future[list[bytes | None]]:
        return _future(self._transaction.values(keys))

    async def get_range(self, begin: bytes, end: bytes, *, limit: int, reverse: bool) -> list[Entry]:
        return await self._transaction.get_range(begin, end, limit=limit, reverse=reverse)

    async def get_keys(self, begin: bytes, end: bytes, *, limit: int) -> list[bytes]:
        return await self._transaction.get_keys(begin, end, limit=limit)

    def set(self, key: bytes, value: bytes) -> None:
        if key in self._conflicts:
            self._deferred[key] = value
        else:
            self._transaction.set(key, value)

    def clear(self, key: bytes) -> None:
        self._transaction.clear(key)

    def clear_range(self, begin: bytes, end: bytes) -> None:
        self._transaction.clear_range(begin, end)

    def add(self, key: bytes, delta: bytes) -> None:
        self._transaction.add(key, int.from_bytes(delta, "little", signed=True))

    def set_versionstamped(self, prefix: bytes, suffix: bytes, value: bytes) -> None:
        # As the engine counted them: the place of each is in its suffix already.
        self._transaction._writes.log.append(SetVersionstamped(prefix, suffix, value))

    def add_read_conflict(self, key: bytes) -> None:
        self._conflicts.append(key)

    def watch(self, key: bytes) -> asyncio.Future[None]:
        raise NotImplementedError

    def commit(self) -> asyncio.Future[None]:
        return _future(self._commit())

    def on_error(self, code: int) -> asyncio.Future[None]:
        return _future(self._renew(code))

    def end_within(self, seconds: float) -> None:
        """The embedded store answers at once."""

    def destroy(self) -> None:
        self._transaction.end()

    async def _read_version(self) -> int:
        return int.from_bytes((await self._transaction.snapshot_stamp())[:8], "big")

    async def _commit(self) -> None:
        for key in self._conflicts:
            await self._transaction.get(key)
        for key, value in self._deferred.items():
            self._transaction.set(key, value)
        writes = self._transaction.end()
        if writes.log and not await self._store._writer.commit(self._transaction.reads, writes.log):
            raise Failure(NOT_COMMITTED)

    async def _renew(self, code: int) -> None:
        self._retries += 1
        if code not in RETRYABLE or self._retries > RETRIES:
            raise Failure(code)
        await asyncio.sleep(0)
        self._transaction.end()
        self._transaction = self._store._begin(Priority.REQUEST)
        self._conflicts.clear()
        self._deferred.clear()


def _future(work: Coroutine[Any, Any, T]) -> asyncio.Future[T]:
    return asyncio.ensure_future(work)
