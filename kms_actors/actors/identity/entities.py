"""Entities and their aliases: found, written, merged and removed, each within one transaction."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from kms_actors.actors.identity import places
from kms_actors.actors.identity.outcome import Given, Outcome, told
from kms_actors.actors.identity.resolving import counted
from kms_actors.actors.identity.storage import IdentityReader, IdentityRecords
from kms_actors.errors import InvalidRequest
from kms_actors.identity.graph import ancestors
from kms_actors.identity.limits import MAX_MERGED, check_metadata, check_name, normal_policies
from kms_actors.identity.merging import merge
from kms_actors.identity.messages import (
    DeleteEntities,
    FindEntity,
    FoundEntity,
    MergeEntities,
    Wanted,
    WriteEntity,
)
from kms_actors.identity.records import Entity


async def find_entity(reader: IdentityReader, message: FindEntity) -> FoundEntity | None:
    """Return an entity and the groups it is in."""
    entity = await _wanted(reader, message.wanted)
    if entity is None:
        return None
    direct = await counted(reader, await reader.memberships(places.MEMBER_OF, entity.id))
    above = await ancestors(direct, reader.parents)
    return FoundEntity(entity, tuple(direct), tuple(sorted(above - direct.keys())))


async def write_entity(records: IdentityRecords, message: WriteEntity, given: Given) -> Outcome:
    """Make or change an entity."""
    if message.name:
        check_name(message.name)
    named = await records.entity_named(message.name) if message.name else None
    before = named
    if message.id is not None:
        before = await records.entity(message.id)
        if before is None:
            raise InvalidRequest("entity not found from id")
        if named is not None and named.id != before.id:
            raise InvalidRequest("entity name is already in use")
    if before is None:
        name = message.name or await records.free_entity_name(given.ids.entity)
        entity = Entity(id=given.ids.entity, name=name, created=given.now, updated=given.now)
    else:
        entity = replace(before, name=message.name or before.name, updated=given.now)
    entity = replace(
        entity,
        policies=entity.policies if message.policies is None else normal_policies(message.policies),
        metadata=entity.metadata if message.metadata is None else message.metadata,
        disabled=entity.disabled if message.disabled is None else message.disabled,
    )
    check_metadata(entity.metadata, "entity")
    records.put_entity(entity, before)
    return Outcome(entity) if before is None else Outcome(None, (entity.id,))


async def delete_entities(records: IdentityRecords, message: DeleteEntities, _: Given) -> Outcome:
    """Remove entities with all that is theirs."""
    found = await records.entities(message.ids)
    if message.name:
        found.append(await records.entity_named(message.name))
    gone = {entity.id: entity for entity in found if entity is not None}
    for entity in gone.values():
        await records.leave_groups(entity.id)
        records.remove_entity(entity)
    return Outcome(None, told(tuple(gone)))


async def merge_entities(records: IdentityRecords, message: MergeEntities, given: Given) -> Outcome:
    """Make one entity of several."""
    ids = tuple(dict.fromkeys(message.sources))
    if len(ids) > MAX_MERGED:
        raise InvalidRequest(f"from_entity_ids has more than {MAX_MERGED} entries")
    target = await records.entity(message.target)
    if target is None:
        raise InvalidRequest("entity id to merge to is invalid")
    if message.target in ids:
        raise InvalidRequest("to_entity_id should not be present in from_entity_ids")
    sources = [entity for entity in await records.entities(ids) if entity is not None]
    if len(sources) < len(ids):
        raise InvalidRequest("entity id to merge from is invalid")
    merged = merge(target, sources, set(message.keep), given.now)
    await _move_memberships(records, sources, target)
    for entity in sources:
        records.remove_entity(entity)
    records.put_entity(merged, target)
    for id_ in merged.merged:
        records.merge_into(id_, target.id)
    return Outcome(None, told((target.id, *ids)))


async def _move_memberships(records: IdentityRecords, sources: Iterable[Entity], target: Entity) -> None:
    there = await records.memberships(places.MEMBER_OF, target.id)
    for entity in sources:
        for group, membership in (await records.leave_groups(entity.id)).items():
            if group not in there:
                records.add_member(group, target.id, membership)
                there[group] = membership


async def _wanted(reader: IdentityReader, wanted: Wanted) -> Entity | None:
    if wanted.id:
        return await reader.entity(wanted.id)
    if wanted.name:
        return await reader.entity_named(wanted.name)
    if wanted.alias_id:
        return await reader.entity_of_alias(wanted.alias_id)
    return await reader.entity_at(wanted.accessor, wanted.alias)
