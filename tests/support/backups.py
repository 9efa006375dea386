"""Backups taken and restored in tests, and stores with records that only look like a vault's."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

from kms_actors.actors.tenant.header import TenantHeader
from kms_actors.backup import file
from kms_actors.backup.export import Export
from kms_actors.backup.format import FrameWriter, Header
from kms_actors.backup.restore import Restore
from kms_actors.keyring import stored
from kms_actors.store import keyspace, schema
from kms_actors.store.api import Entry, Store
from kms_actors.store.keyspace import TenantKeys
from tests.store.access import get_all, put


def header(scope: str) -> Header:
    return Header(store_format=schema.FORMAT, scope=scope, created=0.0)


async def backup(store: Store, scope: str) -> bytes:
    """Return the file of a backup."""
    target = io.BytesIO()
    await Export(store, FrameWriter.begin(target, header(scope))).run(scope)
    return target.getvalue()


async def resumed(store: Store, path: Path, scope: str) -> bytes:
    """Return the file once an interrupted backup was taken to its end."""
    with file.resume(path, scope) as (writer, last):
        await Export(store, writer).run(scope, last)
    return path.read_bytes()  # noqa: ASYNC240


async def restore(
    store: Store,
    data: bytes,
    vault: str | None = None,
    *,
    replace: bool = False,
    restart: bool = False,
    clock: Callable[[], float] = lambda: 0.0,
) -> None:
    """Restore as a command does, without its waits."""
    run = Restore(store, io.BytesIO(data), vault, replace=replace, settle=0.0, clock=clock)
    await run.prepare(lambda _: None, restart=restart)
    await run.run(lambda _: None)


def records_of(vault: str, number: int, seal: bytes = b"seal") -> list[Entry]:
    """Return records placed as a vault's are, with what a backup leaves out."""
    keys = TenantKeys(number)
    places: list[tuple[object, ...]] = [
        ("seal",),
        ("keyring",),
        ("unsealed",),
        ("progress",),
        ("mount", 1),
        ("mount", 2),
        ("mount-number",),
        ("revoked", "r"),
        ("token", b"t"),
        ("future", 1, "x"),
        ("kv", 1, "config"),
        ("kv", 7, "meta", "s"),
        ("kv", 7, "list", "s"),
        ("transit", 2, "config"),
    ]
    for secret in range(40):
        places += [("kv", 1, "meta", f"s{secret}"), ("kv", 1, "list", f"s{secret}")]
        places += [("kv", 1, "data", f"s{secret}", version) for version in range(1, 4)]
    for key in range(3):
        places += [("transit", 2, "policy", f"k{key}")]
        places += [("transit", 2, "version", f"k{key}", version) for version in range(1, 3)]
        places += [("transit", 2, "usage", f"k{key}", version, shard) for version in (1, 2) for shard in (0, 7)]
    entries = [(keys.key(*place), seal + repr(place).encode() * 100) for place in places]
    return [
        (keyspace.vault(vault), number.to_bytes(8, "little")),
        (keys.key("header"), stored.encode(TenantHeader(vault, 0.0))),
        (keys.key("epoch"), (5).to_bytes(8, "little")),
        *entries,
    ]


async def fill(store: Store, *vaults: tuple[str, int]) -> None:
    """Make a cluster with such vaults."""
    await schema.initialise(store)
    last = max((number for _, number in vaults), default=0)
    await put(store, (keyspace.ALLOCATOR, last.to_bytes(8, "little")))
    await put(store, (keyspace.node("c", "seal"), b"seal"), (keyspace.node("c", "keyring"), b"keyring"))
    await put(store, (keyspace.node("c", "revoked", "r"), b""))
    for vault, number in vaults:
        await put(store, *records_of(vault, number))


async def vault_entries(store: Store, number: int) -> dict[tuple[object, ...], bytes]:
    """Return a tenant's records but its epoch, and what tells of its last restore, by place."""
    keys = TenantKeys(number)
    entries = [(key, value) for key, value in await get_all(store) if key.startswith(keys.prefix)]
    own = (keys.key("epoch"), keys.key("restored"))
    return {keys.parts(key): value for key, value in entries if key not in own}


def restored(records: dict[tuple[object, ...], bytes]) -> dict[tuple[object, ...], bytes]:
    """Return what of a vault's records a restore brings back."""
    return {place: value for place, value in records.items() if place[0] not in ("unsealed", "progress")}
