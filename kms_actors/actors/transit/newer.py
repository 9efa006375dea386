"""Versions that another node has made, and this one has not heard of yet.

A ciphertext may come here right after a rotation there. So a version that is too new for a key in memory is looked
for in the store before it is refused. Callers can name any version, so looking is bounded: of each key there is one
look at a time, and one for all who have come since that began. A look reads the key's policy, and more only if that
is newer.
"""

from __future__ import annotations

import asyncio
from typing import TypeAlias

from kms_actors.actors.tenant.context import TenantContext
from kms_actors.actors.transit.storage import TransitRecords
from kms_actors.runtime.coalesced import Coalesced
from kms_actors.store.api import Reads
from kms_actors.transit.key import TransitKey

_KeyId: TypeAlias = tuple[int, str]  # mount number, name


class _Looks:
    """The looks for one key, while anybody waits for one."""

    def __init__(self, context: TenantContext, records: TransitRecords, key_id: _KeyId, known: int) -> None:
        self._context = context
        self._records = records
        self._key_id = key_id
        self._known = known
        self.waiting = 0
        self.found: TransitKey | None = None
        self.looks = Coalesced(self._look, context.spawn_apart)

    async def _look(self) -> None:
        self.found = await self._context.store.read(self._newer) or self.found

    async def _newer(self, tr: Reads) -> TransitKey | None:
        policy = await self._records.policy(tr, *self._key_id)
        if policy is None or policy.latest_version <= self._known:
            return None
        return await self._records.key(tr, *self._key_id)


class NewerKeys:
    """Beside mailbox turns, as nothing that is kept here is older than who waits for it. Used on one event loop."""

    def __init__(self, context: TenantContext, records: TransitRecords) -> None:
        self._context = context
        self._records = records
        self._looks: dict[_KeyId, _Looks] = {}

    async def newer(self, key_id: _KeyId, known: TransitKey) -> TransitKey | None:
        """Return the key as the store has it, if that has versions which `known` has not."""
        latest = known.policy.latest_version
        looks = self._looks.get(key_id)
        if looks is None:
            looks = self._looks[key_id] = _Looks(self._context, self._records, key_id, latest)
        looks.waiting += 1
        try:
            await asyncio.shield(looks.looks.run())
        finally:
            looks.waiting -= 1
            if not looks.waiting:
                del self._looks[key_id]
                del looks.looks  # which leads back to it: nobody waits for a collection of cycles
        found = looks.found
        return found if found is not None and found.policy.latest_version > latest else None
