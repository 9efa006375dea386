"""Lists of identities: a page a transaction, in the order of ids, and never more than one answer can hold."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple

from kms_actors.actors.identity import places
from kms_actors.actors.identity.places import IdentityKeys, is_id
from kms_actors.actors.identity.storage import IdentityReader
from kms_actors.actors.tenant.context import TenantContext
from kms_actors.actors.tenant.listing import PAGE
from kms_actors.errors import InvalidRequest
from kms_actors.identity.limits import MAX_LISTED
from kms_actors.identity.messages import (
    CountEntities,
    FoundAlias,
    ListAliases,
    ListedGroup,
    ListEntities,
    ListGroups,
    ListPage,
)
from kms_actors.identity.records import Entity, Group, Pointer
from kms_actors.store.api import Entry, Priority

#: Records read in one transaction.
_PAGE: Final = 250


class Page(NamedTuple):
    """Records of one page, and the key behind which the next begins; None behind the last."""

    found: list[Any]
    last: bytes | None


#: Reads the page behind a key, at most so many records.
ReadPage = Callable[[IdentityReader, bytes, int], Awaitable[Page]]


async def list_entities(context: TenantContext, message: ListEntities) -> list[Any]:
    """Return entities."""
    return await _walk(context, message, ("entity",), _entities)


async def count_entities(context: TenantContext, _: CountEntities) -> int:
    """Return how many entities there are; none is opened."""
    first, end = IdentityKeys(context.keys, context.keyring).all("entity")
    place: bytes | None = first
    count = 0
    async with context.long_reads.turn():
        while place is not None:
            entries = await _entries(context, place, end)
            count += len(entries)
            place = _last(entries, PAGE)
            if place is not None:
                place += b"\0"
                await context.turns.turn(context.vault_id)
    return count


async def _entries(context: TenantContext, begin: bytes, end: bytes) -> list[Entry]:
    return await context.store.read(lambda tr: tr.get_range(begin, end, limit=PAGE), priority=Priority.BATCH)


async def list_aliases(context: TenantContext, message: ListAliases) -> list[Any]:
    """Return the aliases of entities."""
    return await _walk(context, message, ("index", places.ALIAS), _aliases)


async def list_groups(context: TenantContext, _: ListGroups) -> list[Any]:
    """Return groups with how many there are in each; there are never many."""
    return await _walk(context, ListPage(), ("group",), _groups)


async def _walk(context: TenantContext, message: ListPage, kind: tuple[str, ...], read: ReadPage) -> list[Any]:
    most = min(message.limit or MAX_LISTED + 1, MAX_LISTED + 1)
    page = await _read(context, _begin(context, message.after, kind), read, most)
    found = page.found
    if page.last is not None and len(found) < most:
        async with context.long_reads.turn():
            while page.last is not None and len(found) < most:
                await context.turns.turn(context.vault_id)
                page = await _read(context, page.last, read, most - len(found))
                found += page.found
    if len(found) > MAX_LISTED:
        raise InvalidRequest(f"there are more than {MAX_LISTED}: list ids with limit and after")
    return found


def _begin(context: TenantContext, after: str, kind: tuple[str, ...]) -> bytes:
    keys = IdentityKeys(context.keys, context.keyring)
    if not after:
        return keys.all(*kind)[0]
    if not is_id(after):
        raise InvalidRequest("after is no id")
    return keys.listed(after, *kind)


async def _read(context: TenantContext, last: bytes, read: ReadPage, most: int) -> Page:
    limit = min(most, _PAGE)
    return await context.store.read(lambda tr: read(IdentityReader(tr, context.keys, context.keyring), last, limit))


async def _entities(reader: IdentityReader, last: bytes, limit: int) -> Page:
    entries = await reader.entries(last, reader.keys.all("entity")[1], limit)
    return Page([reader.opened(*entry, Entity) for entry in entries], _last(entries, limit))


async def _aliases(reader: IdentityReader, last: bytes, limit: int) -> Page:
    entries = await reader.entries(last, reader.keys.all("index", places.ALIAS)[1], limit)
    pointers = [reader.opened(*entry, Pointer) for entry in entries]
    entities = await reader.entities([pointer.id for pointer in pointers])
    found = [
        FoundAlias(alias, entity.id)
        for pointer, entity in zip(pointers, entities, strict=True)
        if entity is not None and (alias := entity.alias(pointer.alias)) is not None
    ]
    return Page(found, _last(entries, limit))


async def _groups(reader: IdentityReader, last: bytes, limit: int) -> Page:
    entries = await reader.entries(last, reader.keys.all("group")[1], limit)
    groups = [reader.opened(*entry, Group) for entry in entries]
    counts, parents = await asyncio.gather(
        reader.number(*(reader.keys.count(group.id) for group in groups)),
        reader.parents([group.id for group in groups]),
    )
    found = [
        ListedGroup(group, count, len(list(above)))
        for group, count, above in zip(groups, counts, parents, strict=True)
    ]
    return Page(found, _last(entries, limit))


def _last(entries: list[Entry], limit: int) -> bytes | None:
    return entries[-1][0] if len(entries) == limit else None
