"""What `kms-cli store check`, `reseal`, `backup` and `restore` do once their options are read."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from kms_actors import config
from kms_actors.actors.node.namespaces import clusters
from kms_actors.backup import file
from kms_actors.backup.export import Export, count_vaults, number_of
from kms_actors.backup.format import ALL, Header
from kms_actors.backup.restore import Restore
from kms_actors.check.findings import Report
from kms_actors.check.keys import open_master
from kms_actors.check.orphans import Orphans, find_orphans, remove_orphans
from kms_actors.check.walk import check
from kms_actors.cli.manners import progress
from kms_actors.cli.store.given import Given
from kms_actors.errors import FormatError, InvalidRequest, StoreUnavailable
from kms_actors.request_context import REQUEST_SECONDS
from kms_actors.reseal.run import Outcome, Reseal
from kms_actors.store import schema
from kms_actors.store.api import Store


async def checked(configuration: config.Configuration, given: Given) -> Report:
    """Check the store, with the master key if it is to be had."""
    async with opened_store(configuration.cluster) as opened:
        namespace = configuration.master_keyring_provider.namespace
        key = await given.master_key(opened, configuration.master_keyring_provider)
        master = None if key is None else await open_master(opened, namespace, key)
        with _bar("check", await count_vaults(opened)) as bar:
            return await check(opened, master, _counting(bar))


async def resealed(configuration: config.Configuration, given: Given, vault: str | None, *, restart: bool) -> Outcome:
    """Seal anew what older versions of keyrings have sealed."""
    async with opened_store(configuration.cluster) as opened:
        namespace = configuration.master_keyring_provider.namespace
        key = await given.master_key(opened, configuration.master_keyring_provider)
        if key is None:
            raise InvalidRequest("the master key is needed: --prompt, --unseal-key or --key-file")
        master = await open_master(opened, namespace, key)
        one = None if vault is None else (vault, await number_of(opened, vault))
        with _bar("reseal", await count_vaults(opened) if vault is None else 1) as bar:
            settle = configuration.tenants.lease_seconds + REQUEST_SECONDS
            advance = _counting(bar)
            run = Reseal(opened, master, namespace, now=time.time(), advance=advance, vault=one, settle=settle)
            return await run.run(restart=restart)


async def orphans_removed(configuration: config.Configuration, *, dry_run: bool) -> list[Orphans]:
    """Remove records below mounts that do not exist, or only look for them; return what was found."""
    found: list[Orphans] = []
    async with opened_store(configuration.cluster) as opened:
        if dry_run:
            found = [orphans async for orphans in find_orphans(opened)]
        else:
            await remove_orphans(opened, found.append)
    return found


class BackedUp(NamedTuple):
    """What a backup holds."""

    vaults: int
    records: int
    bytes: int
    sha256: str

    def __str__(self) -> str:
        return f"Vaults: {self.vaults}\nRecords: {self.records}\nBytes: {self.bytes}\nSHA-256: {self.sha256}"


async def backed_up(
    configuration: config.Configuration, output: Path, scope: str, *, resume: bool
) -> tuple[BackedUp, list[str]]:
    """Back up a vault or `ALL`; return the namespaces of the store's clusters, too."""
    async with opened_store(configuration.cluster) as opened:
        if not await schema.exists(opened):
            raise InvalidRequest("there is no cluster in this store")
        if scope != ALL:
            await number_of(opened, scope)  # before there is a file
        header = Header(store_format=schema.FORMAT, scope=scope, created=time.time())
        with file.resume(output, scope) if resume else file.create(output, header) as (writer, last):
            with _bar("backup", await count_vaults(opened) if scope == ALL else 1) as bar:
                bar.update(writer.tally.vaults)
                digest = await Export(opened, writer, _counting(bar)).run(scope, last)
            tally = writer.tally
        found = await opened.run(clusters)
    return BackedUp(tally.vaults, tally.entries, tally.bytes, digest), found


async def restored(
    configuration: config.Configuration,
    source: BinaryIO,
    vault: str | None,
    *,
    replace: bool,
    restart: bool,
    dry_run: bool,
) -> tuple[str, list[str]]:
    """Restore, or with `dry_run` see whether that would do; return the backup's SHA-256, and the vaults."""
    size = source.seek(0, 2)
    settle = configuration.tenants.lease_seconds + REQUEST_SECONDS
    async with opened_store(configuration.cluster, make=not dry_run) as opened:
        run = Restore(opened, source, vault, replace=replace, settle=settle)
        with _bar("verify", size) as bar:
            try:
                contents = await run.prepare(bar.update, restart=restart and not dry_run)
            except FormatError as error:
                raise FormatError(f"{source.name}: {error}") from None
        if not dry_run:
            with _bar("restore", size) as bar:
                await run.run(bar.update)
    return contents.digest.hex(), [vault_id for vault_id in contents.vaults if vault in (None, vault_id)]


def _bar(label: str, length: int) -> Any:
    return progress(length=length, label=label, show_eta=False, item_show_func=lambda item: item)


def _counting(bar: Any) -> Callable[[int, int], None]:
    """Return what moves the bar by vaults, and shows the records so far."""
    total = 0

    def advance(vaults: int, records: int) -> None:
        nonlocal total
        total += records
        bar.update(vaults, f"{total} records")

    return advance


@contextlib.asynccontextmanager
async def opened_store(cluster: config.Cluster, *, make: bool = False) -> AsyncIterator[Store]:
    """Open the store; one that is not there is an error unless `make`."""
    from kms_actors.store.opening import open_store  # noqa: PLC0415 - spares other commands the store engines

    if not make and cluster.backend == "sqlite" and not Path(cluster.path).exists():  # noqa: ASYNC240
        raise StoreUnavailable(f"key `cluster.path`: store path {cluster.path}: there is no store")
    opened = await open_store(cluster)
    try:
        if make:
            await schema.initialise(opened)
        yield opened
    finally:
        await opened.close()
