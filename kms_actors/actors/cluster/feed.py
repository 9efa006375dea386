"""How one node hears what another has changed: it reads the change log as it grows.

Each process holds one watch on the head, and reads the log after any completion of it, or when a while has passed
without one: a watch is a hint, never what correctness rests on. What a process serves from memory, it serves only
while the log was read to its end within the lease; a process cut off from the store stops by itself.

Nothing ends the reading but `stop`. A line that is not understood costs what it may be about, which is forgotten; so
does a log that does not go on where it was read to (`eras`).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import structlog

from kms_actors import clock
from kms_actors.actors.cluster.changes import ANYTHING, HEAD, LOG, Change, read_line
from kms_actors.actors.cluster.eras import ERA_LENGTH, Place, broken, find_end, read_page
from kms_actors.actors.cluster.trimming import Trimmer
from kms_actors.errors import KmsError, StoreUnavailable
from kms_actors.runtime.lasting import Lasting
from kms_actors.store.api import Entry, Store

#: Entries read in one transaction.
_PAGE: Final = 500

_log = structlog.get_logger(__name__)

#: Told each change in commit order, own ones too; None means that anything may have changed. A future is done once
#: nothing older is served; whoever gave it must see to that at once when it is cancelled.
Deliver = Callable[[Change | None], asyncio.Future[None] | None]


class ChangeFeed:
    """Reads the log as it grows. `fresh` tells whether memory may be served from; `elapsed` measures the lease.

    `skipped` counts lines that were not understood, `renewals` how often everything was taken as changed.
    """

    def __init__(
        self, store: Store, deliver: Deliver, lease_seconds: float, elapsed: clock.Clock = clock.elapsed
    ) -> None:
        self._store = store
        self._deliver = deliver
        self._lease = lease_seconds
        self._elapsed = elapsed
        self._place = Place()
        self._confirmed = float("-inf")
        self._reading = asyncio.Lock()
        self._applying: set[asyncio.Future[None]] = set()
        self._trimmer = Trimmer(store, elapsed)
        self._reader = Lasting("change log reader", self._read, lease_seconds / 8)
        self._trimming = Lasting("change log trimmer", self._trimmer.run, lease_seconds)
        self.skipped = 0
        self.renewals = 0

    @property
    def fresh(self) -> bool:
        """True while the log was read to its end within the lease."""
        return self._elapsed() - self._confirmed < self._lease

    @property
    def age(self) -> float:
        """Seconds since the log was last known to be read to its end."""
        return self._elapsed() - self._confirmed

    @property
    def restarts(self) -> int:
        """How often reading or trimming ended and began again."""
        return self._reader.restarts + self._trimming.restarts

    async def start(self) -> None:
        """Begin at the log's end: what is loaded from now on is newer than all before it."""
        started = self._elapsed()
        self._place = await self._find_end()
        self._confirmed = started
        self._reader.start()
        self._trimming.start()

    async def catch_up(self) -> None:
        """Return once all that was committed before this call has its effect here."""
        async with self._reading:
            await self._catch_up()

    async def stop(self) -> None:
        """End reading."""
        await self._reader.stop()
        await self._trimming.stop()

    async def _read(self) -> None:
        while True:
            changed = await self._watch()
            try:
                await self.catch_up()
                # Never so long that the lease comes near its end, and it began when that reading did.
                await asyncio.wait([changed], timeout=max(0.0, self._lease / 4 - self.age))
            finally:
                changed.cancel()

    async def _watch(self) -> asyncio.Future[None]:
        """Return a watch of the head; one that cannot be had costs time, and no more."""
        try:
            return await self._store.watch(HEAD)
        except KmsError as error:
            _log.warning("the change log cannot be watched", error=type(error).__name__)
            return asyncio.get_running_loop().create_future()

    async def _catch_up(self) -> None:
        while True:
            started = self._elapsed()
            place = self._place
            page = await self._store.run(partial(read_page, place=place, limit=_PAGE))
            reason = broken(place, page, _PAGE)
            if reason is not None:
                await self._begin_anew(reason)
                continue
            lines = page.entries[1:] if page.entries and page.entries[0][0] == LOG + place.position else page.entries
            await self._hear(lines)
            self._place = place._replace(head=page.head)
            if lines:
                self._place = self._place._replace(position=lines[-1][0][len(LOG) :], is_line=True)
            if len(page.entries) <= _PAGE:
                await self._let_apply()
                self._confirmed = started
                self._trimmer.note(self._place)
                return

    async def _hear(self, lines: Sequence[Entry]) -> None:
        """Tell what the lines say; raises, and may be told the same again, where nothing could be made of them."""
        lost = unknown = 0
        for _, raw in lines:
            change = read_line(raw)
            if change is None:
                lost += 1
                continue
            unknown += change.area == ANYTHING
            try:
                self._tell(change)
            except Exception as error:  # noqa: BLE001  a defect must not end the reading, nor the change be lost
                _log.error("a change could not be told", area=change.area, error=type(error).__name__)
                lost += 1
        if lost or unknown:
            self.skipped += lost + unknown
            _log.warning("lines of the change log were not understood", forgetting="all" if lost else "their vaults")
        if lost:
            await self._forget_all()

    def _tell(self, change: Change) -> None:
        applied = self._deliver(change)
        if applied is not None:
            self._applying.add(applied)
            applied.add_done_callback(self._applying.discard)

    async def _let_apply(self) -> None:
        """Wait until nothing older than what was told is served: only then may the lease begin anew."""
        if self._applying:
            _, late = await asyncio.wait(self._applying, timeout=self._lease / 4)
            for applied in late:
                applied.cancel()
            await asyncio.sleep(0)  # until those who gave them know

    async def _begin_anew(self, reason: str) -> None:
        """Take everything as changed, and go on at the end of the log that is there."""
        _log.warning("the change log does not go on where it was read to: all is read anew", reason=reason)
        place = await self._find_end()  # first: what is read after it is newer
        await self._forget_all()
        self._place = place

    async def _forget_all(self) -> None:
        """Take everything as changed; raises where that could not be acted upon."""
        self.renewals += 1
        applied = self._deliver(None)
        if applied is None:
            return
        await asyncio.wait([applied])
        if applied.cancelled():
            raise StoreUnavailable("what has changed could not be read")
        applied.result()

    async def _find_end(self) -> Place:
        new_era = os.urandom(ERA_LENGTH)
        return await self._store.run(partial(find_end, new_era=new_era), idempotency_key=os.urandom(16))
