"""The clients of all vaults together, for the cluster's operator: from what is counted in the open, sealed or not.

A vault's months are one short read. All vaults are walked through, a few a transaction behind all requests; what is
kept of them is bounded, however many there are.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from functools import partial
from typing import Final

from kms_actors.activity.records import MOST_RETAINED, ActivityConfig
from kms_actors.activity.usage import Span, Usage, VaultUsage, added, months_of, span_of, sum_of
from kms_actors.actors.activity.storage import months_kept
from kms_actors.actors.tenant.listing import LongReads
from kms_actors.store import keyspace
from kms_actors.store.api import Entry, Priority, Store, Transaction
from kms_actors.store.keyspace import TenantKeys, after
from kms_actors.store.pages import behind
from kms_actors.tenancy.messages import ReadAllActivity

_VAULTS: Final = keyspace.pack("vault")
#: Vaults of a page of the index, and of those that one transaction reads: others are served before the next.
_PAGE: Final = 500
_TOGETHER: Final = 8
#: Vaults that are told of one by one.
MOST_TOLD: Final = 1000

#: What is kept for all that a vault could keep: only vaults know what is kept by each.
_CLUSTER: Final = ActivityConfig(retention_months=MOST_RETAINED)


class ClusterActivity:
    """Of one process. `clock` gives nanoseconds since 1970."""

    def __init__(self, store: Store, clock: Callable[[], int]) -> None:
        self._store = store
        self._clock = clock
        self._walks = LongReads()

    async def read(self, message: ReadAllActivity) -> Usage | None:
        """Count the clients of all vaults; see `ReadAllActivity`. Raises Overloaded where enough others do."""
        span = span_of(message, _CLUSTER, self._clock() / 1e9)
        if span is None:
            return None
        async with self._walks.turn():
            return await self._count(span)

    async def _count(self, span: Span) -> Usage:
        months = months_of({}, *span)
        told: list[tuple[int, int, VaultUsage]] = []
        others, begin = 0, _VAULTS
        while page := await self._store.run(partial(_page, begin=begin), priority=Priority.BATCH):
            begin = behind(page[-1][0])
            for start in range(0, len(page), _TOGETHER):
                look = partial(_read, some=page[start : start + _TOGETHER], span=span)
                for usage in await self._store.run(look, priority=Priority.BATCH):
                    months = added(months, usage.months)
                    entry = (sum_of(usage.mounts).clients, -usage.number, usage)
                    if len(told) < MOST_TOLD:
                        heapq.heappush(told, entry)
                    else:
                        heapq.heappushpop(told, entry)
                        others += 1
                await asyncio.sleep(0)
        vaults = tuple(usage for _, _, usage in sorted(told, reverse=True, key=lambda entry: entry[:2]))
        return Usage(*span, vaults, months, others)


async def _page(tr: Transaction, begin: bytes) -> list[Entry]:
    return await tr.get_range(begin, after(_VAULTS), limit=_PAGE)


async def _read(tr: Transaction, some: list[Entry], span: Span) -> list[VaultUsage]:
    """Return the usage of those of these vaults that had any client."""
    found = [(keyspace.unpack(key)[1], int.from_bytes(raw, "little")) for key, raw in some]
    kept = await asyncio.gather(*(months_kept(tr, TenantKeys(number)) for _, number in found))
    return [
        VaultUsage(vault_id, number, months_of(months, *span))
        for (vault_id, number), months in zip(found, kept, strict=True)
        if any(span.start <= month <= span.end for month in months)
    ]
