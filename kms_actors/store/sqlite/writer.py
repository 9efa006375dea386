"""The one thread that writes to a SQLite store: takes queued transactions in groups, one disk sync a group.

Transactions of requests come first. Those of batch priority wait for a moment without any, though not for ever, and
are written one at a time, so that a request waits for one of them at most.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import random
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Final, TypeGuard

from kms_actors.clock import elapsed
from kms_actors.errors import DeadlinePassed, StoreError, StoreUnavailable
from kms_actors.store.api import Priority
from kms_actors.store.sqlite.file import (
    LOCK_SECONDS,
    is_busy,
    read_value,
    read_version,
    translate,
)
from kms_actors.store.sqlite.transaction import Reads
from kms_actors.store.writes import Add, Clear, ClearRange, Mutation, Set, SetVersionstamped, plus

#: Transactions in a group at most.
GROUP: Final = 256

_PUT: Final = "REPLACE INTO kv VALUES (?, ?)"


@dataclass(frozen=True, slots=True, eq=False)
class Commit:
    """A transaction on its way; `done` becomes whether it was applied (False: a conflict). Never after `ends`."""

    reads: Reads
    log: Sequence[Mutation]
    ends: float  # of the clock `elapsed`
    done: asyncio.Future[bool]
    priority: Priority = Priority.REQUEST
    queued: float = field(default_factory=time.monotonic)


#: For each commit of a group: whether it was applied, or why it, or none of the group, was.
Outcomes = Sequence[bool | StoreError]

#: Once another process was met, the lock is left alone for a moment before each group, for so many seconds: who comes
#: from a commit would take it again before those that wait for it look.
_YIELD_SECONDS: Final = 0.0004
_ALERT_SECONDS: Final = 1.0
#: Seconds that a transaction of batch priority gives way at most.
PATIENCE_SECONDS: Final = 0.25

#: Seconds between two looks for commits that are waited for past their end: the disk may stand still.
_LOOK_SECONDS: Final = 0.25


class Writer:
    """Owns the writing connection. `settle` is called on the event loop after each group."""

    def __init__(self, connection: sqlite3.Connection, settle: Callable[[Sequence[Commit], Outcomes], None]) -> None:
        self._connection = connection
        self._settle = settle
        self._loop = asyncio.get_running_loop()
        self._queue: queue.SimpleQueue[Commit | None] = queue.SimpleQueue()
        self._standing_back: deque[Commit] = deque()  # the thread's own
        self._ending = False  # the thread's own: nothing more is in the queue
        self._closed = False
        self._met_other = float("-inf")  # when another process last held the lock
        self._waiting: dict[Commit, None] = {}  # those that have an end
        self._look: asyncio.TimerHandle | None = None
        self._thread = threading.Thread(target=self._work, name="store-writer", daemon=True)
        self._thread.start()

    async def commit(
        self, reads: Reads, log: Sequence[Mutation], ends: float = inf, priority: Priority = Priority.REQUEST
    ) -> bool:
        """Return once the writes are on disk (True), or what was read has changed (False).

        Raises:
            DeadlinePassed: `ends` has come; the writes are not begun after it, but may have been before.

        """
        if self._closed:
            raise StoreUnavailable("the store is closed")
        done: asyncio.Future[bool] = self._loop.create_future()
        commit = Commit(reads, log, ends, done, priority)
        self._queue.put(commit)
        if ends == inf:
            return await done
        self._waiting[commit] = None
        if self._look is None:
            self._look = self._loop.call_later(_LOOK_SECONDS, self._end_late)
        try:
            return await done
        finally:
            del self._waiting[commit]

    async def close(self) -> None:
        """Write what is queued, then end. Idempotent."""
        if not self._closed:
            self._closed = True
            self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    def _end_late(self) -> None:
        """Answer those who have waited past their end; come again while anybody waits."""
        now = elapsed()
        for commit in self._waiting:
            if commit.ends < now and not commit.done.done():
                commit.done.set_exception(DeadlinePassed("the store did not answer in time"))
        self._look = self._loop.call_later(_LOOK_SECONDS, self._end_late) if self._waiting else None

    def _work(self) -> None:
        while (first := self._next()) is not None:
            group = [first]
            outcomes = self._write(group)
            with contextlib.suppress(RuntimeError):  # a closed loop: nobody waits any more
                self._loop.call_soon_threadsafe(self._settle, group, outcomes)
        self._connection.close()

    def _next(self) -> Commit | None:
        """Return what to write next, or None when all is written and nothing more will come."""
        waiting = self._standing_back
        while True:
            if waiting and (self._ending or time.monotonic() > waiting[0].queued + PATIENCE_SECONDS):
                return waiting.popleft()
            if self._ending:
                return None
            try:
                commit = self._queue.get(block=not waiting)
            except queue.Empty:
                return waiting.popleft()
            if self._takes(commit):
                return commit

    def _takes(self, commit: Commit | None) -> TypeGuard[Commit]:
        """Tell whether to write it now; else it waits, or is the sign of the end."""
        if commit is None:
            self._ending = True
            return False
        if commit.priority is Priority.BATCH:
            self._standing_back.append(commit)
            return False
        return True

    def _write(self, group: list[Commit]) -> Outcomes:
        """Write `group` and what has queued up by the time the lock is ours; extends `group`."""
        try:
            if group[0].priority is Priority.BATCH or time.monotonic() < self._met_other + _ALERT_SECONDS:
                time.sleep(_YIELD_SECONDS)
            self._lock()
            self._gather(group)
            outcomes = self._apply_group(group)
            self._connection.execute("COMMIT")
        except Exception as error:  # noqa: BLE001  a dead thread would leave every caller waiting
            with contextlib.suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")
            self._gather(group)
            return [_failure(error) for _ in group]
        return outcomes

    def _lock(self) -> None:
        deadline = time.monotonic() + LOCK_SECONDS
        while True:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if not is_busy(error) or time.monotonic() > deadline:
                    raise
                self._met_other = time.monotonic()
                # Shorter than SQLite's own waits of up to 100 ms: another process holds it for one disk sync.
                time.sleep(random.uniform(0.0002, 0.002))  # noqa: S311
            else:
                return

    def _gather(self, group: list[Commit]) -> None:
        with contextlib.suppress(queue.Empty):
            while len(group) < GROUP:
                commit = self._queue.get_nowait()
                if self._takes(commit):
                    group.append(commit)

    def _apply_group(self, group: Sequence[Commit]) -> list[bool | StoreError]:
        before = version = read_version(self._connection)
        outcomes: list[bool | StoreError] = []
        now = elapsed()
        for commit in group:
            if commit.ends < now:
                outcomes.append(DeadlinePassed("the request's time was over before its commit"))
                continue
            applied = commit.reads.hold(self._connection, version)
            if applied:
                version += 1
                stamp = version.to_bytes(8, "big") + b"\0\0"
                for mutation in commit.log:
                    _apply(self._connection, mutation, stamp)
            outcomes.append(applied)
        if version != before:
            self._connection.execute("UPDATE commits SET version = ?", (version,))
        return outcomes


def _apply(connection: sqlite3.Connection, mutation: Mutation, stamp: bytes) -> None:
    match mutation:
        case Set(key, value):
            connection.execute(_PUT, (key, value))
        case Clear(key):
            connection.execute("DELETE FROM kv WHERE key = ?", (key,))
        case ClearRange(begin, end):
            connection.execute("DELETE FROM kv WHERE key >= ? AND key < ?", (begin, end))
        case Add(key, delta):
            connection.execute(_PUT, (key, plus(read_value(connection, key), delta)))
        case SetVersionstamped(prefix, suffix, value):
            connection.execute(_PUT, (prefix + stamp + suffix, value))


def _failure(error: Exception) -> StoreError:
    if isinstance(error, sqlite3.Error):
        return translate(error)
    return StoreUnavailable(f"the store's writer failed ({type(error).__name__})")
