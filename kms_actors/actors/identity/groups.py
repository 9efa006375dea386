"""Groups and their members: found, written and removed, each within one transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace

from kms_actors.actors.identity import places
from kms_actors.actors.identity.outcome import EVERYBODY, Given, Outcome
from kms_actors.actors.identity.storage import IdentityReader, IdentityRecords
from kms_actors.errors import InvalidRequest
from kms_actors.identity.graph import ancestors, cyclic
from kms_actors.identity.limits import MAX_GROUPS, MAX_MEMBERS, check_metadata, check_name, normal_policies
from kms_actors.identity.messages import DeleteGroup, FindGroup, FoundGroup, Wanted, WriteGroup
from kms_actors.identity.records import Duty, DutyKind, Group, GroupType, Membership

#: Members put into a group before others have a turn of the loop.
_AT_ONCE: Final = 256


async def find_group(reader: IdentityReader, message: FindGroup) -> FoundGroup | None:
    """Return a group and its members."""
    group = await _wanted(reader, message.wanted)
    if group is None:
        return None
    members = await reader.memberships(places.MEMBER, group.id, MAX_MEMBERS + 1)
    entities = [entity for entity, membership in members.items() if group.has(membership)]
    return FoundGroup(
        group,
        tuple(entities[:MAX_MEMBERS]),
        tuple(await reader.memberships(places.SUBGROUP, group.id)),
        tuple(await reader.memberships(places.SUBGROUP_OF, group.id)),
        len(members) > MAX_MEMBERS,
    )


async def write_group(records: IdentityRecords, message: WriteGroup, given: Given) -> Outcome:
    """Make or change a group."""
    if message.name:
        check_name(message.name)
    named = await records.group_named(message.name) if message.name else None
    before = named if message.id is None else await _of_id(records, message.id)
    policies = None if message.policies is None else normal_policies(message.policies)
    if before is None:
        group = await new_group(records, message.name, _type(message.type), given)
    elif message.type not in (None, before.type):
        raise InvalidRequest("group type cannot be changed")
    elif named is not None and named.id != before.id:
        raise InvalidRequest("group name is already in use")
    else:
        group = replace(before, name=message.name or before.name, updated=given.now, changes=before.changes + 1)
    group = replace(
        group,
        metadata=group.metadata if message.metadata is None else message.metadata,
        policies=group.policies if policies is None else policies,
    )
    if group.type is GroupType.EXTERNAL:
        if message.entities is not None:
            raise InvalidRequest("member entities can't be set manually for external groups")
        if message.groups is not None:
            raise InvalidRequest("member groups can't be set for external groups")
    check_metadata(group.metadata, "group")
    if group.type is GroupType.INTERNAL:
        await _set_entities(records, group.id, message.entities)
        await _set_groups(records, group.id, message.groups)
    records.put_group(group, before)
    return Outcome(group if before is None else None, EVERYBODY)


async def delete_group(records: IdentityRecords, message: DeleteGroup, _: Given) -> Outcome:
    """Remove a group."""
    group = await records.group_named(message.name) if message.name else await records.group(message.id)
    if group is None:
        return Outcome()
    for parent in await records.memberships(places.SUBGROUP_OF, group.id):
        records.remove_subgroup(parent, group.id)
    for member in await records.memberships(places.SUBGROUP, group.id):
        records.remove_subgroup(group.id, member)
    members = await records.memberships(places.MEMBER, group.id, MAX_MEMBERS + 1)
    left = len(members) > MAX_MEMBERS
    if left:
        records.leave(group.id, Duty(DutyKind.MEMBERS, group.id))
    else:
        for entity in members:
            records.remove_member(group.id, entity)
    records.remove_group(group)
    return Outcome(None, EVERYBODY, left)


async def new_group(records: IdentityRecords, name: str, kind: GroupType, given: Given) -> Group:
    """Return a group that is to be made; raises InvalidRequest if there may be no more."""
    (number,) = await records.number(records.keys.groups)
    if number >= MAX_GROUPS:
        raise InvalidRequest(f"a vault has {MAX_GROUPS} groups at most")
    name = name or await records.free_group_name(given.ids.entity)
    return Group(id=given.ids.entity, name=name, type=kind, created=given.now, updated=given.now)


def _type(sent: str | None) -> GroupType:
    try:
        return GroupType(sent or GroupType.INTERNAL)
    except ValueError:
        raise InvalidRequest("invalid group type: internal or external") from None


async def _of_id(records: IdentityRecords, id_: str) -> Group:
    if not id_:
        raise InvalidRequest("empty group ID")
    group = await records.group(id_)
    if group is None:
        raise InvalidRequest("invalid group ID")
    return group


async def _set_entities(records: IdentityRecords, group: str, entities: Sequence[str] | None) -> None:
    if entities is None:
        return
    wanted = set(entities)
    if len(wanted) > MAX_MEMBERS:
        raise InvalidRequest(f"member_entity_ids has more than {MAX_MEMBERS} entries")
    there = await records.memberships(places.MEMBER, group)
    added = sorted(wanted - there.keys())
    if await records.missing(added):
        raise InvalidRequest("invalid entity ID in member_entity_ids")
    for number, entity in enumerate(added):
        records.add_member(group, entity, Membership())
        if not number % _AT_ONCE:
            await asyncio.sleep(0)  # others go on
    for entity in there.keys() - wanted:
        records.remove_member(group, entity)


async def _set_groups(records: IdentityRecords, group: str, groups: Sequence[str] | None) -> None:
    if groups is None:
        return
    wanted = set(groups)
    if len(wanted) > MAX_GROUPS:
        raise InvalidRequest(f"member_group_ids has more than {MAX_GROUPS} entries")
    there = await records.memberships(places.SUBGROUP, group)
    added = sorted(wanted - there.keys())
    for member, found in zip(added, await records.groups(added), strict=True):
        if member == group:
            raise InvalidRequest("member group ID is same as the ID of the group")
        if found is None:
            raise InvalidRequest("invalid member group ID in member_group_ids")
    if added and cyclic(added, await ancestors((group,), records.parents)) is not None:
        raise InvalidRequest("cyclic relationship detected for member group ID")
    for member in added:
        records.add_subgroup(group, member)
    for member in there.keys() - wanted:
        records.remove_subgroup(group, member)


async def _wanted(reader: IdentityReader, wanted: Wanted) -> Group | None:
    if wanted.id:
        return await reader.group(wanted.id)
    if wanted.name:
        return await reader.group_named(wanted.name)
    if wanted.alias_id:
        return await reader.group_of_alias(wanted.alias_id)
    return (await reader.groups_at(wanted.accessor, (wanted.alias,)))[0]
