"""The identities of a vault within one transaction: sealed records in, checked records out.

An index is what it says only if what it leads to agrees: after a restore of a backup that was taken while names were
changed, one may lead to what is not there any more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Final, TypeVar

import msgspec

from kms_actors.actors.identity import places
from kms_actors.actors.identity.places import IdentityKeys, is_id
from kms_actors.identity.limits import is_name
from kms_actors.identity.records import Alias, Duty, Entity, Group, Membership, Pointer
from kms_actors.keyring import stored
from kms_actors.keyring.keyring import Keyring
from kms_actors.store.api import Entry, Reads, Transaction
from kms_actors.store.keyspace import TenantKeys
from kms_actors.store.pages import behind

R = TypeVar("R", bound=msgspec.Struct)

#: Characters of an id that a name is made of; all if it is taken.
_NAMED_BY: Final = 8
#: Indices of aliases: by id, by mount and name, and by mount.
_OF_ENTITIES: Final = (places.ALIAS, places.ALIAS_NAME, places.MOUNT)
_OF_GROUPS: Final = (places.GROUP_ALIAS, places.GROUP_ALIAS_NAME, places.GROUP_MOUNT)


class IdentityReader:
    """One transaction's view. Ids and names may be anything; None for what is not there."""

    def __init__(self, reads: Reads, keys: TenantKeys, keyring: Keyring) -> None:
        self.keys = IdentityKeys(keys, keyring)
        self._reads = reads
        self._keyring = keyring

    async def entity(self, entity: str) -> Entity | None:
        """Return an entity."""
        return (await self.entities((entity,)))[0]

    async def entities(self, ids: Sequence[str]) -> list[Entity | None]:
        """Return entities in the order of their ids."""
        return await self._many([self.keys.entity(each) if is_id(each) else None for each in ids], Entity)

    async def successor(self, entity: str) -> Entity | None:
        """Return an entity, or the one that it was merged into."""
        if not is_id(entity):
            return None
        key, merged = self.keys.entity(entity), self.keys.by_id(places.MERGED, entity)
        found, pointer = await self._reads.get_many((key, merged))
        if found is not None:
            return self.opened(key, found, Entity)
        return None if pointer is None else await self.entity(self.opened(merged, pointer, Pointer).id)

    async def group(self, group: str) -> Group | None:
        """Return a group."""
        return (await self.groups((group,)))[0]

    async def groups(self, ids: Sequence[str]) -> list[Group | None]:
        """Return groups in the order of their ids."""
        return await self._many([self.keys.group(each) if is_id(each) else None for each in ids], Group)

    async def entity_named(self, name: str) -> Entity | None:
        """Return the entity of a name."""
        pointer = await self.pointer(self.keys.by_name(places.ENTITY_NAME, name)) if is_name(name) else None
        entity = None if pointer is None else await self.entity(pointer.id)
        return entity if entity is not None and entity.name.lower() == name.lower() else None

    async def group_named(self, name: str) -> Group | None:
        """Return the group of a name."""
        pointer = await self.pointer(self.keys.by_name(places.GROUP_NAME, name)) if is_name(name) else None
        group = None if pointer is None else await self.group(pointer.id)
        return group if group is not None and group.name.lower() == name.lower() else None

    async def entity_of_alias(self, alias: str) -> Entity | None:
        """Return the entity that an alias of this id belongs to."""
        pointer = await self.pointer(self.keys.by_id(places.ALIAS, alias)) if is_id(alias) else None
        entity = None if pointer is None else await self.entity(pointer.id)
        return entity if entity is not None and entity.alias(alias) is not None else None

    async def entity_at(self, accessor: str, name: str) -> Entity | None:
        """Return the entity of an alias."""
        found = is_name(accessor) and is_name(name)
        pointer = await self.pointer(self.keys.by_alias(places.ALIAS_NAME, accessor, name)) if found else None
        entity = None if pointer is None else await self.entity(pointer.id)
        return entity if entity is not None and is_alias(entity.alias_at(accessor), accessor, name) else None

    async def group_of_alias(self, alias: str) -> Group | None:
        """Return the group whose alias has this id."""
        pointer = await self.pointer(self.keys.by_id(places.GROUP_ALIAS, alias)) if is_id(alias) else None
        group = None if pointer is None else await self.group(pointer.id)
        return group if group is not None and group.alias is not None and group.alias.id == alias else None

    async def groups_at(self, accessor: str, names: Sequence[str]) -> list[Group | None]:
        """Return the group of each of these aliases, in their order."""
        found = is_name(accessor)
        keys = [
            self.keys.by_alias(places.GROUP_ALIAS_NAME, accessor, name) if found and is_name(name) else None
            for name in names
        ]
        pointers = await self._many(keys, Pointer)
        groups = await self.groups(["" if pointer is None else pointer.id for pointer in pointers])
        return [
            group if group is not None and is_alias(group.alias, accessor, name) else None
            for group, name in zip(groups, names, strict=True)
        ]

    async def memberships(self, kind: str, one: str, limit: int = 0) -> dict[str, Membership]:
        """Return the memberships of a kind that begin with `one`, by the other's id, sorted."""
        entries = await self._reads.get_range(*self.keys.links(kind, one), limit=limit)
        return {self.keys.last(key): self.opened(key, record, Membership) for key, record in entries}

    async def parents(self, groups: Sequence[str]) -> list[Iterable[str]]:
        """Return the ids of the groups that each of these is a member of."""
        return list(await asyncio.gather(*(self.memberships(places.SUBGROUP_OF, group) for group in groups)))

    async def free_entity_name(self, entity: str) -> str:
        """Return a name for a new entity that none has."""
        name = f"entity_{entity[:_NAMED_BY]}"
        return name if await self.entity_named(name) is None else f"entity_{entity}"

    async def free_group_name(self, group: str) -> str:
        """Return a name for a new group that none has."""
        name = f"group_{group[:_NAMED_BY]}"
        return name if await self.group_named(name) is None else f"group_{group}"

    async def missing(self, entities: Sequence[str]) -> bool:
        """Tell whether one of these entities is not there."""
        if not all(map(is_id, entities)):
            return True
        return None in await self._reads.get_many([self.keys.entity(each) for each in entities])

    async def number(self, *keys: bytes) -> list[int]:
        """Return what is counted at keys."""
        return [int.from_bytes(raw or b"", "little", signed=True) for raw in await self._reads.get_many(keys)]

    async def entries(self, last: bytes, end: bytes, limit: int) -> list[Entry]:
        """Return sealed records behind a key."""
        return await self._reads.get_range(behind(last), end, limit=limit)

    async def pointer(self, key: bytes) -> Pointer | None:
        """Return what an index has at a key."""
        return (await self._many([key], Pointer))[0]

    async def _many(self, keys: Sequence[bytes | None], kind: type[R]) -> list[R | None]:
        asked = [key for key in keys if key is not None]
        found = dict(zip(asked, await self._reads.get_many(asked) if asked else (), strict=True))
        return [
            None if key is None or (record := found[key]) is None else self.opened(key, record, kind) for key in keys
        ]

    def opened(self, key: bytes, record: bytes, kind: type[R]) -> R:
        """Return the record found at a key."""
        return stored.decode(self._keyring.open(key, record), kind, f"{kind.__name__} record")


