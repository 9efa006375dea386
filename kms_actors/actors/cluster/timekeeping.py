"""Whether a node's clock may decide that something is due: it is compared with a time that nodes keep in the store.

(root, `time`)   Kept: the latest time that a node looked at the schedule with, and how often one did

A clock within an hour of it is good, and moves it on. One that is further off decides nothing, and says so, for which
of the two is right cannot be known from one look: a cluster that stood still for a weekend looks like a clock that is
two days ahead. But where nobody else moves the time on from look to look, there is no other clock to be right. Then
the time is brought nearer, by a day at first and twice as far at each look: a clock that is a year ahead for a few
minutes does nothing, and a cluster that slept is at work again in a few more.

Times are nanoseconds since 1970.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from functools import partial
from typing import Final

import msgspec
import structlog

from kms_actors.clock import Clock, elapsed
from kms_actors.errors import FormatError
from kms_actors.keyring import stored
from kms_actors.store import keyspace
from kms_actors.store.api import Priority, Store, Transaction

TIME: Final = keyspace.pack("time")

#: How far a clock may be off. Schedules go by hours, at least.
BOUND: Final = 3600 * 10**9
#: By how much the time is brought nearer to a clock that is alone; twice as much at each look.
STEP: Final = 86_400 * 10**9
#: Looks in a row at which nobody else moved the time on, before that.
PATIENCE: Final = 3

_log = structlog.get_logger(__name__)


class Standing(enum.Enum):
    """How a clock stands to the cluster's time."""

    UNKNOWN = "unknown"  # not compared yet
    GOOD = "good"
    AHEAD = "ahead"
    BEHIND = "behind"


class Kept(msgspec.Struct, frozen=True):
    """The cluster's time; `looks` tells those that come back whether another was there."""

    time: int
    looks: int
    format: int = stored.FORMAT


class Timekeeper:
    """One process's part. `offset` is its clock less the cluster's time, in seconds, as of the last look."""

    def __init__(self, store: Store, clock: Callable[[], int], elapsed: Clock = elapsed) -> None:
        self._store = store
        self._clock = clock
        self._elapsed = elapsed
        self._looks: int | None = None  # of the record as this process left it
        self._alone = 0  # looks in a row at which nobody else had been there
        self._looked = 0.0, 0  # when that was, by a clock that is never set and by this one
        self.standing = Standing.UNKNOWN
        self.offset = 0.0

    @property
    def good(self) -> bool:
        """True while this clock may decide what is due: it was good at the last look, and was not set since."""
        looked, then = self._looked
        passed = int((self._elapsed() - looked) * 1e9)
        return self.standing is Standing.GOOD and abs(self._clock() - then - passed) <= BOUND

    async def look(self) -> bool:
        """Compare, and take part; return whether this clock may decide what is due."""
        looked, now = self._elapsed(), self._clock()
        before, after = await self._store.run(partial(self._keep, now=now), priority=Priority.BATCH)
        if self._looks is not None and before.looks == self._looks:
            self._alone += 1
        else:
            self._alone = 0
        self._looks, self._looked = after.looks, (looked, now)
        self.offset = (now - before.time) / 1e9
        self.standing = standing_of(now, before.time)
        good = self.standing is Standing.GOOD
        if not good:
            _log.warning(
                "this clock is far from the cluster's time: nothing is rotated by it",
                offset_seconds=round(self.offset),
                alone=self._alone,
            )
        return good

    async def _keep(self, tr: Transaction, now: int) -> tuple[Kept, Kept]:
        """Return the record as it was, and as it is."""
        before = _decode(await tr.get(TIME)) or Kept(now, 0)
        alone = self._alone + 1 if before.looks == self._looks else 0
        after = kept_after(before, now, alone)
        if after != before:
            tr.set(TIME, stored.encode(after))
        return before, after


def trusted(clock: Callable[[], int], timely: Callable[[], bool]) -> int | None:
    """Return the time of `clock`, by which something may be found due, or over; None where it must not decide that.

    It is asked once for each piece of work, and that time is kept: a clock may be set while work waits.
    """
    now = clock()
    return now if timely() else None


async def read_offset(store: Store, now: int) -> float | None:
    """Return by how many seconds a clock that says `now` is ahead of the cluster's time; None where there is none."""
    kept = _decode(await store.run(lambda tr: tr.get(TIME)))
    return None if kept is None else (now - kept.time) / 1e9


def standing_of(now: int, time: int) -> Standing:
    """Return how a clock that says `now` stands to a cluster's `time`."""
    if abs(now - time) <= BOUND:
        return Standing.GOOD
    return Standing.AHEAD if now > time else Standing.BEHIND


def kept_after(before: Kept, now: int, alone: int) -> Kept:
    """Return what a look leaves by a clock that says `now`, and has found nobody else there `alone` times."""
    if standing_of(now, before.time) is Standing.GOOD:
        return Kept(max(now, before.time), before.looks + 1)
    if alone < PATIENCE:
        return before
    step = STEP << min(alone - PATIENCE, 32)
    nearer = min(now, before.time + step) if now > before.time else max(now, before.time - step)
    return Kept(nearer, before.looks + 1)


def _decode(raw: bytes | None) -> Kept | None:
    """Return the record, or None also where it is damaged: it is made anew."""
    try:
        return None if raw is None else stored.decode(raw, Kept, "time")
    except FormatError:
        return None
