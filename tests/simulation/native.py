"""The FoundationDB client over a simulated network: what the engine of the product asks of one transaction.

Each call takes a drawn time each way. What is lost on the way ends only with the transaction's time-out, and a commit
that is lost on the way back was applied. A cut-off process reaches nothing, in either direction.
"""

from __future__ import annotations

import asyncio
import contextvars
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Any, Final, TypeVar

from kms_actors.store.api import Entry
from kms_actors.store.foundationdb.attempts import (
    ATTEMPT_SECONDS,
    BATCH_THROTTLED,
    CLUSTER_VERSION_CHANGED,
    COMMIT_UNKNOWN,
    NOT_COMMITTED,
    TIMED_OUT,
    TOO_OLD,
)
from kms_actors.store.foundationdb.engine import RETRIES, RETRY_MILLISECONDS, FoundationDbStore
from kms_actors.store.foundationdb.native import Failure, Native
from kms_actors.store.foundationdb.operations import Operations
from kms_actors.store.writes import Mutation, SetVersionstamped, Writes
from tests.simulation.database import Database, Range, Read, Snapshot
from tests.simulation.loop import Process, VirtualLoop, running

T = TypeVar("T")

FUTURE_VERSION: Final = 1009
TRANSACTION_TOO_LARGE: Final = 2101
#: Bytes of what a transaction may write: a tenth of what FoundationDB takes.
_ROOM: Final = 1_000_000
_RETRYABLE: Final = {
    TOO_OLD,
    NOT_COMMITTED,
    COMMIT_UNKNOWN,
    FUTURE_VERSION,
    CLUSTER_VERSION_CHANGED,
    BATCH_THROTTLED,
}
#: Where a reading of what is revoked in a vault begins, which is part of a reading of the vault.
_REVOKED: Final = b"\x02revoked\0"
#: What belongs to no process.
OUTSIDE: Final = contextvars.Context()


@dataclass
class Weather:
    """How likely it is what a call meets; times in seconds."""

    delay: float = 0.0004  # of most calls, each way, at most
    slow: float = 0.0  # probability that a call takes up to a hundred times as long
    lost: float = 0.0  # that a request or its answer never arrives
    conflict: float = 0.0  # that a commit is told to have met one though there is none
    unknown: float = 0.0  # that a commit's outcome is not told, which may be applied, or not, or later
    too_old: float = 0.0
    future: float = 0.0
    watch_late: float = 0.0  # seconds, at most
    watch_false: float = 0.0  # that a watch completes without a change
    cut_off: set[str] = field(default_factory=set)  # names of processes
    stalled: float = 0.0  # seconds until which every commit waits for its disk


class Sky:
    """The weather, and the chance that it is drawn from. `met` counts what has happened."""

    def __init__(self, database: Database, loop: VirtualLoop, chance: random.Random) -> None:
        self.database = database
        self.loop = loop
        self.chance = chance
        self.weather = Weather()
        self.met: dict[str, int] = {}
        self.full = False  # the cluster is at its limit, and lets no batch work begin
        self.largest = 0  # entries of ranges that one transaction has read
        self.readings = 0  # of a whole vault by nodes

    def happens(self, what: str) -> bool:
        """Draw whether something of the weather happens now."""
        probability: float = getattr(self.weather, what)
        drawn = self.chance.random() < probability
        if drawn:
            self.note(what)
        return drawn

    def note(self, what: str) -> None:
        """Count something that has happened."""
        self.met[what] = self.met.get(what, 0) + 1

    def delay(self, process: Process | None) -> float | None:
        """Draw how long a call takes, there and back; None: for ever, since it is lost on its way."""
        seconds = self.chance.random() * 2 * self.weather.delay
        if self.happens("slow"):
            seconds *= 100
        return None if self.happens("lost") or self.cut_off(process) else seconds

    def cut_off(self, process: Process | None) -> bool:
        """Tell whether nothing gets through between a process and the database."""
        return process is not None and process.name in self.weather.cut_off


