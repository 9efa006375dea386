"""The walk over a whole store: a page a transaction, each record with those it belongs with in the same snapshot.

So a store may be in use meanwhile: what a finding says was true at one moment.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Callable
from typing import Final

import fdb.tuple

from kms_actors.actors.cluster.changes import LOG
from kms_actors.actors.cluster.schedule import (
    Due,
    entry_of,
)
from kms_actors.actors.tenant.header import TenantHeader
from kms_actors.actors.tenant.master import UPGRADE
from kms_actors.check.findings import (
    Kind,
    Page,
    Report,
    parts_of,
)
from kms_actors.check.keys import Master, is_older
from kms_actors.check.records import (
    CLUSTER_RECORDS,
    change,
    examine,
    find,
)
from kms_actors.check.tenant import TenantCheck
from kms_actors.errors import FormatError, IntegrityError
from kms_actors.keyring import stored
from kms_actors.store import keyspace
from kms_actors.store.api import STAMP_LENGTH, VERSIONSTAMP_LENGTH, Priority, Store, Transaction
from kms_actors.store.keyspace import ALLOCATOR, HEADER, ROOT, TenantKeys
from kms_actors.store.pages import read_page

#: Told how many more vaults and records were looked at.
Advance = Callable[[int, int], None]

#: Records examined in one transaction; each may need a few more reads.
_MOST: Final = 200
_BEGIN: Final = fdb.tuple.pack((ROOT,))
_END: Final = keyspace.after(_BEGIN)


async def check(store: Store, master: Master | None, advance: Advance) -> Report:
    """Walk all records and report what is wrong; without `master`, sealed ones are seen from outside only."""
    report = Report()
    begin: bytes | None = _BEGIN
    while begin is not None:
        page, begin = await store.run(functools.partial(_page, begin=begin, master=master), priority=Priority.BATCH)
        report.add(page)
        advance(page.vaults, page.records)
        await asyncio.sleep(0)  # a store may answer at once, and others wait for their turn
    return report


async def _page(tr: Transaction, begin: bytes, master: Master | None) -> tuple[Page, bytes | None]:
    page = Page()
    if master is not None:
        master = await master.now(tr)
    entries, following = await read_page(tr, begin, _END, most_entries=_MOST)
    if begin == _BEGIN and entries and await tr.get(HEADER) is None:
        page.add(Kind.MISSING, HEADER, "the store has no header")
    tenants: dict[int, TenantCheck] = {}
    for key, value in entries:
        parts = parts_of(key)
        if parts is not None and len(parts) > 1 and parts[0] == "t" and isinstance(parts[1], int):
            if parts[1] not in tenants:
                tenants[parts[1]] = await TenantCheck.begin(tr, parts[1], master, page)
            await tenants[parts[1]].examine(key, value)
        else:
            await _examine(tr, key, value, master, page)
        page.records += 1
    return page, following


async def _examine(tr: Transaction, key: bytes, value: bytes, master: Master | None, page: Page) -> None:
    parts = parts_of(key)
    known = None if parts is None else find(CLUSTER_RECORDS, parts)
    try:
        if key.startswith(LOG) and len(key) - len(LOG) in (STAMP_LENGTH, VERSIONSTAMP_LENGTH):
            change(value)
        elif known is None:
            page.add(Kind.UNKNOWN_KEY, key, "no record of this program lies here")
        else:
            if master is not None and parts is not None and parts[:2] != ("node", master.namespace):
                master = None  # no other record of a cluster is sealed, but those of another in this store
            record = examine(known, key, value, master.openers() if master else {})
            if UPGRADE not in known.pattern:  # which is there for who has only that version
                page.older += is_older(known.sealing, value, master)
            if known.pattern[0] == "vault" and parts is not None:
                await _vault(tr, key, parts[1], record, page)
            elif known.pattern[0] == "restore":
                page.add(Kind.UNFINISHED, key, "a restore has not ended: run it again")
            elif known.pattern[0] == "due" and parts is not None:
                await _due(tr, key, Due(*parts[1:]), page)
    except FormatError as error:
        page.add(Kind.FORMAT, key, str(error))
    except IntegrityError as error:
        page.add(Kind.DOES_NOT_OPEN, key, str(error))


async def _vault(tr: Transaction, key: bytes, vault: str, number: int, page: Page) -> None:
    keys = TenantKeys(number)
    areas = ("header", "restore", "grant")
    header, lock, grant, allocator = await asyncio.gather(
        *(tr.get(keys.key(area)) for area in areas), tr.get(ALLOCATOR)
    )
    if int.from_bytes(allocator or b"", "little") < number:
        page.add(Kind.CONTRADICTION, ALLOCATOR, "it would give out the tenant integer of a vault again")
    if header is None:
        if lock is None and grant is None:
            page.add(Kind.ORPHAN, key, "a vault whose tenant is not there")
        return
    with contextlib.suppress(FormatError):  # found at the header itself
        if stored.decode(header, TenantHeader, "tenant header").vault_id != vault:
            page.add(Kind.CONTRADICTION, key, "its tenant belongs to another vault")


async def _due(tr: Transaction, key: bytes, due: Due, page: Page) -> None:
    if await entry_of(tr, TenantKeys(due.tenant)) != due.time:
        page.add(Kind.CONTRADICTION, key, "its tenant is not to be looked at then")
