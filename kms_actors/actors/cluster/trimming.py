"""Taking old lines from the change log, apart from reading it, however fast it grows.

A process notes how far it had read the log at some moment of its own clock. What it had read ten minutes ago is old,
whatever the lines say and whichever clocks wrote them: no line is decoded here. Whoever reads later than that finds
the log trimmed past its place, and takes everything as changed.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from functools import partial
from typing import Final, NamedTuple

from kms_actors import clock
from kms_actors.actors.cluster.changes import LOG
from kms_actors.actors.cluster.eras import ERA, TRIMMED, Place
from kms_actors.store.api import Priority, Store, Transaction

#: Seconds a line is kept: far longer than any reader is late that still serves.
KEPT: Final = 600.0
#: Seconds between two looks; and between two notes, which are as many as fit into `KEPT`.
EVERY: Final = 10.0
#: Lines taken away in one transaction.
PAGE: Final = 1000


class _Note(NamedTuple):
    time: float
    era: bytes
    position: bytes


class Trimmer:
    """One process's part; of all processes, the first one does the work, and the others find it done."""

    def __init__(self, store: Store, elapsed: clock.Clock = clock.elapsed) -> None:
        self._store = store
        self._elapsed = elapsed
        self._notes: deque[_Note] = deque()

    def note(self, place: Place) -> None:
        """Take in that the log was read up to `place` by now."""
        now = self._elapsed()
        if self._notes and self._notes[-1].era != place.era:
            self._notes.clear()
        if not self._notes or now - self._notes[-1].time >= EVERY:
            self._notes.append(_Note(now, place.era, place.position))

    async def run(self) -> None:
        """Trim now and then; processes that start together do not go on together."""
        while True:
            await asyncio.sleep(EVERY * random.uniform(0.5, 1.5))  # noqa: S311
            await self.trim()

    async def trim(self) -> None:
        """Take away all lines that are old."""
        old: _Note | None = None
        horizon = self._elapsed() - KEPT
        while self._notes and self._notes[0].time <= horizon:
            old = self._notes.popleft()
        if old is not None:
            body = partial(_trim_some, era=old.era, last=old.position)
            while await self._store.run(body, priority=Priority.BATCH):
                pass


async def _trim_some(tr: Transaction, era: bytes, last: bytes) -> bool:
    """Take away the first lines up to `last`; return whether there are more."""
    if (await tr.get(ERA) or b"") != era:
        return False
    entries = await tr.get_range(LOG, LOG + last + b"\0", limit=PAGE)
    if entries:
        end = entries[-1][0]
        tr.clear_range(LOG, end + b"\0")
        tr.set(TRIMMED, end[len(LOG) :])
    return len(entries) == PAGE