class SimulatedNative:
    """See `kms_actors.store.foundationdb.native.Native`."""

    def __init__(self, sky: Sky) -> None:
        self._sky = sky
        self._database = sky.database
        self._process = running()
        self._retries = 0
        self._under_way: set[asyncio.Future[Any]] = set()
        self._ends = (
            sky.loop.now + ATTEMPT_SECONDS
        )  # of all tries: from API version 610 on, none gets time of its own
        self._begin()

    def _begin(self) -> None:
        self._batch = False
        self._read = 0
        self._snapshot: Snapshot | None = None
        self._asked: float | None = None  # when the version is there
        self._writes = Writes()
        self._keys: set[bytes] = set()
        self._ranges: list[Range] = []
        self._watched: list[tuple[bytes, asyncio.Future[None]]] = []

    def stand_back(self) -> None:
        self._batch = True

    def end_within(self, seconds: float) -> None:
        self._ends = self._sky.loop.now + seconds

    def read_version(self) -> asyncio.Future[int]:
        return self._call(lambda at: at.version)

    def get(self, key: bytes, *, snapshot: bool = False) -> asyncio.Future[bytes | None]:
        if not snapshot and self._writes.reads_through(key):
            self._keys.add(key)
        return self._call(lambda at: self._writes.view(key, self._database.get(key, at)))

    def get_many(self, keys: Sequence[bytes]) -> asyncio.Future[list[bytes | None]]:
        self._keys.update(key for key in keys if self._writes.reads_through(key))
        get, view = self._database.get, self._writes.view
        return self._call(lambda at: [view(key, get(key, at)) for key in keys])

    async def get_range(self, begin: bytes, end: bytes, *, limit: int, reverse: bool) -> list[Entry]:
        return await self._call(lambda at: self._read_range(begin, end, at, limit, reverse=reverse))

    async def get_keys(self, begin: bytes, end: bytes, *, limit: int) -> list[bytes]:
        return [key for key, _ in await self.get_range(begin, end, limit=limit, reverse=False)]

    def set(self, key: bytes, value: bytes) -> None:
        self._writes.set(key, value)

    def clear(self, key: bytes) -> None:
        self._writes.clear(key)

    def clear_range(self, begin: bytes, end: bytes) -> None:
        self._writes.clear_range(begin, end)

    def add(self, key: bytes, delta: bytes) -> None:
        self._writes.add(key, int.from_bytes(delta, "little", signed=True))

    def set_versionstamped(self, prefix: bytes, suffix: bytes, value: bytes) -> None:
        # The engine has counted them: the place of each is in its suffix already.
        self._writes.log.append(SetVersionstamped(prefix, suffix, value))

    def add_read_conflict(self, key: bytes) -> None:
        self._keys.add(key)

    def watch(self, key: bytes) -> asyncio.Future[None]:
        future: asyncio.Future[None] = self._sky.loop.create_future()
        self._watched.append((key, future))
        return future

    def commit(self) -> asyncio.Future[None]:
        return self._note(asyncio.ensure_future(self._commit()))

    def on_error(self, code: int) -> asyncio.Future[None]:
        return asyncio.ensure_future(self._renew(code))

    def destroy(self) -> None:
        for call in list(self._under_way):
            call.cancel()

    def _note(self, call: asyncio.Future[T]) -> asyncio.Future[T]:
        self._under_way.add(call)
        call.add_done_callback(self._under_way.discard)
        return call

    def _call(self, read: Callable[[Snapshot], T]) -> asyncio.Future[T]:
        """Send a read off. What it gives is that of its version, whenever it arrives."""
        loop, sky = self._sky.loop, self._sky
        answer: asyncio.Future[T] = loop.create_future()
        if self._asked is None:
            delay = sky.delay(self._process)
            self._asked = inf if delay is None else loop.now + delay
            if self._asked < inf:
                loop.call_at(self._asked, self._take_version)
        delay = sky.delay(self._process)
        arrival = inf if delay is None else max(self._asked, loop.now) + delay
        loop.call_at(min(arrival, self._ends), self._answer, answer, read if arrival < self._ends else None)
        return self._note(answer)

    def _take_version(self) -> None:
        self._snapshot = self._database.snapshot()

    def _answer(self, answer: asyncio.Future[T], read: Callable[[Snapshot], T] | None) -> None:
        if answer.done():
            return
        if self._sky.loop.now < self._ends and (self._sky.cut_off(self._process) or self._snapshot is None):
            self._sky.loop.call_at(self._ends, self._answer, answer, None)
            return
        if read is None or self._snapshot is None:
            self._sky.note("timed out")
            answer.set_exception(Failure(TIMED_OUT))
        elif self._batch and self._sky.full:
            answer.set_exception(Failure(BATCH_THROTTLED))
        elif self._sky.happens("too_old"):
            answer.set_exception(Failure(TOO_OLD))
        elif self._sky.happens("future"):
            answer.set_exception(Failure(FUTURE_VERSION))
        else:
            try:
                answer.set_result(read(self._snapshot))
            except Failure as failure:
                answer.set_exception(failure)

    def _read_range(self, begin: bytes, end: bytes, at: Snapshot, limit: int, *, reverse: bool) -> list[Entry]:
        stored = list(self._database.entries(begin, end, at, reverse=reverse)) if begin < end else []
        found = self._writes.merge(stored, begin, end, reverse=reverse)
        if limit and len(found) >= limit:  # what was read ends where the limit was met
            found = found[:limit]
            begin, end = (found[-1][0], end) if reverse else (begin, found[-1][0] + b"\0")
        if begin < end:
            self._ranges.append(Range(begin, end))
        self._read += len(found)
        self._sky.largest = max(self._sky.largest, self._read)
        self._sky.readings += begin.endswith(_REVOKED)
        return found

    async def _commit(self) -> None:
        """Send the commit off: from there on it is the network's, and goes on whatever becomes of who has sent it."""
        at = await self._call(lambda at: at) if self._keys or self._ranges else self._database.snapshot()
        if sum(map(_size, self._writes.log)) > _ROOM:
            raise Failure(TRANSACTION_TOO_LARGE)
        if self._writes.log:
            outcome: asyncio.Future[None] = self._sky.loop.create_future()
            late = self._sky.loop.call_at(self._ends, self._end, outcome)
            read = Read(frozenset(self._keys), tuple(self._ranges))
            _Arrival(self._sky, at, read, list(self._writes.log), outcome).send(self._process)
            try:
                await outcome
            finally:
                late.cancel()
        for key, future in self._watched:
            _watch(self._sky, self._process, key, at, future)

    def _end(self, outcome: asyncio.Future[None]) -> None:
        if not outcome.done():
            self._sky.note("timed out")
            outcome.set_exception(Failure(TIMED_OUT))

    async def _renew(self, code: int) -> None:
        self._retries += 1
        if code not in _RETRYABLE or self._retries > RETRIES:
            raise Failure(code)
        await asyncio.sleep(self._sky.chance.random() * RETRY_MILLISECONDS / 1000)
        self.destroy()
        self._begin()


