"""Revoked biscuits: their revocation ids, each with when it is needed no more.

A biscuit that has ended needs no revocation, since its own checks refuse it, and those of all that was narrowed from
it. So each is kept until a day behind the end of the token, for clocks are not all the same, and is then taken out of
memory and store. That of a token without end is kept for ever. Only a clock that the cluster trusts decides that:
by one that is wrong, tokens would become good again.

A record is at (…, `revoked`, id): empty, or the end in seconds since 1970, 8 bytes, little-endian.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Set
from functools import partial
from typing import Final

from kms_actors.store import keyspace
from kms_actors.store.api import Entry, Priority, Store, Transaction
from kms_actors.store.pages import behind

#: Seconds a revocation is kept behind the end of its token.
KEPT: Final = 86_400
#: Records read in one transaction.
PAGE: Final = 1000
#: Of those that have ended, as many are let go of with each one that comes.
_LET_GO: Final = 2
_LENGTH: Final = 8


class Revocations:
    """What is revoked in one scope. `ids` only ever grows, but for what has ended; it may be read at any time."""

    __slots__ = ("_ends", "_known", "ids")

    def __init__(self, known: Mapping[str, int] | None = None) -> None:
        self.ids: Set[str] = frozenset()  # that of all who have none, which most have
        self._known: set[str] | None = None
        self._ends: list[tuple[int, str]] | None = None  # a heap of those that end
        for revocation_id, ends in (known or {}).items():
            self.add(revocation_id, ends)

    def __len__(self) -> int:
        return len(self.ids)

    def add(self, revocation_id: str, ends: int) -> bool:
        """Take in one that ends at `ends` (seconds since 1970; 0: never); return whether it was not known."""
        if revocation_id in self.ids:
            return False
        if self._known is None or self._ends is None:
            self.ids = self._known = set()
            self._ends = []
        self._known.add(revocation_id)
        if ends:
            heapq.heappush(self._ends, (ends, revocation_id))
        return True

    def take(self, found: Mapping[str, int], now: float | None) -> bool:
        """Take in what was read, but for what has ended at `now` (None: nothing has); return whether some has."""
        over = False
        for revocation_id, ends in found.items():
            if now is not None and ended(ends, now):
                over = True
            else:
                self.add(revocation_id, ends)
        return over

    def let_go(self, now: float, most: int = _LET_GO) -> int:
        """Forget a few that are needed no more; return how many."""
        count = 0
        while count < most and self._known and self._ends and ended(self._ends[0][0], now):
            self._known.discard(heapq.heappop(self._ends)[1])
            count += 1
        return count


def time_of_ends(trusted: int | None) -> float | None:
    """Return the seconds since 1970 by which revocations end, of a trusted time in nanoseconds; None: none ends."""
    return None if trusted is None else trusted / 1e9


def ended(ends: int, now: float) -> bool:
    """Tell whether a revocation is needed no more."""
    return bool(ends) and ends + KEPT < now


def record_of(ends: int) -> bytes:
    """Return the record of a revocation that ends then; 0 means never."""
    return ends.to_bytes(_LENGTH, "little") if ends else b""


def end_of(expires_at: float | None) -> int:
    """Return the end of the revocation of a token that ends then."""
    return 0 if expires_at is None else max(1, int(expires_at) + 1)


def decode(record: bytes) -> int:
    """Return when a revocation ends; 0 means never, which is what a damaged record says."""
    return int.from_bytes(record, "little") if len(record) == _LENGTH else 0


def read(prefix: bytes, entries: Iterable[Entry]) -> dict[str, int]:
    """Return the revocations of entries right below the place `prefix`."""
    start = len(prefix) + 1
    found: dict[str, int] = {}
    for key, record in entries:
        # As `fdb.tuple.unpack` would, which takes ten times as long: there may be many thousands.
        found[key[start:-1].replace(b"\0\xff", b"\0").decode()] = decode(record)
    return found


async def load(store: Store, prefix: bytes, begin: bytes | None = None) -> dict[str, int]:
    """Return all revocations below `prefix`, or those from `begin` on, a page a transaction: none ever goes away."""
    found: dict[str, int] = {}
    place = prefix if begin is None else begin
    while True:
        entries = await store.run(partial(_page, begin=place, prefix=prefix))
        found |= read(prefix, entries)
        if len(entries) < PAGE:
            return found
        place = behind(entries[-1][0])


async def sweep(store: Store, prefix: bytes, now: float) -> int:
    """Take those that are needed no more out of the store; return how many there were."""
    place, count = prefix, 0
    while True:
        last, gone = await store.run(
            partial(_sweep_some, begin=place, prefix=prefix, now=now), priority=Priority.BATCH
        )
        count += gone
        if last is None:
            return count
        place = behind(last)


async def _page(tr: Transaction, begin: bytes, prefix: bytes) -> list[Entry]:
    return await tr.get_range(begin, keyspace.after(prefix), limit=PAGE)


async def _sweep_some(tr: Transaction, begin: bytes, prefix: bytes, now: float) -> tuple[bytes | None, int]:
    entries = await tr.get_range(begin, keyspace.after(prefix), limit=PAGE)
    gone = [key for key, record in entries if ended(decode(record), now)]
    for key in gone:
        tr.clear(key)
    return entries[-1][0] if len(entries) == PAGE else None, len(gone)
