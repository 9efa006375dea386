"""Records below mounts that do not exist are found and removed, and nothing else is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import pytest

from kms_actors import config
from kms_actors.actors.cluster.schedule import UNMOUNTING
from kms_actors.backup.layout import LOCK
from kms_actors.check.orphans import Orphans, find_orphans, remove_orphans
from kms_actors.check.walk import check
from kms_actors.cli.store.work import orphans_removed
from kms_actors.store.api import Store, Transaction
from kms_actors.store.keyspace import TenantKeys
from tests.store.access import clear, get_all, put
from tests.store.conftest import open_store, place, store
from tests.support.vaults import configuration, filled, node, opened

__all__ = ["open_store", "place", "store"]

KEYS = TenantKeys(1)
LEFT = [
    KEYS.key("kv", 7, "config"),
    KEYS.key("kv", 7, "meta", "s"),
    KEYS.key("kv", 8, "list", "s"),
    KEYS.key("transit", 8, "policy", "k"),
    KEYS.key("transit", 8, "version", "k", 1),
    KEYS.key("due", 8, "k"),
]
UNMOUNTED = [KEYS.key(UNMOUNTING, 7), KEYS.key(UNMOUNTING, 8)]
FOUND = [Orphans(1, "kv", 7), Orphans(1, "kv", 8), Orphans(1, "transit", 8), Orphans(1, "due", 8)]


async def prepared(store: Store, directory: Path) -> list[tuple[bytes, bytes]]:
    """Make a vault that has all it should, and return its records."""
    async with node(store, directory) as service:
        await filled(service, "vault_a")
        await filled(service, "vault_b")
    return await get_all(store)


async def leave(store: Store) -> None:
    await put(store, *((key, bytes(8)) for key in LEFT))


async def test_what_belongs_to_no_mount_is_named_and_removed(store: Store, tmp_path: Path) -> None:
    whole = await prepared(store, tmp_path)
    await leave(store)
    assert [orphans async for orphans in find_orphans(store)] == FOUND
    told: list[Orphans] = []
    assert await remove_orphans(store, told.append) == len(FOUND)
    assert told == FOUND
    assert await get_all(store) == whole
    assert await remove_orphans(store, told.append) == 0
    report = await check(store, None, lambda *_: None)
    assert list(report.findings) == []


async def test_a_vault_that_is_being_restored_is_left_alone(store: Store, tmp_path: Path) -> None:
    """Its mounts come last."""
    await prepared(store, tmp_path)
    await leave(store)
    await put(store, (KEYS.key(LOCK), b"x"))
    assert await remove_orphans(store, lambda _: None) == 0
    await clear(store, KEYS.key(LOCK))
    assert await remove_orphans(store, lambda _: None) == len(FOUND)


class Ending:
    """A store in which a mount's removal ends right before the `at`th transaction of who looks through it."""

    def __init__(self, store: Store, at: int) -> None:
        self._store = store
        self._at = at
        self.transactions = 0

    async def run(self, work: Callable[[Transaction], Awaitable[Any]], **options: Any) -> Any:
        self.transactions += 1
        if self.transactions == self._at:
            for key in (*LEFT, *UNMOUNTED):
                await clear(self._store, key)
        return await self._store.run(work, **options)


async def test_a_removal_that_ends_meanwhile_leaves_nothing_to_find(store: Store, tmp_path: Path) -> None:
    await prepared(store, tmp_path)
    at = 0
    while True:
        at += 1
        await leave(store)
        await put(store, *((key, b"x") for key in UNMOUNTED))
        ending = Ending(store, at)
        assert [orphans async for orphans in find_orphans(cast(Store, ending))] == []
        if ending.transactions < at:
            break
    assert at > 2 * len(FOUND)


@pytest.mark.parametrize("dry_run", [True, False])
async def test_the_command_names_what_it_removes(tmp_path: Path, dry_run: bool) -> None:
    settings: config.Configuration = configuration(tmp_path)
    async with opened(tmp_path) as store:
        await prepared(store, tmp_path)
        await leave(store)
    found = await orphans_removed(settings, dry_run=dry_run)
    assert (1, "transit", 8) in found
    assert len(found) == 4
    assert len(await orphans_removed(settings, dry_run=True)) == (4 if dry_run else 0)
