"""Identities come back with their vault, in another cluster and from a backup that was taken while they changed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kms_actors.check.walk import check
from kms_actors.identity import messages as identity
from kms_actors.identity.messages import Wanted
from kms_actors.store.api import Store
from tests.support.backups import backup, restore
from tests.support.identities import identities, login_mount
from tests.support.vaults import filled, node, opened


@pytest.fixture
async def source(tmp_path: Path) -> AsyncIterator[Store]:
    (tmp_path / "source").mkdir()
    async with opened(tmp_path / "source") as store:
        yield store


async def test_identities_move_to_another_cluster(tmp_path: Path, source: Store) -> None:
    async with node(source, tmp_path / "source") as service:
        vault = await filled(service, "vault_a")
        made = await identities(await service.tenant("vault_a"))
        data = await backup(source, "vault_a")
    (tmp_path / "target").mkdir()
    async with opened(tmp_path / "target") as target, node(target, tmp_path / "target") as service:
        await restore(target, data)
        tenant = await vault.unsealed(service)
        await made.check(tenant)
        assert (await check(target, None, lambda *_: None)).findings == {}
        again = await tenant.ask(identity.WriteAlias(None, "new", login_mount(tenant), "", None))
        assert again.owner not in made


async def test_a_backup_taken_amid_changes_gives_identities_that_can_be_used(tmp_path: Path, source: Store) -> None:
    """An index that came without what it leads to is none, and is written anew with the name."""
    async with node(source, tmp_path / "source") as service:
        vault = await filled(service, "vault_a")
        tenant = await service.tenant("vault_a")
        made = await identities(tenant)
        mount = login_mount(tenant)

        async def change() -> None:
            for number in range(60):
                written = await tenant.ask(identity.WriteAlias(None, f"user-{number}", mount, "", None))
                await tenant.ask(identity.WriteEntity(written.owner, f"name-{number}"))
                if number % 3 == 0:
                    await tenant.ask(identity.DeleteEntities((written.owner,)))

        changing = asyncio.ensure_future(change())
        await asyncio.sleep(0.05)
        data = await backup(source, "vault_a")
        await changing
    (tmp_path / "target").mkdir()
    async with opened(tmp_path / "target") as target, node(target, tmp_path / "target") as service:
        await restore(target, data)
        tenant = await vault.unsealed(service)
        await made.check(tenant)
        mount = login_mount(tenant)
        owners = set()
        for number in range(60):
            await tenant.ask(identity.WriteAlias(None, f"user-{number}", mount, "", {"seen": "yes"}))
            await tenant.ask(identity.WriteEntity(name=f"name-{number}"))
            found = await tenant.ask(identity.FindEntity(Wanted(accessor=mount.accessor, alias=f"user-{number}")))
            owners.add(found.entity.id)
            named = await tenant.ask(identity.FindEntity(Wanted(name=f"name-{number}")))
            assert named.entity.name == f"name-{number}"
        assert len(owners) == 60
