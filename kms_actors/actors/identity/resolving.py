"""Who somebody is, and what comes of it: an entity with its groups and all their policies."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from kms_actors.actors.cluster.changes import IDENTITY
from kms_actors.actors.identity import places
from kms_actors.actors.identity.storage import IdentityReader, IdentityRecords, is_alias
from kms_actors.actors.tenant.authorities import note_change
from kms_actors.actors.tenant.context import TenantContext
from kms_actors.errors import InvalidRequest
from kms_actors.identity.graph import ancestors
from kms_actors.identity.limits import MAX_LOGIN_GROUPS, MAX_NAME, check_alias_metadata, check_name, check_text
from kms_actors.identity.messages import Resolved
from kms_actors.identity.records import Alias, Entity, Group, Membership
from kms_actors.keyring.keyring import Keyring
from kms_actors.messages import Event
from kms_actors.policy import templates
from kms_actors.store.api import Reads, Transaction
from kms_actors.store.keyspace import TenantKeys


class IdentityChanged(Event, frozen=True):
    """What is kept of an entity is out of date, or of all where it is empty."""

    entity_id: str = ""


class NewIds(NamedTuple):
    """What an entity and an alias will be called, if they are to be made."""

    entity: str
    alias: str


def draw() -> NewIds:
    """Return new ids. A transaction may run twice, so they are drawn before it."""
    return NewIds(str(uuid.uuid4()), str(uuid.uuid4()))


async def entity_for(
    tr: Transaction,
    context: TenantContext,
    *,
    mount_accessor: str,
    mount_type: str,
    mount_path: str,
    alias_name: str,
    alias_metadata: Mapping[str, str] | None,
    groups: Iterable[str],
    new_ids: NewIds,
    now: float,
) -> Resolved:
    """Return who logs in, within the transaction of the login; `now` is in seconds since 1970.

    An alias that is not known yet is made, with an entity of its own. `groups` are names that the mount knows groups
    by: the entity gets into all external groups that have such an alias at the mount, and out of all others that have
    one there. For an entity that is disabled nothing is done: see to it that the login is refused.

    Where the answer says `changed`, the caller asks its actor `IdentityChanged(entity_id)` after the commit, and
    answers then.

    Raises:
        InvalidRequest: a name, the metadata or the number of groups is beyond what is kept.

    """
    check_name(alias_name, "alias name")
    metadata = dict(alias_metadata or {})
    check_alias_metadata(metadata)
    said = _names(groups)
    records = IdentityRecords(tr, context.keys, context.keyring)
    moment = int(now * 1e9)
    alias = Alias(
        id=new_ids.alias,
        name=alias_name,
        mount_accessor=mount_accessor,
        mount_type=mount_type,
        mount_path=mount_path,
        metadata=metadata,
        created=moment,
        updated=moment,
    )
    before, entity = await _with_alias(records, alias, new_ids.entity)
    if entity.disabled:
        return await resolved(records, entity, {})
    if entity is not before:
        records.put_entity(entity, before)
    current = {} if before is None else await records.memberships(places.MEMBER_OF, entity.id)
    wanted = await _members_by(records, mount_accessor, said)
    after = await _refresh(records, entity.id, mount_accessor, current, wanted)
    changed = before is not None and (entity is not before or after != current)
    if changed:
        context.record(tr, IDENTITY, entity.id)
    if any(after.get(each) != membership for each, membership in current.items()):
        note_change(tr, context.keys)  # something was taken away
    return msgspec.structs.replace(await resolved(records, entity, after), changed=changed)


async def resolve(reader: IdentityReader, entity_id: str) -> Resolved | None:
    """Return what an entity may do now; None if it is gone."""
    entity = await reader.successor(entity_id)
    if entity is None:
        return None
    return await resolved(reader, entity, await reader.memberships(places.MEMBER_OF, entity.id))


async def resolved(reader: IdentityReader, entity: Entity, memberships: Mapping[str, Membership]) -> Resolved:
    """Return what an entity with these memberships may do: what it, and all groups it is in, may."""
    direct = await counted(reader, memberships)
    ids = sorted(await ancestors(direct, reader.parents))
    above = [each for each in ids if each not in direct]
    found = direct | {group.id: group for group in await reader.groups(above) if group is not None}
    groups = [found[each] for each in ids if each in found]
    policies = set(entity.policies).union(*(group.policies for group in groups))
    subject, names = _subject(entity, groups), tuple(sorted(policies))
    stamp = hashlib.sha256(msgspec.msgpack.encode((names, entity.disabled, subject.key))).digest()
    return Resolved(entity.id, entity.name, entity.disabled, names, subject, tuple(each.id for each in groups), stamp)


async def stamp_entity(reads: Reads, entity_id: str, *, keys: TenantKeys, keyring: Keyring) -> bytes | None:
    """Return the stamp of what an entity gives, in somebody's transaction; None if it is gone, or disabled."""
    found = await resolve(IdentityReader(reads, keys, keyring), entity_id)
    return None if found is None or found.disabled else found.stamp


