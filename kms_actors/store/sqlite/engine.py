"""The embedded engine: one SQLite file, for any number of processes of one machine.

Bodies read at a snapshot of their own on the event loop, where a point read takes microseconds and never
waits for a writer. One thread commits: it compares what a transaction has read with what is there now, by
value, so a transaction behaves as if it had run at the moment of its commit.
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Self

from kms_actors import request_context
from kms_actors.clock import elapsed
from kms_actors.errors import DeadlinePassed, StoreError, StoreUnavailable, TransactionConflict
from kms_actors.request_context import BATCH_SECONDS, REQUEST_SECONDS
from kms_actors.store.api import Body, Priority, T
from kms_actors.store.sqlite.file import (
    open_file,
    read_value,
    translate,
)
from kms_actors.store.sqlite.pool import SnapshotPool
from kms_actors.store.sqlite.transaction import SqliteTransaction
from kms_actors.store.sqlite.watches import Watches
from kms_actors.store.sqlite.writer import (
    Commit,
    Outcomes,
    Writer,
)

#: Seconds to pause before a transaction that conflicts is tried again, at most. Whoever pauses the longer the more
#: often it lost goes on losing: processes that write one secret over and over would keep each other out for half a
#: second.
PAUSE_SECONDS: Final = 0.001


class SqliteStore:
    """See `kms_actors.store.api.Store`. Opened by `SqliteStore.open`; never carried across a fork."""

    def __init__(self, path: Path, reading: sqlite3.Connection, writing: sqlite3.Connection) -> None:
        self._pool = SnapshotPool(path)
        self._watches = Watches(reading)
        self._writer = Writer(writing, self._settle)
        self._closed = False

    @classmethod
    async def open(cls, path: Path) -> Self:
        """Open the store at `path`; the file and its directory are made if absent.

        Raises:
            StoreUnavailable: it cannot be opened; the text names the path.
            FormatError: a newer program made it.

        """
        return cls(path, *await asyncio.to_thread(open_file, path))

    async def run(
        self, body: Body[T], *, idempotency_key: bytes | None = None, priority: Priority = Priority.REQUEST
    ) -> T:
        """See `Store.run`. A commit here is never tried twice, so `idempotency_key` needs nothing."""
        latest, now = request_context.current().ends, elapsed()
        if now > latest:
            raise DeadlinePassed("the request's time is over")
        ends = min(latest, now + (REQUEST_SECONDS if priority is Priority.REQUEST else BATCH_SECONDS))
        while True:
            transaction = self._begin(priority)
            try:
                result = await body(transaction)
            finally:
                writes = transaction.end()
            if not writes.log or await self._writer.commit(transaction.reads, writes.log, latest, priority):
                return result
            if elapsed() > ends:
                raise TransactionConflict("a transaction met conflicting ones too often")
            await asyncio.sleep(random.uniform(0, PAUSE_SECONDS))  # noqa: S311

    async def watch(self, key: bytes) -> asyncio.Future[None]:
        """See `Store.watch`."""
        self._check_open()
        connection, _ = await self._pool.take()
        try:
            # Nothing awaits between the snapshot and the registration: every later commit is noticed.
            return self._watches.add(key, read_value(connection, key))
        except sqlite3.Error as error:
            raise translate(error) from error
        finally:
            self._pool.give_back(connection)

    async def close(self) -> None:
        """Wait for the queued commits, complete all watches, close. Idempotent."""
        self._closed = True
        self._pool.close()
        await self._watches.close()
        await self._writer.close()  # last, so that it is the one to fold the write-ahead log into the file

    def _begin(self, priority: Priority) -> SqliteTransaction:
        self._check_open()
        return SqliteTransaction(self._pool, priority)

    def _check_open(self) -> None:
        if self._closed:
            raise StoreUnavailable("the store is closed")

    def _settle(self, group: Sequence[Commit], outcomes: Outcomes) -> None:
        for commit, outcome in zip(group, outcomes, strict=True):
            if outcome is True:
                self._watches.notify(commit.log)
            if commit.done.done():  # cancelled
                continue
            if isinstance(outcome, StoreError):
                commit.done.set_exception(outcome)
            else:
                commit.done.set_result(outcome)
