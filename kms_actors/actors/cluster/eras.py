"""Whether the log still goes on where it was read to: the store beneath it may be another by now.

A log is in the order of versionstamps, and those are of one run of versions. Data that is moved into another cluster
brings lines whose versionstamps are higher than any the new one gives out for a while: what is written there sorts
before them, where nobody looks. Data that is set back to an earlier moment takes away changes that were heard.

So a reader keeps its Place, and takes nothing for granted when it comes back: the line it read last is still there,
or trimmed; the era is the same; the head has not gone back; and nothing lies above the snapshot it reads at. Else it
begins anew. Whoever finds lines of another run begins a new era, which takes them away, and so does a restore.
"""

from __future__ import annotations

import asyncio
from typing import Final, NamedTuple

from kms_actors.actors.cluster.changes import HEAD, LOG
from kms_actors.store import keyspace
from kms_actors.store.api import VERSIONSTAMP_LENGTH, Entry, Transaction

ERA: Final = keyspace.pack("log-era")
TRIMMED: Final = keyspace.pack("log-trimmed")
#: Bytes of an era's id.
ERA_LENGTH: Final = 16

_FIRST: Final = bytes(VERSIONSTAMP_LENGTH)


class Place(NamedTuple):
    """Up to where a log was read: behind `position`, which is a line where `is_line`."""

    era: bytes = b""
    position: bytes = _FIRST
    is_line: bool = False
    head: int = 0

    @property
    def begin(self) -> bytes:
        """The first key to read: that of the line itself, to see that it is there."""
        return LOG + self.position + (b"" if self.is_line else b"\0")


class Page(NamedTuple):
    """What one transaction sees of a log behind a place; `entries` begins with the place's own line."""

    stamp: bytes  # of the snapshot
    era: bytes
    trimmed: bytes
    head: int
    entries: list[Entry]


async def read_page(tr: Transaction, place: Place, limit: int) -> Page:
    """Return the next lines, at most `limit` and the place's own."""
    stamp, era, trimmed, head, entries = await asyncio.gather(
        tr.snapshot_stamp(),
        tr.get(ERA),
        tr.get(TRIMMED),
        tr.get(HEAD),
        tr.get_range(place.begin, keyspace.after(LOG), limit=limit + 1),
    )
    return Page(stamp, era or b"", trimmed or b"", int.from_bytes(head or b"", "little"), entries)


def broken(place: Place, page: Page, limit: int) -> str | None:
    """Return why what was read of the log up to `place` says nothing of the one that is there; None if it does.

    `limit` is that of the page. The head counts lines, so where it has grown by more than there are behind the place,
    some were written before it: by others, in a store whose versions had not come as far yet.
    """
    if page.era != place.era:
        return "another era has begun"
    if max(place.position, page.trimmed, page.entries[-1][0][len(LOG) :] if page.entries else b"") > page.stamp:
        return "its versions are of another store"
    if page.head < place.head:
        return "its head went back"
    if page.trimmed > place.position:
        return "it was trimmed further"
    gone = not page.entries or page.entries[0][0] != LOG + place.position
    if place.is_line and gone and page.trimmed != place.position:
        return "the line that was read last is gone"
    missed = len(page.entries) <= limit and page.head - place.head > len(page.entries) - (not gone)
    return "lines were written where it was read already" if missed else None


async def find_end(tr: Transaction, new_era: bytes) -> Place:
    """Return the end of the log. A log of another run of versions is ended by the era `new_era` (random)."""
    stamp, era, trimmed, head, last = await asyncio.gather(
        tr.snapshot_stamp(),
        tr.get(ERA),
        tr.get(TRIMMED),
        tr.get(HEAD),
        tr.get_range(LOG, keyspace.after(LOG), limit=1, reverse=True),
    )
    count = int.from_bytes(head or b"", "little")
    position = max(trimmed or b"", last[0][0][len(LOG) :] if last else b"")
    if position > stamp:
        begin_era(tr, new_era)
        return Place(new_era, head=count + 1)
    return Place(era or b"", position or _FIRST, bool(last) and position != trimmed, count)


def begin_era(tr: Transaction, era: bytes) -> None:
    """Have all readers take everything as changed; `era` is random. Lines of the same transaction may be lost."""
    tr.clear_range(LOG, keyspace.after(LOG))
    tr.clear(TRIMMED)
    tr.set(ERA, era)
    tr.add(HEAD, 1)