async def counted(reader: IdentityReader, memberships: Mapping[str, Membership]) -> dict[str, Group]:
    """Return the groups of those memberships that count, by id."""
    groups = await reader.groups(list(memberships))
    return {group.id: group for group in groups if group is not None and group.has(memberships[group.id])}


def _names(groups: Iterable[str]) -> list[str]:
    names = sorted({name.lower() for name in groups if 0 < len(name) <= MAX_NAME})
    if len(names) > MAX_LOGIN_GROUPS:
        raise InvalidRequest(f"a login names more than {MAX_LOGIN_GROUPS} groups")
    for name in names:
        check_text(name, "the name of a group")
    return names


async def _with_alias(records: IdentityReader, alias: Alias, new_id: str) -> tuple[Entity | None, Entity]:
    """Return the entity of an alias, as it was and as the login says it is; None if there was none.

    Both are the same where the login says nothing new.
    """
    pointer = await records.pointer(records.keys.by_alias(places.ALIAS_NAME, alias.mount_accessor, alias.name))
    entity = None if pointer is None else await records.entity(pointer.id)
    known = None if entity is None else entity.alias_at(alias.mount_accessor)
    if known is not None and not is_alias(known, alias.mount_accessor, alias.name):
        entity = None  # the index is out of date, as one may be after a restore
    if pointer is None or entity is None:
        name = await records.free_entity_name(new_id)
        return None, Entity(id=new_id, name=name, created=alias.created, updated=alias.created, aliases=(alias,))
    if known is None:
        mended = msgspec.structs.replace(alias, id=pointer.alias)
        return entity, msgspec.structs.replace(entity, aliases=(*entity.aliases, mended))
    if known.metadata == alias.metadata:
        return entity, entity
    later = msgspec.structs.replace(known, metadata=alias.metadata, updated=alias.updated)
    aliases = tuple(later if each.id == later.id else each for each in entity.aliases)
    return entity, msgspec.structs.replace(entity, aliases=aliases)


async def _members_by(records: IdentityReader, accessor: str, said: Sequence[str]) -> dict[str, Membership]:
    """Return the memberships that names of groups at a mount give."""
    found = await records.groups_at(accessor, said) if said else []
    return {
        group.id: Membership(group.alias.mark) for group in found if group is not None and group.alias is not None
    }


async def _refresh(
    records: IdentityRecords,
    entity: str,
    accessor: str,
    current: Mapping[str, Membership],
    wanted: Mapping[str, Membership],
) -> dict[str, Membership]:
    """Make the memberships that a mount gives those that are wanted; return all that there are then."""
    given = [each for each, membership in current.items() if membership.through]
    kept = dict(current)
    for each, group in zip(given, await records.groups(given), strict=True):
        if group is None or not group.has(current[each]):
            over = True  # the group, or the alias that gave it, is gone
        else:
            over = group.alias is not None and group.alias.mount_accessor == accessor and each not in wanted
        if over:
            records.remove_member(each, entity, gone=group is None)
            del kept[each]
    for each, membership in wanted.items():
        if kept.get(each) != membership:
            records.add_member(each, entity, membership, new=each not in kept)
            kept[each] = membership
    return kept


def _subject(entity: Entity, groups: Iterable[Group]) -> templates.Subject:
    return templates.Subject(
        entity.id,
        entity.name,
        entity.metadata,
        tuple(
            templates.Alias(alias.mount_accessor, alias.id, alias.name, alias.metadata, alias.custom_metadata)
            for alias in entity.aliases
        ),
        tuple(templates.Group(group.id, group.name, group.metadata) for group in groups),
    )
