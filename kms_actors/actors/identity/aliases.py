"""Aliases of entities: found, written and removed, each within one transaction."""

from __future__ import annotations

from msgspec.structs import replace

from kms_actors.actors.identity.outcome import Given, Outcome
from kms_actors.actors.identity.storage import IdentityReader, IdentityRecords
from kms_actors.errors import InvalidRequest, NotFound
from kms_actors.identity.limits import check_name
from kms_actors.identity.messages import DeleteAlias, FindAlias, FoundAlias, LoginMount, WriteAlias
from kms_actors.identity.records import Alias, Entity


async def find_alias(reader: IdentityReader, message: FindAlias) -> FoundAlias:
    """Return an alias of an entity."""
    entity = await reader.entity_of_alias(message.id)
    alias = None if entity is None else entity.alias(message.id)
    if entity is None or alias is None:
        raise NotFound
    return FoundAlias(alias, entity.id)


async def write_alias(records: IdentityRecords, message: WriteAlias, given: Given) -> Outcome:
    """Make or change an alias of an entity."""
    if message.name:
        check_name(message.name)
    if message.id is not None:
        owner = await records.entity_of_alias(message.id)
        if owner is None:
            raise InvalidRequest("invalid alias ID provided")
        before = owner.alias(message.id)
    else:
        assert message.mount is not None
        owner = await records.entity_at(message.mount.accessor, message.name)
        before = None if owner is None else owner.alias_at(message.mount.accessor)
    if owner is None or before is None:
        return await _make(records, message, given)
    return await _change(records, message, owner, before, given.now)


async def delete_alias(records: IdentityRecords, message: DeleteAlias, _: Given) -> Outcome:
    """Remove an alias of an entity."""
    entity = await records.entity_of_alias(message.id)
    if entity is None:
        return Outcome()
    records.put_entity(_without(entity, message.id), entity)
    return Outcome(None, (entity.id,))


async def _make(records: IdentityRecords, message: WriteAlias, given: Given) -> Outcome:
    assert message.mount is not None
    alias = made_alias(given, message.name, message.mount, message.custom_metadata or {})
    if not message.entity:
        name = await records.free_entity_name(given.ids.entity)
        made = Entity(id=given.ids.entity, name=name, created=given.now, updated=given.now, aliases=(alias,))
        records.put_entity(made)
        return Outcome(FoundAlias(alias, made.id))
    entity = await records.entity(message.entity)
    if entity is None:
        raise InvalidRequest("invalid canonical ID")
    if entity.alias_at(message.mount.accessor) is not None:
        raise InvalidRequest("Alias already exists for requested entity and mount accessor")
    records.put_entity(replace(entity, aliases=(*entity.aliases, alias)), entity)
    return Outcome(FoundAlias(alias, entity.id), (entity.id,))


async def _change(records: IdentityRecords, message: WriteAlias, owner: Entity, before: Alias, now: int) -> Outcome:
    alias = placed(before, message.name, message.mount)
    if message.custom_metadata is not None:
        alias = replace(alias, custom_metadata=message.custom_metadata)
    moves = bool(message.entity) and message.entity != owner.id
    if alias == before and not moves:
        return Outcome()
    beside = None if moves else owner.alias_at(alias.mount_accessor)
    if beside is not None and beside.id != before.id:
        text = "Alias cannot be updated as the entity already has an alias for the given 'mount_accessor'"
        raise InvalidRequest(text)
    other = await records.entity_at(alias.mount_accessor, alias.name)
    there = None if other is None else other.alias_at(alias.mount_accessor)
    if there is not None and there.id != before.id:
        raise InvalidRequest("alias with combination of mount accessor and name already exists")
    target = await _target(records, message.entity, alias.mount_accessor) if moves else owner
    alias = replace(alias, updated=now)
    if not moves:
        aliases = tuple(alias if each.id == alias.id else each for each in owner.aliases)
        records.put_entity(replace(owner, aliases=aliases), owner)
        return Outcome(FoundAlias(alias, owner.id), (owner.id,))
    records.put_entity(_without(owner, alias.id), owner)
    records.put_entity(replace(target, aliases=(*target.aliases, alias)), target)
    return Outcome(FoundAlias(alias, target.id), (owner.id, target.id))


async def _target(records: IdentityRecords, entity: str, accessor: str) -> Entity:
    """Return the entity that an alias moves to."""
    target = await records.entity(entity)
    if target is None:
        raise InvalidRequest("given 'canonical_id' is not associated with an entity")
    if target.alias_at(accessor) is not None:
        raise InvalidRequest("Alias cannot be updated as the given entity already has an alias for this mount")
    return target


def made_alias(given: Given, name: str, mount: LoginMount, custom_metadata: dict[str, str]) -> Alias:
    """Return a new alias of this name at a mount."""
    return Alias(
        id=given.ids.alias,
        name=name,
        mount_accessor=mount.accessor,
        mount_type=mount.type,
        mount_path=mount.path,
        custom_metadata=custom_metadata,
        created=given.now,
        updated=given.now,
    )


def placed(alias: Alias, name: str, mount: LoginMount | None) -> Alias:
    """Return the alias with another name, or at another mount, where these are given."""
    alias = replace(alias, name=name or alias.name)
    if mount is None or mount.accessor == alias.mount_accessor:
        return alias
    return replace(alias, mount_accessor=mount.accessor, mount_type=mount.type, mount_path=mount.path)


def _without(entity: Entity, alias: str) -> Entity:
    return replace(entity, aliases=tuple(each for each in entity.aliases if each.id != alias))
