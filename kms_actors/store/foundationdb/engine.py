"""The engine for clusters: FoundationDB 7.3 or later."""

from __future__ import annotations

import asyncio
import ctypes
from pathlib import Path
from typing import Any, Final, Self

from kms_actors.errors import StoreUnavailable
from kms_actors.store.api import Body, Priority, T
from kms_actors.store.foundationdb.attempts import (
    ATTEMPT_SECONDS,
    back_off,
    run_body,
)
from kms_actors.store.foundationdb.futures import (
    Failure,
    Futures,
)
from kms_actors.store.foundationdb.library import (
    load,
    open_database,
)
from kms_actors.store.foundationdb.native import (
    Native,
    NativeTransaction,
)
from kms_actors.store.foundationdb.operations import Operations
from kms_actors.store.keyspace import HEADER

#: A transaction that fails is tried again this often, after at most so many milliseconds; but see `MOST_CONFLICTS`.
RETRIES: Final = 50
RETRY_MILLISECONDS: Final = 60
#: Watches of one store at a time. The client is allowed more, since it lets go of ended ones a little later.
WATCHES: Final = 10_000
#: Seconds to spend on removing its own traces when the store closes.
CLEANING_SECONDS: Final = 1.0


class FoundationDbStore:
    """See `kms_actors.store.api.Store`. Opened by `FoundationDbStore.open`; never carried across a fork.

    Keys must be below ``fe``: the engine keeps the chunks of long values and its operation ids above.
    """

    def __init__(self, library: ctypes.CDLL, database: Any) -> None:
        self._library = library
        self._database = database
        self._futures = Futures(library, asyncio.get_running_loop())
        self._operations = Operations()
        self._watches: set[asyncio.Future[None]] = set()
        self._closing = asyncio.Lock()

    @classmethod
    async def open(cls, cluster_file: Path, api_version: int, *, timeout_seconds: float = ATTEMPT_SECONDS) -> Self:
        """Open the database of `cluster_file`.

        Raises:
            StoreUnavailable: no client library, a bad cluster file, or no answer in time; the text says which.

        """
        library = await asyncio.to_thread(load, api_version)
        options = {
            "transaction_timeout": int(timeout_seconds * 1000),
            "transaction_retry_limit": RETRIES,
            "transaction_max_retry_delay": RETRY_MILLISECONDS,
            "max_watches": 2 * WATCHES,
        }
        store = cls(library, await asyncio.to_thread(open_database, cluster_file, options))
        try:
            await store.run(lambda transaction: transaction.get(HEADER))
        except StoreUnavailable as error:
            await store.close()
            raise StoreUnavailable(f"cluster file {cluster_file}: {error}") from error
        return store

    async def run(
        self, body: Body[T], *, idempotency_key: bytes | None = None, priority: Priority = Priority.REQUEST
    ) -> T:
        """See `Store.run`. Every transaction here has an operation id, so `idempotency_key` needs nothing."""
        self._check_open()
        operation = self._operations.take()
        try:
            return await run_body(self._begin, operation, body, priority)
        finally:
            self._operations.give_back(operation)

    async def watch(self, key: bytes) -> asyncio.Future[None]:
        """See `Store.watch`. More than `WATCHES` at a time raise StoreUnavailable."""
        self._check_open()
        if len(self._watches) >= WATCHES:
            raise StoreUnavailable("the store has too many watches")
        native = self._begin()
        try:
            while True:
                watch = native.watch(key)
                try:
                    await native.commit()
                    break
                except Failure as failure:
                    watch.cancel()
                    await back_off(native, failure)
                except asyncio.CancelledError:
                    watch.cancel()
                    raise
        finally:
            native.destroy()
        self._watches.add(watch)
        watch.add_done_callback(self._watches.discard)
        return watch

    async def close(self) -> None:
        """Complete all watches, finish the commits under way, close. Idempotent."""
        self._operations.closed = True
        for watch in list(self._watches):
            if not watch.done():
                watch.set_result(None)
        async with self._closing:
            if self._database is None:
                return
            await self._operations.finish()
            await self._remove_operations()
            self._database = None

    def _begin(self) -> Native:
        if self._database is None:
            raise StoreUnavailable("the store is closed")
        return NativeTransaction(self._library, self._futures, self._database.dpointer)

    async def _remove_operations(self) -> None:
        native = self._begin()
        try:
            if self._operations.remove_all(native):
                async with asyncio.timeout(CLEANING_SECONDS):
                    await native.commit()
        except (Failure, TimeoutError):
            pass  # a few small records stay
        finally:
            native.destroy()

    def _check_open(self) -> None:
        if self._operations.closed:
            raise StoreUnavailable("the store is closed")
