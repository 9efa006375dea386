from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kms_actors.actors.node.erasing import Eraser
from kms_actors.auth.service_token import proof_digest, tenant_of
from kms_actors.errors import IntegrityError
from kms_actors.kv import messages as kv
from kms_actors.messages import (
    AuthenticateToken,
    EnableMount,
    ReadSealStatus,
    Seal,
    TuneMount,
)
from kms_actors.policy.messages import GeneratePassword, PolicyKind, ResolveAcl, WritePolicy
from kms_actors.store.api import Store
from kms_actors.store.keyspace import ALLOCATOR, TenantKeys
from kms_actors.tenancy.messages import DeleteTenant
from tests.store.access import get, get_all, put
from tests.support.backups import backup, restore
from tests.support.vaults import LARGE, filled, node, opened


@pytest.fixture
async def target(tmp_path: Path) -> AsyncIterator[Store]:
    (tmp_path / "target").mkdir()
    async with opened(tmp_path / "target") as store:
        yield store


@pytest.fixture
async def source(tmp_path: Path) -> AsyncIterator[Store]:
    (tmp_path / "source").mkdir()
    async with opened(tmp_path / "source") as store:
        yield store


async def test_one_vault_moves_to_another_cluster(tmp_path: Path, source: Store, target: Store) -> None:
    async with node(source, tmp_path / "source") as service:
        await filled(service, "vault_a")
        vault = await filled(service, "vault_b")
        data = await backup(source, "vault_b")
    async with node(target, tmp_path / "target") as service:
        await restore(target, data)
        tenant = await service.tenant("vault_b")
        status = await tenant.ask(ReadSealStatus())
        assert (status.initialized, status.sealed) == (True, True)
        await vault.check(service)
        assert not (await (await service.tenant("vault_a")).ask(ReadSealStatus())).initialized
        new = await filled(service, "vault_c")
        await new.check(service)
    assert int.from_bytes(await get(target, ALLOCATOR) or b"", "little") == 3


async def test_a_vault_that_was_deleted_comes_back_sealed_where_each_node_is_unsealed_for_itself(
    tmp_path: Path, source: Store
) -> None:
    """Its epoch is none of those that a node, which heard of neither, has kept a root key for."""
    directory = tmp_path / "source"
    async with (
        node(source, directory, unseal_scope="node") as first,
        node(source, directory, unseal_scope="node") as second,
    ):
        vault = await filled(first, "vault_a")
        data = await backup(source, "vault_a")
        await (await first.tenant("vault_a")).ask(Seal())
        await second.catch_up()
        tenant = await vault.unsealed(second)
        await tenant.ask(kv.ReadSecret(1, "app/one"))
        assert second._directory is not None
        second._directory._sleep(tenant)
        await first.ask_node(DeleteTenant("vault_a", wait=0, by="operator"))
        assert await Eraser(source, time.time_ns).erase(1, "vault_a")
        await restore(source, data, clock=time.time)
        await second.catch_up()
        assert (await (await second.tenant("vault_a")).ask(ReadSealStatus())).sealed
        await vault.check(second)
        assert (first.feed.skipped, second.feed.skipped) == (0, 0)


@pytest.mark.parametrize("version", ["1", "2"])
async def test_secrets_of_version_1_move_and_may_get_versions_there(
    tmp_path: Path, source: Store, target: Store, version: str
) -> None:
    """The mount is of version 1 when the backup is taken, or has just become one of version 2."""
    secrets = {"a": b'{"n":1}', "folder/large": LARGE}
    async with node(source, tmp_path / "source") as service:
        vault = await filled(service, "vault_a")
        tenant = await service.tenant("vault_a")
        await tenant.ask(EnableMount("plain/", "kv-v1", "", {}))
        for path, data in secrets.items():
            await tenant.ask(kv.WriteUnversioned(3, path, data))
        await tenant.ask(TuneMount("plain/", None, {"version": version}))
        data = await backup(source, "vault_a")
    async with node(target, tmp_path / "target") as service:
        await restore(target, data)
        tenant = await vault.unsealed(service)
        if version == "1":
            assert [await tenant.ask(kv.ReadUnversioned(3, path)) for path in secrets] == [*secrets.values()]
            await tenant.ask(TuneMount("plain/", None, {"version": "2"}))
        assert [(await tenant.ask(kv.ReadSecret(3, path))).data for path in secrets] == [*secrets.values()]
        assert await tenant.ask(kv.ScanSecrets(3, "")) == [*secrets]