class _Arrival:
    """A commit on its way to the database, and its answer on the way back."""

    def __init__(
        self, sky: Sky, at: Snapshot, read: Read, log: list[Mutation], outcome: asyncio.Future[None]
    ) -> None:
        self._sky, self._at, self._read, self._log, self._outcome = sky, at, read, log, outcome

    def send(self, process: Process | None) -> None:
        """Let it travel; raises nothing, and is not the sender's any more."""
        sky, chance, weather = self._sky, self._sky.chance, self._sky.weather
        there = chance.random() * weather.delay + max(0.0, weather.stalled - sky.loop.now)
        if sky.happens("slow"):
            there += 100 * chance.random() * weather.delay
        if process is not None and process.name in weather.cut_off:
            return
        if sky.happens("lost"):
            if chance.random() < 0.5:  # the answer was, not the commit
                self._later(there, self._arrive, None)
            return
        if sky.happens("unknown"):
            fate = chance.choice(("applied", "never", "later"))
            sky.note(f"unknown: {fate}")
            if fate != "never":
                late = chance.random() * 4 if fate == "later" else 0.0
                self._later(there + late, self._arrive, None)
            code = chance.choice((COMMIT_UNKNOWN, COMMIT_UNKNOWN, CLUSTER_VERSION_CHANGED))
            # Only a time-out may end before the commit does: the other codes say that it never will be applied later.
            if fate != "later":
                self._later(there + chance.random() * weather.delay, self._answer, Failure(code), process)
            return
        if sky.happens("conflict"):
            self._later(there, self._answer, Failure(NOT_COMMITTED), process)
            return
        self._later(there, self._arrive, process, True)

    def _later(self, seconds: float, what: Callable[..., None], *arguments: Any) -> None:
        self._sky.loop.call_later(seconds, what, *arguments, context=OUTSIDE)

    def _arrive(self, process: Process | None, answered: bool = False) -> None:
        failure: Failure | None = None
        try:
            self._sky.database.commit(self._at, self._read, self._log)
        except Failure as error:
            failure = error
        if answered:
            weather, chance = self._sky.weather, self._sky.chance
            self._later(chance.random() * weather.delay, self._answer, failure, process)

    def _answer(self, failure: Failure | None, process: Process | None) -> None:
        if self._outcome.done() or (process is not None and process.name in self._sky.weather.cut_off):
            return
        if failure is None:
            self._outcome.set_result(None)
        else:
            self._outcome.set_exception(failure)


def _watch(sky: Sky, process: Process | None, key: bytes, at: Snapshot, future: asyncio.Future[None]) -> None:
    """Complete `future` once `key` has changed: late, or without a change, as the weather has it."""
    database, loop, weather = sky.database, sky.loop, sky.weather

    def complete() -> None:
        if process is not None and process.name in sky.weather.cut_off:
            loop.call_later(1.0, complete, context=OUTSIDE)  # told once it is reached again
        elif not future.done():
            future.set_result(None)

    def changed(keys: set[bytes]) -> None:
        if key in keys:
            end()
            loop.call_later(sky.chance.random() * (weather.delay + weather.watch_late), complete, context=OUTSIDE)

    listener = (process, changed)

    def end(_: object = None) -> None:
        if listener in database.listeners:
            database.listeners.remove(listener)

    database.listeners.append(listener)
    future.add_done_callback(end)
    try:
        differs = database.get(key, database.snapshot()) != database.get(key, at)
    except Failure:  # the snapshot is gone
        differs = True
    if differs:
        changed({key})
    elif sky.happens("watch_false"):
        loop.call_later(sky.chance.random(), complete, context=OUTSIDE)


def _size(mutation: Mutation) -> int:
    return sum(len(part) for part in mutation if isinstance(part, bytes))


class SimulatedStore(FoundationDbStore):
    """The product's engine, with all its attempts and settling, over simulated transactions."""

    def __init__(self, sky: Sky) -> None:
        self._sky = sky
        self._database = sky.database
        self._operations = Operations()
        self._watches = set()
        self._closing = asyncio.Lock()

    def _begin(self) -> Native:
        return SimulatedNative(self._sky)
