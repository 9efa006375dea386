"""Records below mounts that do not exist: found and removed, beside running nodes.

A node that did not read what its changes rest on could leave such records, and a backup that was read while a mount
was disabled can bring them back. Nothing reaches them. A mount's number is never used again, and its record is made
in the transaction that gives it out; so one that is not there now will never be, and whoever writes below it reads
that.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any, Final, NamedTuple

from kms_actors.actors.cluster.schedule import UNMOUNTING
from kms_actors.actors.tenant.standing import ERASURE
from kms_actors.backup.layout import LOCK
from kms_actors.check.deleting import begun
from kms_actors.check.findings import parts_of
from kms_actors.mounts import AREAS
from kms_actors.store import keyspace
from kms_actors.store.api import Priority, Store, Transaction
from kms_actors.store.keyspace import TenantKeys, after

_TENANTS: Final = keyspace.pack("t")


class Orphans(NamedTuple):
    """All records of an area of a tenant below one number that is no mount's."""

    tenant: int
    area: str
    mount: int


async def find_orphans(store: Store) -> AsyncIterator[Orphans]:
    """Yield what belongs to no mount, in the order of keys; vaults that are being restored are left out."""
    async for tenant in _numbers(store, _TENANTS):
        keys = TenantKeys(tenant)
        for area in AREAS:
            async for mount in _numbers(store, keys.key(area)):
                orphans = Orphans(tenant, area, mount)
                if await store.run(partial(_is_there, orphans=orphans), priority=Priority.BATCH):
                    yield orphans


async def remove_orphans(store: Store, found: Callable[[Orphans], None]) -> int:
    """Remove what belongs to no mount, and tell of each; return how many there were."""
    count = 0
    async for orphans in find_orphans(store):
        if await store.run(partial(_remove, orphans=orphans), priority=Priority.BATCH):
            found(orphans)
            count += 1
    return count


async def _numbers(store: Store, prefix: bytes) -> AsyncIterator[int]:
    """Yield the numbers that follow `prefix` in keys: one short read each, however many records have it."""
    begin, end = prefix + b"\x00", after(prefix)
    while True:
        entries = await store.run(partial(_first, begin=begin, end=end), priority=Priority.BATCH)
        if not entries:
            return
        whole: tuple[Any, ...] = parts_of(entries[0][0]) or ()
        place = len(parts_of(prefix) or ())
        if len(whole) <= place or not isinstance(whole[place], int):
            begin = entries[0][0] + b"\x00"
            continue
        yield whole[place]
        begin = after(keyspace.pack(*whole[: place + 1]))


async def _first(tr: Transaction, begin: bytes, end: bytes) -> list[tuple[bytes, bytes]]:
    return await tr.get_range(begin, end, limit=1)


async def _is_there(tr: Transaction, orphans: Orphans) -> bool:
    """Whether there are such records now: those that were read before may have gone with the mount's own since."""
    keys = TenantKeys(orphans.tenant)
    known = (("mount", orphans.mount), (UNMOUNTING, orphans.mount), (LOCK,), (ERASURE,))
    *owners, erasure = await tr.get_many([keys.key(*parts) for parts in known])
    if begun(erasure) or any(record is not None for record in owners):
        return False  # of a vault that is deleted mounts go before what lies below some of them
    return bool(await tr.get_range(*keys.span(orphans.area, orphans.mount), limit=1))


async def _remove(tr: Transaction, orphans: Orphans) -> bool:
    if not await _is_there(tr, orphans):
        return False
    tr.clear_range(*TenantKeys(orphans.tenant).span(orphans.area, orphans.mount))
    return True