async def test_policies_move_with_their_vault(tmp_path: Path, source: Store, target: Store) -> None:
    async with node(source, tmp_path / "source") as service:
        vault = await filled(service, "vault_a")
        tenant = await service.tenant("vault_a")
        await tenant.ask(WritePolicy(PolicyKind.ACL, "a", 'path "secret/*" { capabilities = ["read"] }'))
        await tenant.ask(WritePolicy(PolicyKind.PASSWORD, "a", 'length = 9 rule "charset" { charset = "ab" }'))
        before = await tenant.ask(ResolveAcl(("a",)))
        data = await backup(source, "vault_a")
    async with node(target, tmp_path / "target") as service:
        await restore(target, data)
        tenant = await vault.unsealed(service)
        after = await tenant.ask(ResolveAcl(("a",)))
        assert after.rule("secret/x") == before.rule("secret/x")
        assert len(await tenant.ask(GeneratePassword("a"))) == 9


async def test_all_vaults_move_with_their_cluster(tmp_path: Path, source: Store, target: Store) -> None:
    async with node(source, tmp_path / "source") as service:
        vaults = [await filled(service, f"vault_{number}") for number in range(3)]
        data = await backup(source, "all")
    shutil.copy(tmp_path / "source" / "master.key", tmp_path / "target" / "master.key")
    await restore(target, data)
    async with node(target, tmp_path / "target") as service:
        for vault in vaults:
            await vault.check(service)


async def test_a_running_node_seals_a_vault_that_is_replaced_and_serves_it_as_it_was(
    tmp_path: Path, source: Store
) -> None:
    async with node(source, tmp_path / "source") as service:
        vault = await filled(service, "vault_a")
        data = await backup(source, "vault_a")
        tenant = await service.tenant("vault_a")
        await tenant.ask(kv.WriteSecret(1, "app/later", b"{}"))
        before = await get(source, TenantKeys(1).key("epoch"))
        await restore(source, data, replace=True)
        deadline = asyncio.get_running_loop().time() + 2.0
        while not tenant.sealed and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        assert tenant.sealed
        await vault.check(service)
        after = await get(source, TenantKeys(1).key("epoch"))
        assert int.from_bytes(after or b"", "little") > int.from_bytes(before or b"", "little")


async def test_service_tokens_are_valid_after_a_restore(tmp_path: Path, source: Store, target: Store) -> None:
    async with node(source, tmp_path / "source") as service:
        vault = await filled(service, "vault_a")
        data = await backup(source, "all")
    shutil.copy(tmp_path / "source" / "master.key", tmp_path / "target" / "master.key")
    await restore(target, data)
    assert tenant_of(vault.root_token) == 1
    async with node(target, tmp_path / "target") as service:
        await vault.unsealed(service)
        found = await service.tenant_by_token(1, proof_digest(vault.root_token))
        assert found is not None
        assert (await found[0].ask(AuthenticateToken(vault.root_token))).resource == "vault_a"


async def test_nothing_in_a_backup_is_in_the_clear(tmp_path: Path, source: Store) -> None:
    async with node(source, tmp_path / "source") as service:
        vault = await filled(service, "vault_a")
        data = await backup(source, "all")
    key = bytes.fromhex((tmp_path / "source" / "master.key").read_text())
    for secret in (b'{"n":1}', b"x" * 64, key, *(share[1:] for share in vault.shares)):
        assert secret not in data


async def test_a_record_does_not_open_under_another_tenant_integer(tmp_path: Path, source: Store) -> None:
    """Why a vault keeps its integer."""
    async with node(source, tmp_path / "source") as service:
        vault = await filled(service, "vault_a")
        await filled(service, "vault_b")
        one, two = TenantKeys(1), TenantKeys(2)
        moved = [
            (two.prefix + key[len(one.prefix) :], value) for key, value in await get_all(source) if one.prefix in key
        ]
        await put(source, *((key, value) for key, value in moved if two.parts(key)[0] in ("seal", "keyring")))
    async with node(source, tmp_path / "source") as service:
        with pytest.raises(IntegrityError):
            await service.tenant("vault_b")
        await vault.check(service)
