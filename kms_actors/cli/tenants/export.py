"""A vault fetched over the API into a backup file: the very one that `kms-cli backup` makes."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kms_actors.backup import file
from kms_actors.backup.format import Header, Records, Tenant
from kms_actors.backup.groups import restored_meanwhile
from kms_actors.cli.store.work import BackedUp
from kms_actors.cli.tenants.client import TenantsClient
from kms_actors.store import schema
from kms_actors.store.keyspace import TenantKeys, after
from kms_actors.store.pages import PAGE_BYTES, size_of

Entries = list[tuple[bytes, bytes]]


def export(
    client: TenantsClient, vault_id: str, output: Path, *, resume: bool, advance: Callable[[int], None]
) -> BackedUp:
    """Fetch a vault. `advance` is told how many records came."""
    header = Header(store_format=schema.FORMAT, scope=vault_id, created=time.time())
    if not resume:
        client.ask("GET", vault_id)  # before there is a file
    with file.resume(output, vault_id) if resume else file.create(output, header) as (writer, last):
        place, restored = (last.resume, last.restored) if isinstance(last, Records) else (b"", None)
        while True:
            page = client.ask("GET", vault_id, "export", query={"after": base64.urlsafe_b64encode(place).decode()})
            number, place = page["number"], base64.urlsafe_b64decode(page["next"])
            found = base64.urlsafe_b64decode(page["restored"]) if "restored" in page else None
            if None not in (restored, found) and found != restored:
                writer.drop_vault()
                raise restored_meanwhile(vault_id)
            restored = found
            parts = _parts(_entries(page["entries"]))
            for part in parts[:-1]:
                writer.write(Records(vault_id, number, tuple(part), b"", restored))
            for part in parts[-1:]:
                end = after(TenantKeys(number).prefix)
                writer.write(Records(vault_id, number, tuple(part), place or end, restored))
            advance(len(page["entries"]))
            if not place:
                writer.write(Tenant(vault_id, number, tuple(_entries(page["what_it_is"]))))
                break
        digest, tally = writer.end(), writer.tally
    return BackedUp(tally.vaults, tally.entries, tally.bytes, digest)


def _entries(coded: list[list[Any]]) -> Entries:
    return [(base64.urlsafe_b64decode(key), base64.urlsafe_b64decode(value)) for key, value in coded]


def _parts(entries: Entries) -> list[Entries]:
    """Cut a page so that each part can be one transaction of a restore."""
    parts: list[Entries] = []
    for entry in entries:
        if not parts or size_of([*parts[-1], entry]) > PAGE_BYTES:
            parts.append([])
        parts[-1].append(entry)
    return parts
