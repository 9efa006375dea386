"""A bounded pool of connections that each hold one read snapshot while taken."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import Final

from kms_actors.clock import elapsed
from kms_actors.errors import StoreUnavailable
from kms_actors.request_context import ends_of_run
from kms_actors.store.api import Priority
from kms_actors.store.sqlite.file import (
    LOCK_SECONDS,
    connect,
    is_busy,
    read_version,
    translate,
)

#: Transactions that may read at the same time; others wait.
CONNECTIONS: Final = 32
#: Of these, those that work which stands back may have.
BATCH_CONNECTIONS: Final = 8


class SnapshotPool:
    """Gives out snapshots of one database file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._idle: list[sqlite3.Connection] = []
        self._places = asyncio.Semaphore(CONNECTIONS)
        self._batch_places = asyncio.Semaphore(BATCH_CONNECTIONS)
        self._closed = False

    async def take(self, priority: Priority = Priority.REQUEST) -> tuple[sqlite3.Connection, int]:
        """Return a connection at a snapshot of now, and that snapshot's commit version."""
        await self._take_places(priority)
        try:
            return await self._begin()
        except BaseException:
            self._release_places(priority)
            raise

    def give_back(self, connection: sqlite3.Connection, priority: Priority = Priority.REQUEST) -> None:
        """End a snapshot that was taken with this priority."""
        self._release_places(priority)
        self._rest(connection)

    def close(self) -> None:
        """Close what is idle, now, and what is taken, when it comes back."""
        self._closed = True
        while self._idle:
            self._idle.pop().close()

    async def _take_places(self, priority: Priority) -> None:
        if priority is Priority.REQUEST:
            await _take_place(self._places)
            return
        await _take_place(self._batch_places)
        try:
            await _take_place(self._places)
        except BaseException:
            self._batch_places.release()
            raise

    def _release_places(self, priority: Priority) -> None:
        self._places.release()
        if priority is Priority.BATCH:
            self._batch_places.release()

    async def _begin(self) -> tuple[sqlite3.Connection, int]:
        deadline = 0.0  # asked for at the first lock that is met
        while not self._closed:
            connection = None
            try:
                connection = self._idle.pop() if self._idle else connect(self._path, read_only=True)
                connection.execute("BEGIN")
                return connection, read_version(connection)
            except sqlite3.Error as error:
                if connection is not None:
                    self._rest(connection)
                # Readers meet a lock only while another process recovers or removes the write-ahead log.
                deadline = deadline or ends_of_run(LOCK_SECONDS)
                if not is_busy(error) or elapsed() > deadline:
                    raise translate(error) from error
            await asyncio.sleep(0.002)
        raise StoreUnavailable("the store is closed")

    def _rest(self, connection: sqlite3.Connection) -> None:
        try:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        except sqlite3.Error:
            connection.close()
            return
        if self._closed:
            connection.close()
        else:
            self._idle.append(connection)


async def _take_place(places: asyncio.Semaphore) -> None:
    if not places.locked():
        await places.acquire()
        return
    try:
        # Bounded, since bodies that open transactions of their own could wait for each other.
        async with asyncio.timeout(ends_of_run(LOCK_SECONDS) - elapsed()):
            await places.acquire()
    except TimeoutError:
        raise StoreUnavailable("the store has too many transactions open") from None
