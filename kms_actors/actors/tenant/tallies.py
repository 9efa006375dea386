"""What a vault has, counted in the transactions that change it, and the limits it may not pass.

Counters (see `standing`) are added to blindly, so that nobody who counts conflicts with another. Who makes what is
bounded has to know their sum; whoever reads that conflicts with all who count. So it is read only by a process that
has used up what it may make unseen: a small part of what was left when it looked last, and none of it near the limit.
There each one that is made reads the sum, and no more than the limit come to be. Further off, other processes may use
what was left in the meantime: so a limit is passed by less than a 64th of it, and by no more than `_AHEAD`, for each
process, and only if all the rest came within `_SECONDS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from kms_actors.actors.tenant.standing import COUNT, counted
from kms_actors.clock import Clock, elapsed
from kms_actors.config import Tenants, bytes_of
from kms_actors.errors import LimitReached
from kms_actors.store.api import Transaction
from kms_actors.store.keyspace import TenantKeys
from kms_actors.tenancy.records import KINDS, Limits

#: Of what is left, a process makes so small a part unseen; at most so many, or bytes; and for so long.
_PART: Final = 64
_AHEAD: Final = 100
_BYTES_AHEAD: Final = 1 << 20
_SECONDS: Final = 10.0

#: Settings by what they bound.
_SETTINGS: Final = tuple((kind, "secret_bytes" if kind == "bytes" else kind) for kind in KINDS)


class Tallies:
    """Of one unsealed vault in one process. Without `keys`, nothing is counted."""

    def __init__(
        self, keys: TenantKeys | None = None, limits: Mapping[str, int] | None = None, clock: Clock = elapsed
    ) -> None:
        self._keys = keys
        self._limits = limits or {}
        self._clock = clock
        self._places: dict[tuple[str, int], bytes] = {}
        self._unseen: dict[str, tuple[int, float]] = {}  # how many more, and until when

    def limit(self, limits: Mapping[str, int]) -> None:
        """Take other limits from now on."""
        self._limits = limits
        self._unseen.clear()

    def most(self, kind: str) -> int:
        """Return how many there may be; 0: no bound."""
        return self._limits.get(kind, 0)

    def count(self, tr: Transaction, kind: str, number: int, mount: int = 0) -> None:
        """Count what a transaction makes, or removes."""
        if number and self._keys is not None:
            place = self._places.get((kind, mount))
            if place is None:
                place = self._places[kind, mount] = self._keys.key(COUNT, kind, mount)
            tr.add(place, number)

    async def grow(self, tr: Transaction, kind: str, mount: int = 0) -> None:
        """Count one more; raises LimitReached if there may be none, before anything is written."""
        await self.require(tr, kind, 1)
        self.count(tr, kind, 1, mount)

    async def require(self, tr: Transaction, kind: str, number: int) -> None:
        """Raise LimitReached unless there may be so many more."""
        limit = self._limits.get(kind)
        if not limit or self._keys is None:
            return
        now = self._clock()
        unseen, until = self._unseen.get(kind, (0, 0.0))
        if number <= unseen and now < until:
            self._unseen[kind] = unseen - number, until
            return
        entries = await tr.get_range(*self._keys.span(COUNT, kind))
        left = limit - counted(self._keys, entries).get(kind, 0) - number
        if left < 0:
            raise LimitReached.of(kind, limit)
        self._unseen[kind] = min(left // _PART, _BYTES_AHEAD if kind == "bytes" else _AHEAD), now + _SECONDS

    def forget(self, tr: Transaction, mount: int) -> None:
        """Count nothing below a mount any more, which is gone."""
        if self._keys is not None:
            for kind in ("secrets", "keys", "bytes"):
                tr.clear(self._keys.key(COUNT, kind, mount))


def limits_of(own: Limits, settings: Tenants) -> Mapping[str, int]:
    """Return the limits that hold by kind, 0 where there is none."""
    given = {kind: getattr(own, kind) for kind in KINDS}
    return {kind: usual if given[kind] is None else given[kind] for kind, usual in _usual(settings)}


def _usual(settings: Tenants) -> list[tuple[str, int]]:
    return [
        (kind, bytes_of(value) if isinstance(value, str) and value else int(value or 0))
        for kind, value in ((kind, getattr(settings, f"max_{name}")) for kind, name in _SETTINGS)
    ]
