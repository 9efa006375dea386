"""Roles, secret ids and users as a node leaves them are clean, and come back; what does not fit together is found."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from kms_actors.check.findings import Kind
from kms_actors.check.keys import Master
from kms_actors.check.walk import check
from kms_actors.errors import InvalidRequest
from kms_actors.login import passwords
from kms_actors.login.approle_messages import LoginRole, MadeSecretId, NewSecretId, ReadRole, WriteRole
from kms_actors.login.userpass import LoginUser, WriteUser
from kms_actors.messages import EnableMount, Unseal
from kms_actors.store.api import Store
from kms_actors.store.keyspace import TenantKeys
from tests.store.access import clear, get, get_all
from tests.support.backups import backup, restore
from tests.support.vaults import filled, master_of, node, opened

KEYS = TenantKeys(1)


class World(NamedTuple):
    """A vault with what logins keep: mounts 3 and 4."""

    directory: Path
    store: Store
    master: Master
    role_id: str
    secret_id: str
    shares: tuple[bytes, ...]

    async def findings(self, *, with_keys: bool) -> set[tuple[Kind, bytes]]:
        report = await check(self.store, self.master if with_keys else None, lambda *_: None)
        return {(finding.kind, finding.key) for finding in report.findings}

    async def keys(self, *area: Any) -> list[bytes]:
        begin, end = KEYS.span(*area)
        return [key for key, _ in await get_all(self.store) if begin < key < end]


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setattr(passwords, "_MEMORY", 8192)
    async with opened(tmp_path) as store:
        async with node(store, tmp_path) as service:
            vault = await filled(service, "vault_a")
            tenant = await service.tenant("vault_a")
            await tenant.ask(EnableMount("auth/approle/", "approle", "", {}))
            await tenant.ask(EnableMount("auth/userpass/", "userpass", "", {}))
            await tenant.ask(WriteRole(3, "app", {"secret_id_ttl": 3600}))
            role_id = (await tenant.ask(ReadRole(3, "app"))).role_id
            made: MadeSecretId = await tenant.ask(NewSecretId(3, "app", {}))
            await tenant.ask(LoginRole(3, "auth/approle/login", "::1", role_id, made.secret_id))
            await tenant.ask(WriteUser(4, "ann", {}, "right"))
            for message in (
                LoginRole(3, "auth/approle/login", "::1", role_id, "wrong"),
                LoginRole(3, "auth/approle/login", "::1", "nobody", "wrong"),
                LoginUser(4, "auth/userpass/login/ann", "::1", "ann", "wrong"),
            ):
                with pytest.raises(InvalidRequest):
                    await tenant.ask(message)
        master = await master_of(store, tmp_path)
        yield World(tmp_path, store, master, role_id, made.secret_id, vault.shares)


@pytest.mark.parametrize("with_keys", [False, True])
async def test_what_a_node_leaves_is_clean(world: World, with_keys: bool) -> None:
    assert await world.findings(with_keys=with_keys) == set()
    kinds = {KEYS.parts(key)[2] for area in ("approle", "userpass") for key in await world.keys(area)}
    assert kinds == {"role", "role-id", "secret-id", "accessor", "failures", "strangers", "user"}
    assert len(await world.keys("secret-id-end")) == 1


async def test_what_belongs_to_nothing_is_found(world: World) -> None:
    (role,), (role_id,), (secret_id,), (accessor,) = [
        await world.keys("approle", 3, kind) for kind in ("role", "role-id", "secret-id", "accessor")
    ]
    kept = await get(world.store, secret_id)
    await clear(world.store, secret_id)
    assert await world.findings(with_keys=True) == {(Kind.ORPHAN, accessor)}
    assert await world.findings(with_keys=False) == set()
    assert kept is not None
    await clear(world.store, role)
    assert await world.findings(with_keys=True) == {(Kind.ORPHAN, accessor), (Kind.ORPHAN, role_id)}


async def test_a_secret_id_without_its_role_is_found_without_keys(world: World) -> None:
    (role,), (secret_id,) = [await world.keys("approle", 3, kind) for kind in ("role", "secret-id")]
    await clear(world.store, role)
    assert await world.findings(with_keys=False) == {(Kind.ORPHAN, secret_id)}


async def test_logins_go_on_where_a_backup_is_restored(world: World, tmp_path: Path) -> None:
    file = await backup(world.store, "all")
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(world.directory / "master.key", other / "master.key")
    async with opened(other) as store:
        await restore(store, file)
        async with node(store, other) as service:
            tenant = await service.tenant("vault_a")
            for share in world.shares[:2]:
                await tenant.ask(Unseal(share))
            done = await tenant.ask(LoginRole(3, "auth/approle/login", "::1", world.role_id, world.secret_id))
            assert done.issued.spec.display_name == "approle"
            await tenant.ask(LoginUser(4, "auth/userpass/login/ann", "::1", "ann", "right"))
