"""When keys with an `auto_rotate_period` get their next versions; where that is kept is told in `schedule`."""

from __future__ import annotations

from typing import Final

from kms_actors.actors.cluster.schedule import (
    decode_time,
    encode_time,
    key_entries,
    look_again,
    look_by,
)
from kms_actors.actors.cluster.timekeeping import BOUND
from kms_actors.actors.transit.storage import TransitRecords
from kms_actors.messages import Command
from kms_actors.store.api import Reads, Transaction
from kms_actors.store.keyspace import TenantKeys
from kms_actors.transit.key import TransitKey, rotates

#: Nanoseconds until a key is tried again whose rotation failed.
RETRY: Final = 600 * 10**9


class RotateDue(Command, frozen=True):
    """Rotate the keys that are due, and note when the next one is. Answer: how many were rotated."""


class TransitSchedule:
    """The times of one tenant's keys; mounts are given by number."""

    def __init__(self, keys: TenantKeys, records: TransitRecords) -> None:
        self._keys = keys
        self._records = records

    async def note(self, tr: Transaction, mount: int, name: str, now: int) -> None:
        """Write when a key is due, as this transaction leaves it."""
        place = self._keys.key("due", mount, name)
        before = await self.entry(tr, mount, name)
        time = await self._due(tr, mount, name, now, before)
        if time is None:
            if before is not None:
                tr.clear(place)
        elif before != time:
            tr.set(place, encode_time(time))
            await look_by(tr, self._keys, time, now)

    async def entry(self, tr: Reads, mount: int, name: str) -> int | None:
        """Return when a key is noted to be due."""
        raw = await tr.get(self._keys.key("due", mount, name))
        return None if raw is None else decode_time(raw)

    async def is_due(self, tr: Reads, mount: int, key: TransitKey, now: int) -> bool:
        """Tell whether a key is to get its next version; one from the future when it was noted to be."""
        if key.is_due(now):
            return True
        if not rotates(key.policy) or not from_the_future(key.latest.record.created, now):
            return False
        entry = await self.entry(tr, mount, key.policy.name)
        return entry is not None and entry <= now

    async def names(self, tr: Reads) -> list[tuple[int, str]]:
        """Return mount and name of all keys that are in the schedule."""
        return [self._keys.parts(key)[1:] for key, _ in await key_entries(tr, self._keys)]

    async def due(self, tr: Reads, now: int) -> list[tuple[int, str]]:
        """Return mount and name of the keys that are due."""
        entries = await key_entries(tr, self._keys)
        return [self._keys.parts(key)[1:] for key, time in entries if decode_time(time) <= now]

    async def look_again(self, tr: Transaction, now: int) -> None:
        """Have the tenant looked at when it has work next, once the keys that were due at `now` are done."""
        await look_again(tr, self._keys, now, RETRY)

    async def _due(self, tr: Reads, mount: int, name: str, now: int, before: int | None) -> int | None:
        policy = await self._records.policy_alone(tr, mount, name)
        if policy is None or not rotates(policy):
            return None
        latest = await self._records.version(tr, mount, name, policy.latest_version)
        if latest is None:
            return None
        if not from_the_future(latest.created, now):
            return latest.created + policy.auto_rotate_period
        # It was made by a clock that was ahead, now at the latest.
        latest_time = now + policy.auto_rotate_period
        return latest_time if before is None else min(before, latest_time)


def from_the_future(created: int, now: int) -> bool:
    """Tell whether a version was made by a clock that was far ahead."""
    return created > now + BOUND
