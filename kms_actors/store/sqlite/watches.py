"""Watches of a SQLite store: told of this handle's commits, and polling for those of others."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Final

from kms_actors.store.sqlite.file import read_value
from kms_actors.store.writes import Add, Clear, ClearRange, Mutation, Set

#: Seconds between two looks at whether another process has committed.
POLL_SECONDS: Final = 0.05
#: Keys compared in one go; the event loop turns between two.
CHUNK: Final = 256

Future = asyncio.Future[None]


class Watches:
    """Futures by key. Owns `connection`, whose `data_version` moves with commits of any other connection."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._waiting: dict[bytes, dict[Future, bytes | None]] = {}
        self._poller: asyncio.Task[None] | None = None

    def add(self, key: bytes, seen: bytes | None) -> Future:
        """Return a future that completes once the value at `key` is, or may be, another than `seen`."""
        future: Future = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(key, {})[future] = seen
        future.add_done_callback(partial(self._forget, key))
        if self._poller is None:
            self._poller = asyncio.create_task(self._poll(), name="store-watch-poller")
        return future

    def notify(self, log: Sequence[Mutation]) -> None:
        """Complete the watches of the keys that a commit changed (versionstamped ones are left to the poller)."""
        if not self._waiting:
            return
        for mutation in log:
            match mutation:
                case Set(key) | Clear(key) | Add(key):
                    self._complete(self._waiting.get(key, ()))
                case ClearRange(begin, end):
                    for key, futures in self._waiting.items():
                        if begin <= key < end:
                            self._complete(futures)

    async def close(self) -> None:
        """Complete all watches and close the connection. Idempotent."""
        self._complete_all()
        if self._poller is not None:
            self._poller.cancel()
            await asyncio.wait([self._poller])
        self._connection.close()

    async def _poll(self) -> None:
        last = None  # the first look compares: a change may have come between a watch and its poller
        while self._waiting:
            try:
                version = self._connection.execute("PRAGMA data_version").fetchone()
                if version != last:
                    await self._compare()
                last = version
            except sqlite3.Error:
                self._complete_all()  # who watched reads again, and meets the error
            await asyncio.sleep(POLL_SECONDS)
        self._poller = None

    async def _compare(self) -> None:
        for count, (key, futures) in enumerate(list(self._waiting.items()), 1):
            value = read_value(self._connection, key)
            self._complete([future for future, seen in futures.items() if seen != value])
            if count % CHUNK == 0:
                await asyncio.sleep(0)

    def _complete_all(self) -> None:
        for futures in self._waiting.values():
            self._complete(futures)

    @staticmethod
    def _complete(futures: Iterable[Future]) -> None:
        for future in futures:
            if not future.done():
                future.set_result(None)

    def _forget(self, key: bytes, future: Future) -> None:
        futures = self._waiting[key]
        del futures[future]
        if not futures:
            del self._waiting[key]
