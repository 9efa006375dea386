"""A transaction of the FoundationDB client: what the engine asks of one, and the real one."""

from __future__ import annotations

import asyncio
import ctypes
from collections.abc import Sequence
from typing import Final, Protocol

from kms_actors.store.api import STAMP_LENGTH, Entry
from kms_actors.store.foundationdb.futures import (
    Failure,
    Futures,
)

_WANT_ALL: Final = -2  # streaming mode
_FIRST_GREATER_OR_EQUAL: Final = (0, 1)  # of a key selector
_ADD: Final = 2
_SET_VERSIONSTAMPED_KEY: Final = 14
_READ_CONFLICT: Final = 0
#: Options of a transaction.
_PRIORITY_BATCH: Final = 201
_TIMEOUT: Final = 500


class Native(Protocol):
    """Reads and commits raise `Failure`. Keys and values are as stored."""

    def stand_back(self) -> None:
        """Give way to other transactions; forgotten by `on_error`."""

    def read_version(self) -> asyncio.Future[int]:
        """Return the version that is read at."""

    def get(self, key: bytes, *, snapshot: bool = False) -> asyncio.Future[bytes | None]:
        """Return the value at `key`; with `snapshot`, without a read conflict."""

    def get_many(self, keys: Sequence[bytes]) -> asyncio.Future[list[bytes | None]]:
        """Return the values at `keys`, read together."""

    async def get_range(self, begin: bytes, end: bytes, *, limit: int, reverse: bool) -> list[Entry]: ...
    async def get_keys(self, begin: bytes, end: bytes, *, limit: int) -> list[bytes]: ...
    def set(self, key: bytes, value: bytes) -> None: ...
    def clear(self, key: bytes) -> None: ...
    def clear_range(self, begin: bytes, end: bytes) -> None: ...
    def add(self, key: bytes, delta: bytes) -> None: ...
    def set_versionstamped(self, prefix: bytes, suffix: bytes, value: bytes) -> None: ...

    def add_read_conflict(self, key: bytes) -> None:
        """Make a concurrent write of `key` a conflict."""

    def watch(self, key: bytes) -> asyncio.Future[None]:
        """Return a future that completes on a change of `key` after this transaction, which must commit."""

    def commit(self) -> asyncio.Future[None]: ...

    def on_error(self, code: int) -> asyncio.Future[None]:
        """Make the transaction new after a while, if an error of that code calls for a retry; else raise it."""

    def end_within(self, seconds: float) -> None:
        """Let all that is under way fail (time-out) once so many seconds are over."""

    def destroy(self) -> None:
        """Free it; what is under way fails. Idempotent."""


class NativeTransaction:
    """See `Native`."""

    __slots__ = ("_address", "_futures", "_library")

    def __init__(self, library: ctypes.CDLL, futures: Futures, database: int) -> None:
        self._library = library
        self._futures = futures
        out = ctypes.c_void_p()
        code = library.fdb_database_create_transaction(database, out)
        if code:
            raise futures.failure(code)
        self._address = out.value

    def stand_back(self) -> None:
        code = self._library.fdb_transaction_set_option(self._address, _PRIORITY_BATCH, b"", 0)
        if code:
            raise self._futures.failure(code)

    def read_version(self) -> asyncio.Future[int]:
        return self._futures.number(self._library.fdb_transaction_get_read_version(self._address))

    def get(self, key: bytes, *, snapshot: bool = False) -> asyncio.Future[bytes | None]:
        return self._futures.value(self._library.fdb_transaction_get(self._address, key, len(key), snapshot))

    def get_many(self, keys: Sequence[bytes]) -> asyncio.Future[list[bytes | None]]:
        get, address = self._library.fdb_transaction_get, self._address
        return self._futures.values([get(address, key, len(key), False) for key in keys])

    async def get_range(self, begin: bytes, end: bytes, *, limit: int, reverse: bool) -> list[Entry]:
        found: list[Entry] = []
        iteration, more = 1, begin < end
        while more:
            rows, more = await self._get_rows(begin, end, limit and limit - len(found), iteration, reverse)
            found += rows
            if not rows or len(found) == limit:
                break
            begin, end = (begin, rows[-1][0]) if reverse else (rows[-1][0] + b"\0", end)
            iteration += 1
        return found

    async def get_keys(self, begin: bytes, end: bytes, *, limit: int) -> list[bytes]:
        found: list[bytes] = []
        iteration, more = 1, begin < end
        while more and len(found) < limit:
            address = self._ask_for_rows(begin, end, limit - len(found), iteration, reverse=False)
            keys, more = await self._futures.keys(address)
            if not keys:
                break
            found += keys
            begin = keys[-1] + b"\0"
            iteration += 1
        return found

    def set(self, key: bytes, value: bytes) -> None:
        self._library.fdb_transaction_set(self._address, key, len(key), value, len(value))

    def clear(self, key: bytes) -> None:
        self._library.fdb_transaction_clear(self._address, key, len(key))

    def clear_range(self, begin: bytes, end: bytes) -> None:
        self._library.fdb_transaction_clear_range(self._address, begin, len(begin), end, len(end))

    def add(self, key: bytes, delta: bytes) -> None:
        self._library.fdb_transaction_atomic_op(self._address, key, len(key), delta, len(delta), _ADD)

    def set_versionstamped(self, prefix: bytes, suffix: bytes, value: bytes) -> None:
        key = prefix + bytes(STAMP_LENGTH) + suffix + len(prefix).to_bytes(4, "little")
        self._library.fdb_transaction_atomic_op(
            self._address, key, len(key), value, len(value), _SET_VERSIONSTAMPED_KEY
        )

    def add_read_conflict(self, key: bytes) -> None:
        end = key + b"\0"
        self._library.fdb_transaction_add_conflict_range(self._address, key, len(key), end, len(end), _READ_CONFLICT)

    def watch(self, key: bytes) -> asyncio.Future[None]:
        return self._futures.change(self._library.fdb_transaction_watch(self._address, key, len(key)))

    def commit(self) -> asyncio.Future[None]:
        return self._futures.nothing(self._library.fdb_transaction_commit(self._address))

    def on_error(self, code: int) -> asyncio.Future[None]:
        return self._futures.nothing(self._library.fdb_transaction_on_error(self._address, code))

    def end_within(self, seconds: float) -> None:
        value = max(1, int(seconds * 1000)).to_bytes(8, "little", signed=True)
        self._library.fdb_transaction_set_option(self._address, _TIMEOUT, value, len(value))

    def destroy(self) -> None:
        if self._address is not None:
            self._library.fdb_transaction_destroy(self._address)
            self._address = None

    def _get_rows(
        self, begin: bytes, end: bytes, limit: int, iteration: int, reverse: bool
    ) -> asyncio.Future[tuple[list[Entry], bool]]:
        return self._futures.rows(self._ask_for_rows(begin, end, limit, iteration, reverse=reverse))

    def _ask_for_rows(self, begin: bytes, end: bytes, limit: int, iteration: int, *, reverse: bool) -> int:
        first, last = (begin, len(begin), *_FIRST_GREATER_OR_EQUAL), (end, len(end), *_FIRST_GREATER_OR_EQUAL)
        address: int = self._library.fdb_transaction_get_range(
            self._address, *first, *last, limit, 0, _WANT_ALL, iteration, False, reverse
        )
        return address


__all__ = ["Failure", "Native", "NativeTransaction"]