class IdentityRecords(IdentityReader):
    """The same in a transaction that changes it."""

    def __init__(self, tr: Transaction, keys: TenantKeys, keyring: Keyring) -> None:
        super().__init__(tr, keys, keyring)
        self._tr = tr

    def put_entity(self, entity: Entity, before: Entity | None = None) -> None:
        """Write an entity and its indices; `before`: as it was, unless it is new."""
        self._set(self.keys.entity(entity.id), entity)
        self._index_name(places.ENTITY_NAME, entity.id, entity.name, before.name if before is not None else None)
        known = () if before is None else before.aliases
        self._replace(*(self._indices(_OF_ENTITIES, entity.id, aliases) for aliases in (known, entity.aliases)))

    def remove_entity(self, entity: Entity) -> None:
        """Remove an entity and its indices; not its memberships."""
        self._tr.clear(self.keys.entity(entity.id))
        self._tr.clear(self.keys.by_name(places.ENTITY_NAME, entity.name))
        self._replace(self._indices(_OF_ENTITIES, entity.id, entity.aliases), {})
        for merged in entity.merged:
            self._tr.clear(self.keys.by_id(places.MERGED, merged))

    def put_group(self, group: Group, before: Group | None = None) -> None:
        """Write a group and its indices; `before`: as it was, unless it is new."""
        self._set(self.keys.group(group.id), group)
        self._index_name(places.GROUP_NAME, group.id, group.name, before.name if before is not None else None)
        known = None if before is None else before.alias
        self._replace(*(self._indices(_OF_GROUPS, group.id, (alias,)) for alias in (known, group.alias)))
        if before is None:
            self._tr.add(self.keys.groups, 1)

    def remove_group(self, group: Group) -> None:
        """Remove a group and its indices; not its memberships."""
        self._tr.clear(self.keys.group(group.id))
        self._tr.clear(self.keys.by_name(places.GROUP_NAME, group.name))
        self._replace(self._indices(_OF_GROUPS, group.id, (group.alias,)), {})
        self._tr.add(self.keys.groups, -1)
        self._tr.clear(self.keys.count(group.id))

    def add_member(self, group: str, entity: str, membership: Membership, *, new: bool = True) -> None:
        """Put an entity into a group; `new`: it was not in it before."""
        if new:
            self._tr.add(self.keys.count(group), 1)
        self._set(self.keys.link(places.MEMBER, group, entity), membership)
        self._set(self.keys.link(places.MEMBER_OF, entity, group), membership)

    def remove_member(self, group: str, entity: str, *, gone: bool = False) -> None:
        """Take an entity out of a group that it is in; `gone`: the group is not there any more."""
        if not gone:
            self._tr.add(self.keys.count(group), -1)
        self._tr.clear(self.keys.link(places.MEMBER, group, entity))
        self._tr.clear(self.keys.link(places.MEMBER_OF, entity, group))

    def add_subgroup(self, group: str, member: str) -> None:
        """Put a group into another."""
        self._set(self.keys.link(places.SUBGROUP, group, member), Membership())
        self._set(self.keys.link(places.SUBGROUP_OF, member, group), Membership())

    def remove_subgroup(self, group: str, member: str) -> None:
        """Take a group out of another."""
        self._tr.clear(self.keys.link(places.SUBGROUP, group, member))
        self._tr.clear(self.keys.link(places.SUBGROUP_OF, member, group))

    def merge_into(self, merged: str, entity: str) -> None:
        """Let the id of an entity that is gone lead to the one it was merged into."""
        self._set(self.keys.by_id(places.MERGED, merged), Pointer(entity))

    async def leave_groups(self, entity: str) -> dict[str, Membership]:
        """Take an entity out of all groups it is in by itself; return the memberships of those that are there."""
        memberships = await self.memberships(places.MEMBER_OF, entity)
        there = {}
        for (id_, membership), group in zip(memberships.items(), await self.groups(list(memberships)), strict=True):
            self.remove_member(id_, entity, gone=group is None)
            if group is not None:
                there[id_] = membership
        return there

    def leave(self, duty_id: str, duty: Duty) -> None:
        """Leave something to be removed."""
        self._set(self.keys.duty(duty_id), duty)

    def drop(self, key: bytes) -> None:
        """Remove what leads nowhere."""
        self._tr.clear(key)

    def _index_name(self, kind: str, id_: str, name: str, before: str | None) -> None:
        known = {} if before is None else {self.keys.by_name(kind, before): Pointer(id_, name=before)}
        self._replace(known, {self.keys.by_name(kind, name): Pointer(id_, name=name)})

    def _indices(
        self, kinds: tuple[str, str, str], owner: str, aliases: Iterable[Alias | None]
    ) -> dict[bytes, Pointer]:
        """Return all indices, of these kinds, of aliases that belong to `owner`."""
        by_id, by_name, by_mount = kinds
        return {
            key: Pointer(owner, alias=alias.id)
            for alias in aliases
            if alias is not None
            for key in (
                self.keys.by_id(by_id, alias.id),
                self.keys.by_alias(by_name, alias.mount_accessor, alias.name),
                self.keys.at_mount(by_mount, alias.mount_accessor, alias.id),
            )
        }

    def _replace(self, before: dict[bytes, Pointer], after: dict[bytes, Pointer]) -> None:
        for key in before.keys() - after.keys():
            self._tr.clear(key)
        for key, pointer in after.items():
            if before.get(key) != pointer:
                self._set(key, pointer)

    def _set(self, key: bytes, record: msgspec.Struct) -> None:
        self._tr.set(key, self._keyring.seal(key, stored.encode(record)))


def is_alias(alias: Alias | None, accessor: str, name: str) -> bool:
    """Tell whether this is the alias of a name at a mount."""
    return alias is not None and alias.mount_accessor == accessor and alias.name.lower() == name.lower()
