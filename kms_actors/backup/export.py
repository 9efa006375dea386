"""Backup: one vault or all out of a store, as frames of whole groups. Nothing is opened on the way.

Each page is a snapshot, a secret with all its versions (and a transit key with all of its) lies in one page, and what
a vault is (its keyring above all) is read last. Different secrets may be of different moments. Of a vault that is
deleted meanwhile a backup of all has nothing.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Final

from kms_actors.actors.tenant.standing import erasure_of
from kms_actors.backup.format import (
    ALL,
    Cluster,
    FrameWriter,
    Records,
    Tenant,
)
from kms_actors.backup.groups import read_groups, require_whole
from kms_actors.backup.layout import (
    LAST,
    OF_RUNNING_NODES,
)
from kms_actors.errors import InvalidRequest
from kms_actors.store import keyspace
from kms_actors.store.api import Entry, Priority, Store, Transaction
from kms_actors.store.keyspace import ALLOCATOR, TenantKeys
from kms_actors.store.pages import PAGE_BYTES, behind, read_page, size_of

NODES: Final = keyspace.pack("node")


class Gone(InvalidRequest):
    """A vault is no more, or is being deleted."""


#: Told after each frame how many vaults it completes, and how many records it holds.
Advance = Callable[[int, int], None]


def _nothing(vaults: int, records: int) -> None:
    """Report to nobody."""


async def count_vaults(store: Store) -> int:
    """Return how many vaults the store has."""
    count = 0
    async for _ in _vaults(store, keyspace.VAULTS):
        count += 1
    return count


async def number_of(store: Store, vault: str) -> int:
    """Return the tenant integer of a vault; InvalidRequest if there is none."""
    number = await store.run(lambda tr: tr.get(keyspace.vault(vault)))
    if number is None:
        raise InvalidRequest(f"there is no vault {vault}")
    return int.from_bytes(number, "little")


class Export:
    """One run of a backup into `writer`."""

    def __init__(self, store: Store, writer: FrameWriter, advance: Advance = _nothing) -> None:
        self._store = store
        self._writer = writer
        self._advance = advance

    async def run(self, scope: str, last: Records | Tenant | Cluster | None = None) -> str:
        """Back up a vault, or `ALL`, behind the frame `last` of an earlier run; return the digest in hex.

        Raises:
            InvalidRequest: there is no such vault, or it goes away meanwhile, or is being restored.

        """
        if isinstance(last, Records):
            await self._tenant(last.vault, last.tenant, last.resume, last.restored, or_gone=scope == ALL)
        if scope == ALL:
            if not isinstance(last, Cluster):
                await self._rest(keyspace.VAULTS if last is None else behind(keyspace.vault(last.vault)))
        elif last is None:
            await self._tenant(scope, await number_of(self._store, scope), b"", or_gone=False)
        return self._writer.end()

    async def _rest(self, begin: bytes) -> None:
        async for vault, number in _vaults(self._store, begin):
            await self._tenant(vault, number, b"", or_gone=True)
        self._write(Cluster(tuple(await self._store.run(_cluster, priority=Priority.BATCH))))

    async def _tenant(
        self, vault: str, number: int, begin: bytes, restored: bytes | None = None, *, or_gone: bool
    ) -> None:
        try:
            await self._whole_tenant(vault, number, begin, restored)
        except InvalidRequest as error:
            self._writer.drop_vault()  # a resumed backup reads it from its beginning
            if not (or_gone and isinstance(error, Gone)):
                raise

    async def _whole_tenant(self, vault: str, number: int, begin: bytes, restored: bytes | None) -> None:
        keys = TenantKeys(number)
        place: bytes | None = begin or keys.prefix
        while place is not None:
            groups = await read_groups(self._store, vault, keys, place, restored)
            place, restored = groups.next, groups.restored
            parts = list(_parts(groups.entries))
            for part in parts[:-1]:
                self._write(Records(vault, number, tuple(part), b"", restored))
            for part in parts[-1:]:
                self._write(Records(vault, number, tuple(part), place or keyspace.after(keys.prefix), restored))
        last = await self._store.run(lambda tr: what_it_is(tr, vault, keys, restored), priority=Priority.BATCH)
        self._write(Tenant(vault, number, tuple(last)))

    def _write(self, frame: Records | Tenant | Cluster) -> None:
        self._writer.write(frame)
        self._advance(isinstance(frame, Tenant), len(frame.entries))


async def _vaults(store: Store, begin: bytes) -> AsyncIterator[tuple[str, int]]:
    """Yield id and tenant integer of each vault, in the order of their ids."""
    place: bytes | None = begin
    while place is not None:
        page = await store.run(
            functools.partial(read_page, begin=place, end=keyspace.after(keyspace.VAULTS)), priority=Priority.BATCH
        )
        for key, number in page.entries:
            yield keyspace.unpack(key)[1], int.from_bytes(number, "little")
        place = page.next


async def what_it_is(tr: Transaction, vault: str, keys: TenantKeys, restored: bytes | None) -> list[Entry]:
    """Return the records that make a vault of all others, of one moment; raises Gone, and as `require_whole`."""
    number, erasure = await asyncio.gather(tr.get(keyspace.vault(vault)), erasure_of(tr, keys))
    await require_whole(tr, vault, keys, restored)
    if number is None or int.from_bytes(number, "little") != keys.number or (erasure is not None and erasure.begun):
        raise Gone(f"{vault} was removed while it was backed up")
    areas = await asyncio.gather(*(tr.get_range(keys.key(area), keys.span(area)[1]) for area in LAST))
    return [entry for area in areas for entry in area]


async def _cluster(tr: Transaction) -> list[Entry]:
    found, allocator = await asyncio.gather(tr.get_range(NODES, keyspace.after(NODES)), tr.get(ALLOCATOR))
    nodes = [entry for entry in found if keyspace.unpack(entry[0])[2] not in OF_RUNNING_NODES]
    return nodes if allocator is None else [*nodes, (ALLOCATOR, allocator)]


def _parts(entries: list[Entry]) -> Iterator[list[Entry]]:
    """Cut a page so that each part can be one transaction of a restore."""
    part: list[Entry] = []
    size = 0
    for entry in entries:
        if part and size + size_of([entry]) > PAGE_BYTES:
            yield part
            part, size = [], 0
        part.append(entry)
        size += size_of([entry])
    if part:
        yield part
