"""Identities within one transaction: memberships from both sides, and indices against what they lead to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple
from uuid import UUID

from kms_actors.actors.identity import places
from kms_actors.actors.identity.places import AREA, IdentityKeys
from kms_actors.check.findings import Kind, Page
from kms_actors.identity.records import Alias, Entity, Group, Pointer
from kms_actors.keyring.keyring import Keyring
from kms_actors.store.api import Reads
from kms_actors.store.keyspace import TenantKeys


class Grounds(NamedTuple):
    """What a check of identities has: `quietly` decodes another record, if it can be; `keyring` if it is at hand."""

    tr: Reads
    keys: TenantKeys
    page: Page
    quietly: Callable[[bytes, bytes], Any]
    keyring: Keyring | None


async def examine(grounds: Grounds, key: bytes, parts: tuple[Any, ...], record: Any) -> None:
    """See that a record has those that belong to it; `record` is None where it could not be opened."""
    rule = _RULES.get(parts[1])
    if rule is not None:
        await rule(grounds, key, parts, record)


async def _entity(grounds: Grounds, _: bytes, __: tuple[Any, ...], entity: Entity | None) -> None:
    if entity is not None and grounds.keyring is not None:
        keys = IdentityKeys(grounds.keys, grounds.keyring)
        name = keys.by_name(places.ENTITY_NAME, entity.name)
        kinds = (places.ALIAS, places.ALIAS_NAME, places.MOUNT)
        merged = (keys.by_id(places.MERGED, each) for each in entity.merged)
        await _indexed(grounds, entity.id, (name, *merged, *_of_aliases(keys, kinds, entity.aliases)))


async def _group(grounds: Grounds, _: bytes, __: tuple[Any, ...], group: Group | None) -> None:
    if group is not None and grounds.keyring is not None:
        keys = IdentityKeys(grounds.keys, grounds.keyring)
        name = keys.by_name(places.GROUP_NAME, group.name)
        kinds = (places.GROUP_ALIAS, places.GROUP_ALIAS_NAME, places.GROUP_MOUNT)
        aliases = () if group.alias is None else (group.alias,)
        await _indexed(grounds, group.id, (name, *_of_aliases(keys, kinds, aliases)))


def _of_aliases(keys: IdentityKeys, kinds: tuple[str, str, str], aliases: Iterable[Alias]) -> Iterable[bytes]:
    by_id, by_name, by_mount = kinds
    for alias in aliases:
        yield keys.by_id(by_id, alias.id)
        yield keys.by_alias(by_name, alias.mount_accessor, alias.name)
        yield keys.at_mount(by_mount, alias.mount_accessor, alias.id)


async def _indexed(grounds: Grounds, owner: str, indices: Iterable[bytes]) -> None:
    for key in indices:
        found = await grounds.tr.get(key)
        if found is None:
            grounds.page.add(Kind.MISSING, key, "an identity is not found by one of its names")
            continue
        pointer = grounds.quietly(key, found)
        if isinstance(pointer, Pointer) and pointer.id != owner:
            grounds.page.add(Kind.CONTRADICTION, key, "an index of identities leads to another")


async def _index(grounds: Grounds, key: bytes, parts: tuple[Any, ...], pointer: Pointer | None) -> None:
    kind = parts[2] if parts[1] == "index" else parts[1]
    if pointer is None:
        return
    area = "group" if kind in _OF_GROUPS else "entity"
    place = grounds.keys.key(AREA, area, UUID(pointer.id))
    found = await grounds.tr.get(place)
    owner = None if found is None else grounds.quietly(place, found)
    if found is None or (owner is not None and not _agrees(owner, kind, parts[-1], pointer)):
        grounds.page.add(Kind.ORPHAN, key, "an index of identities that leads to nothing")


def _agrees(owner: Entity | Group, kind: str, last: Any, pointer: Pointer) -> bool:
    if kind in {places.ENTITY_NAME, places.GROUP_NAME}:
        return owner.name == pointer.name
    if isinstance(owner, Entity):
        return str(last) in owner.merged if kind == places.MERGED else owner.alias(pointer.alias) is not None
    return owner.alias is not None and owner.alias.id == pointer.alias


async def _membership(grounds: Grounds, key: bytes, parts: tuple[Any, ...], _: Any) -> None:
    _, kind, one, other = parts
    if await grounds.tr.get(grounds.keys.key(AREA, _OTHER_SIDE[kind], other, one)) is None:
        grounds.page.add(Kind.ORPHAN, key, "a membership that is not known from the other side")
        return
    group = one if kind in {places.MEMBER, places.SUBGROUP} else other
    member = other if group is one else one
    area = "entity" if kind in {places.MEMBER, places.MEMBER_OF} else "group"
    if await grounds.tr.get(grounds.keys.key(AREA, area, member)) is None:
        grounds.page.add(Kind.ORPHAN, key, "a membership of what is not there")
    group_key, duty = grounds.keys.key(AREA, "group", group), grounds.keys.key(AREA, "duty", group)
    if await grounds.tr.get(group_key) is None and await grounds.tr.get(duty) is None:
        grounds.page.add(Kind.ORPHAN, key, "a membership in a group that is not there")


async def _count(grounds: Grounds, key: bytes, parts: tuple[Any, ...], _: Any) -> None:
    if await grounds.tr.get(grounds.keys.key(AREA, "group", parts[2])) is None:
        grounds.page.add(Kind.ORPHAN, key, "the number of members of a group that is not there")


_OF_GROUPS: Final = frozenset({places.GROUP_NAME, places.GROUP_ALIAS, places.GROUP_ALIAS_NAME, places.GROUP_MOUNT})
_OTHER_SIDE: Final = {
    places.MEMBER: places.MEMBER_OF,
    places.MEMBER_OF: places.MEMBER,
    places.SUBGROUP: places.SUBGROUP_OF,
    places.SUBGROUP_OF: places.SUBGROUP,
}
_RULES: Final[Mapping[str, Callable[[Grounds, bytes, tuple[Any, ...], Any], Awaitable[None]]]] = {
    "entity": _entity,
    "group": _group,
    "index": _index,
    places.MOUNT: _index,
    places.GROUP_MOUNT: _index,
    "count": _count,
    **dict.fromkeys(_OTHER_SIDE, _membership),
}
