"""Aliases of external groups: found, written and removed, each within one transaction.

Who is in a group by its alias is so until that changes: then it is for the next login to say.
"""

from __future__ import annotations

from msgspec.structs import replace

from kms_actors.actors.identity.aliases import made_alias, placed
from kms_actors.actors.identity.groups import new_group
from kms_actors.actors.identity.outcome import EVERYBODY, Given, Outcome
from kms_actors.actors.identity.storage import IdentityReader, IdentityRecords
from kms_actors.errors import InvalidRequest, NotFound
from kms_actors.identity.limits import check_name
from kms_actors.identity.messages import DeleteGroupAlias, FindGroupAlias, FoundAlias, WriteGroupAlias
from kms_actors.identity.records import Alias, Duty, DutyKind, Group, GroupType


async def find_group_alias(reader: IdentityReader, message: FindGroupAlias) -> FoundAlias:
    """Return the alias of a group."""
    group = await reader.group_of_alias(message.id)
    if group is None or group.alias is None:
        raise NotFound
    return FoundAlias(group.alias, group.id)


async def write_group_alias(records: IdentityRecords, message: WriteGroupAlias, given: Given) -> Outcome:
    """Make, move or change the alias of a group."""
    check_name(message.name)
    owner = None
    if message.id is not None:
        owner = await records.group_of_alias(message.id)
        if owner is None:
            raise InvalidRequest("invalid group alias ID")
    target = owner
    if message.group and (owner is None or message.group != owner.id):
        target = await records.group(message.group)
        if target is None:
            raise InvalidRequest("invalid group ID given in 'canonical_id'")
    if target is not None and target.type is not GroupType.EXTERNAL:
        raise InvalidRequest("alias can't be set on an internal group")
    before = None if owner is None else owner.alias
    alias = made_alias(given, message.name, message.mount, {})
    if before is not None:
        alias = placed(before, message.name, message.mount)
        if alias == before and target is owner:
            return Outcome()
        alias = replace(alias, updated=given.now)
    there = (await records.groups_at(alias.mount_accessor, (alias.name,)))[0]
    if there is not None and (owner is None or there.id != owner.id):
        raise InvalidRequest("combination of mount and group alias name is already in use")
    if owner is not None and target is not owner:
        _put(records, owner, None, given)
    if target is None:
        target = replace(await new_group(records, "", GroupType.EXTERNAL, given), alias=alias)
        records.put_group(target)
        return Outcome(FoundAlias(alias, target.id))
    _put(records, target, alias, given)
    return Outcome(FoundAlias(alias, target.id), EVERYBODY, left=True)


async def delete_group_alias(records: IdentityRecords, message: DeleteGroupAlias, given: Given) -> Outcome:
    """Remove the alias of a group."""
    group = await records.group_of_alias(message.id)
    if group is None:
        return Outcome()
    _put(records, group, None, given)
    return Outcome(None, EVERYBODY, left=True)


def _put(records: IdentityRecords, group: Group, alias: Alias | None, given: Given) -> None:
    """Write a group with another alias, or none; who is in it by the one it had is left to be taken out."""
    records.put_group(replace(group, alias=alias, updated=given.now, changes=group.changes + 1), group)
    if group.alias is not None:
        records.leave(group.id, Duty(DutyKind.MEMBERS, group.id))
