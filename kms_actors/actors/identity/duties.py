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
from kms_actors.actors.tenant.authorities import note_change
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
    """Remove a page behind the key `last`; return where to go on, None at the end, and whom it concerns."""
    if await tr.get(key) != record:
        return None, ()
    records = IdentityRecords(tr, context.keys, context.keyring)
    duty = records.opened(key, record, Duty)
    following, changed = await _OF[duty.kind](records, duty.subject, last)
    for entity in changed:
        context.record(tr, IDENTITY, entity)
    if changed == EVERYBODY:
        note_change(tr, context.keys)
    if following is None:
        tr.clear(key)
    return following, changed


async def _remove_members(
    records: IdentityRecords, group_id: str, last: bytes
) -> tuple[bytes | None, tuple[str, ...]]:
    begin, end = records.keys.links(places.MEMBER, group_id)
    entries, group = await records.entries(last or begin, end, PAGE), await records.group(group_id)
    for entry in entries:
        if group is None or not group.has(records.opened(*entry, Membership)):
            records.remove_member(group_id, records.keys.last(entry[0]), gone=group is None)
    # None of these counted any more: it concerns nobody.
    return (entries[-1][0] if len(entries) == PAGE else None), ()


async def _remove_aliases(records: IdentityRecords, accessor: str, _: bytes) -> tuple[bytes | None, tuple[str, ...]]:
    """Remove those of groups first: people are in groups by them, also with tokens of other mounts."""
    for kind, remove in ((places.GROUP_MOUNT, _remove_group_alias), (places.MOUNT, _remove_alias)):
        begin, end = records.keys.all_at_mount(kind, accessor)
        entries = await records.entries(begin, end, PAGE)
        if entries:
            changed = [await remove(records, key, records.opened(key, raw, Pointer)) for key, raw in entries]
            return b"", told(tuple(filter(None, changed))) if kind == places.MOUNT else EVERYBODY
    return None, ()


async def _remove_alias(records: IdentityRecords, key: bytes, pointer: Pointer) -> str:
    entity = await records.entity(pointer.id)
    if entity is None or entity.alias(pointer.alias) is None:
        records.drop(key)
        return ""
    aliases = tuple(alias for alias in entity.aliases if alias.id != pointer.alias)
    records.put_entity(replace(entity, aliases=aliases), entity)
    return entity.id


async def _remove_group_alias(records: IdentityRecords, key: bytes, pointer: Pointer) -> str:
    group = await records.group(pointer.id)
    if group is None or group.alias is None or group.alias.id != pointer.alias:
        records.drop(key)
    else:
        records.put_group(replace(group, alias=None, changes=group.changes + 1), group)
        records.leave(group.id, Duty(DutyKind.MEMBERS, group.id))
    return ""


_OF: Final = {DutyKind.MOUNT: _remove_aliases, DutyKind.MEMBERS: _remove_members}
