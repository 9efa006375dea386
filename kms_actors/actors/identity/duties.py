"""Removals that may take long: the aliases at a mount that is gone, the members of a group or of an alias that is.

Who makes one of these true writes a Duty in the same transaction. It takes effect at once: nobody gets anything by a
group, an alias or a mount that is not there. What is left behind is then removed a page a transaction, by whoever
finds the duty: the node that wrote it, any other a while after it heard of the change, or the next that wakes the
vault. Two that work at the same duty only meet conflicts.
"""

from __future__ import annotations

from functools import partial
from typing import Final

from msgspec.structs import replace

from kms_actors.actors.cluster.changes import IDENTITY
from kms_actors.actors.identity import places
from kms_actors.actors.identity.outcome import EVERYBODY, told
from kms_actors.actors.identity.resolving import IdentityChanged
from kms_actors.actors.identity.storage import IdentityRecords
from kms_actors.actors.tenant.context import TenantContext
from kms_actors.identity.records import Duty, DutyKind, Membership, Pointer
from kms_actors.store.api import Entry, Priority, Reads, Transaction

#: Memberships or aliases removed in one transaction.
PAGE: Final = 200
#: Duties looked for at a time.
_DUTIES: Final = 64


async def do_all(context: TenantContext) -> int:
    """Do all duties there are; return how many."""
    done = 0
    while found := await context.store.read(partial(_find, context), priority=Priority.BATCH):
        for key, record in found:
            done += await _do(context, key, record)
    return done


async def _find(context: TenantContext, tr: Reads) -> list[Entry]:
    begin, end = context.keys.span(places.AREA, "duty")
    return await tr.get_range(begin, end, limit=_DUTIES)


async def _do(context: TenantContext, key: bytes, record: bytes) -> bool:
    """Remove all that a duty is about, and the duty, unless it was left anew meanwhile: then it begins again."""
    last: bytes | None = b""
    while last is not None:
        body = partial(_page, context, key, record, last)
        last, changed = await context.store.change(body, mount=None, bearers=(), priority=Priority.BATCH)
        for entity in changed:
            await context.ask(IdentityChanged(entity))
    return True


async def _page(
    context: TenantContext, key: bytes, record: bytes, last: bytes, tr: Transaction
) -> tuple[bytes | None, tuple[str, ...]]:
    if await tr.get(key) != record:
        return None, ()
    records = IdentityRecords(tr, context.keys, context.keyring)
    duty = records.opened(key, record, Duty)
    begin, end = _range(records, duty)
    entries = await records.entries(last or begin, end, PAGE)
    changed = await _OF[duty.kind](records, duty.subject, entries)
    for entity in changed:
        context.record(tr, IDENTITY, entity)
    if len(entries) < PAGE:
        tr.clear(key)
        return None, changed
    return entries[-1][0], changed


def _range(records: IdentityRecords, duty: Duty) -> tuple[bytes, bytes]:
    if duty.kind is DutyKind.MOUNT:
        return records.keys.all_at_mount(duty.subject)
    return records.keys.links(places.MEMBER, duty.subject)


async def _remove_members(records: IdentityRecords, group_id: str, entries: list[Entry]) -> tuple[str, ...]:
    group = await records.group(group_id)
    for entry in entries:
        if group is None or not group.has(records.opened(*entry, Membership)):
            records.remove_member(group_id, records.keys.last(entry[0]), gone=group is None)
    return ()  # none of these counted any more


async def _remove_aliases(records: IdentityRecords, _: str, entries: list[Entry]) -> tuple[str, ...]:
    changed: list[str] = []
    for key, record in entries:
        pointer = records.opened(key, record, Pointer)
        entity, group = await records.entity(pointer.id), await records.group(pointer.id)
        if entity is not None and entity.alias(pointer.alias) is not None:
            aliases = tuple(alias for alias in entity.aliases if alias.id != pointer.alias)
            records.put_entity(replace(entity, aliases=aliases), entity)
            changed.append(entity.id)
        elif group is not None and group.alias is not None and group.alias.id == pointer.alias:
            records.put_group(replace(group, alias=None, changes=group.changes + 1), group)
            records.leave(group.id, Duty(DutyKind.MEMBERS, group.id))
            changed += EVERYBODY
        else:
            records.drop(key)
    return EVERYBODY if "" in changed else told(tuple(changed))


_OF: Final = {DutyKind.MOUNT: _remove_aliases, DutyKind.MEMBERS: _remove_members}
