"""Faults of FoundationDB around transactions of either engine, drawn from a seed.

Every choice comes from one generator and every delay is counted in steps (transactions begun, reads, commits),
never in time: as long as the test itself goes one step at a time, a seed gives the same faults again.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from kms_actors.store.api import Body, Entry, Priority, Store, T
from kms_actors.store.foundationdb.attempts import (
    COMMIT_UNKNOWN,
    NOT_COMMITTED,
    TIMED_OUT,
    TOO_OLD,
    run_body,
)
from kms_actors.store.foundationdb.engine import FoundationDbStore
from kms_actors.store.foundationdb.native import (
    Failure,
    Native,
)
from kms_actors.store.foundationdb.operations import Operations
from kms_actors.store.sqlite.engine import SqliteStore
from tests.faults.sqlite_native import SqliteNative


class Fate(Enum):
    """What a commit meets: the error the engine sees, and when, if ever, it is applied in truth."""

    TOO_OLD = (TOO_OLD, "never")
    CONFLICT = (NOT_COMMITTED, "never")
    UNKNOWN_APPLIED = (COMMIT_UNKNOWN, "now")
    UNKNOWN_NOT_APPLIED = (COMMIT_UNKNOWN, "never")
    TIMED_OUT_APPLIED = (TIMED_OUT, "now")
    TIMED_OUT_NOT_APPLIED = (TIMED_OUT, "never")
    TIMED_OUT_LATE = (TIMED_OUT, "late")


#: A late commit reaches the database up to so many steps after its time-out.
LATEST: Final = 8


@dataclass
class Faults:
    """Decides the fate of commits and reads: first as scripted, then by chance."""

    seed: int = 0
    rate: float = 0.0
    read_rate: float = 0.0
    script: list[Fate | None] = field(default_factory=list)
    failing_reads: int = 0  # the first so many reads fail
    late_after: int | None = None  # steps; None: by chance
    met: list[Fate] = field(default_factory=list)
    stood_back: int = 0  # attempts

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._late: list[tuple[int, Native]] = []
        self._step = 0

    def fate(self) -> Fate | None:
        """Return what the next commit meets; None: nothing, it goes through."""
        if self.script:
            fate = self.script.pop(0)
        else:
            fate = self._random.choice(list(Fate)) if self._random.random() < self.rate else None
        if fate is not None:
            self.met.append(fate)
        return fate

    def read_fails(self) -> bool:
        """Return whether the next read finds its snapshot too old."""
        if self.failing_reads:
            self.failing_reads -= 1
            return True
        return self.read_rate > 0 and self._random.random() < self.read_rate

    def delay(self, native: Native) -> None:
        """Let a commit be under way until some later step."""
        steps = self._random.randint(1, LATEST) if self.late_after is None else self.late_after
        self._late.append((self._step + steps, native))

    async def step(self) -> None:
        """Let those late commits arrive whose time has come."""
        self._step += 1
        due = [native for step, native in self._late if step <= self._step]
        self._late = [(step, native) for step, native in self._late if step > self._step]
        for native in due:
            await _arrive(native)

    async def arrive(self) -> None:
        """Let all late commits arrive now."""
        late, self._late = self._late, []
        for _, native in late:
            await _arrive(native)


class FaultyNative:
    """See `kms_actors.store.foundationdb.native.Native`."""

    def __init__(self, native: Native, faults: Faults) -> None:
        self._native = native
        self._faults = faults
        self._late = False
        writing = ("set", "clear", "clear_range", "add", "set_versionstamped")
        for name in (*writing, "add_read_conflict", "on_error", "end_within"):
            setattr(self, name, getattr(native, name))
        self.read_version = native.read_version

    def get(self, key: bytes, *, snapshot: bool = False) -> asyncio.Future[bytes | None]:
        return asyncio.ensure_future(self._get(key, snapshot))

    def get_many(self, keys: Sequence[bytes]) -> asyncio.Future[list[bytes | None]]:
        return asyncio.ensure_future(self._get_many(keys))

    async def _get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        return [await self._get(key, snapshot=False) for key in keys]

    async def get_range(self, begin: bytes, end: bytes, *, limit: int, reverse: bool) -> list[Entry]:
        await self._read()
        return await self._native.get_range(begin, end, limit=limit, reverse=reverse)

    async def get_keys(self, begin: bytes, end: bytes, *, limit: int) -> list[bytes]:
        await self._read()
        return await self._native.get_keys(begin, end, limit=limit)

    def stand_back(self) -> None:
        self._faults.stood_back += 1
        self._native.stand_back()

    def commit(self) -> asyncio.Future[None]:
        return asyncio.ensure_future(self._commit())

    def destroy(self) -> None:
        if not self._late:
            self._native.destroy()

    async def _get(self, key: bytes, snapshot: bool) -> bytes | None:
        await self._read()
        return await self._native.get(key, snapshot=snapshot)

    async def _read(self) -> None:
        await self._faults.step()
        if self._faults.read_fails():
            raise Failure(TOO_OLD)

    async def _commit(self) -> None:
        await self._faults.step()
        fate = self._faults.fate()
        if fate is None:
            await self._native.commit()
            return
        code, applied = fate.value
        if applied == "now":
            await self._native.commit()  # a conflict of its own is that, and nothing else
        elif applied == "late":
            await self._native.get(b"", snapshot=True)  # what is on its way has a read version
            self._late = True
            self._faults.delay(self._native)
        raise Failure(code)


class FaultyStore:
    """A store whose transactions are run by the FoundationDB engine's retries and meet `faults`."""

    def __init__(self, store: Store, faults: Faults) -> None:
        self._store = store
        self._faults = faults
        self._operations = Operations()
        self._begin_native = beginning(store)

    async def run(
        self, body: Body[T], *, idempotency_key: bytes | None = None, priority: Priority = Priority.REQUEST
    ) -> T:
        await self._faults.step()
        operation = self._operations.take()
        try:
            return await run_body(self._begin, operation, body, priority)
        finally:
            self._operations.give_back(operation)

    async def watch(self, key: bytes) -> asyncio.Future[None]:
        return await self._store.watch(key)

    async def close(self) -> None:
        await self._faults.arrive()
        await self._store.close()

    def _begin(self) -> Native:
        return FaultyNative(self._begin_native(), self._faults)  # type: ignore[return-value]  # set by name


def beginning(store: Store) -> Callable[[], Native]:
    """Return what begins transactions of the store as the FoundationDB engine takes them."""
    if isinstance(store, FoundationDbStore):
        return store._begin
    assert isinstance(store, SqliteStore)
    return lambda: SqliteNative(store)


async def _arrive(native: Native) -> None:
    try:
        await native.commit()
    except Failure:
        pass  # fenced off, as it should be
    finally:
        native.destroy()
