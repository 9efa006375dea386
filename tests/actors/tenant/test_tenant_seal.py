"""A tenant's seal: it lives in the store, for all nodes."""

import asyncio
import os
from pathlib import Path

import pytest

from kms_actors.errors import FormatError, IntegrityError, InvalidRequest, InvalidShares, Sealed
from kms_actors.keyring import shamir
from kms_actors.kv.messages import ReadSecret, WriteSecret
from kms_actors.messages import (
    Initialization,
    Initialize,
    ReadSealStatus,
    ResetUnseal,
    Seal,
    SealStatus,
    Unseal,
)
from kms_actors.secret import SecretBytes
from kms_actors.store import keyspace
from kms_actors.store.api import Transaction
from kms_actors.store.keyspace import TenantKeys
from kms_actors.store.sqlite.engine import SqliteStore
from tests.actors.node_service import OTHER, VAULT, configuration, started, unseal_node, unseal_tenant


async def test_a_new_tenant_has_kv_and_transit_once_unsealed(tmp_path: Path) -> None:
    async with started(tmp_path) as service:
        await unseal_node(service)
        tenant = await service.tenant(VAULT)
        assert tenant.sealed
        assert list(tenant.mounts) == []

        tenant, made = await unseal_tenant(service)

        assert [(mount.path, mount.type) for mount in tenant.mounts] == [("secret/", "kv"), ("transit/", "transit")]
        assert len(made.shares) == 5
        assert made.root_token.startswith("hvs.")


async def test_progress_is_shared_by_nodes_of_one_store(tmp_path: Path) -> None:
    async with started(tmp_path) as first, started(tmp_path) as second:
        shares = await unseal_node(first)
        await unseal_node(second, shares)
        made: Initialization = await (await first.tenant(VAULT)).ask(Initialize(5, 3))

        one: SealStatus = await (await first.tenant(VAULT)).ask(Unseal(made.shares[0]))
        two: SealStatus = await (await second.tenant(VAULT)).ask(Unseal(made.shares[1]))
        three: SealStatus = await (await first.tenant(VAULT)).ask(Unseal(made.shares[2]))

        assert (one.progress, two.progress, three.sealed) == (1, 2, False)
        assert one.nonce == two.nonce


async def test_initialising_twice_is_refused_also_at_once(tmp_path: Path) -> None:
    async with started(tmp_path) as service:
        await unseal_node(service)
        tenant = await service.tenant(VAULT)
        outcomes = await asyncio.gather(*(tenant.ask(Initialize(5, 3)) for _ in range(4)), return_exceptions=True)
        refused = [outcome for outcome in outcomes if isinstance(outcome, InvalidRequest)]
        assert len(refused) == 3
        assert {str(error) for error in refused} == {"Vault is already initialized"}


@pytest.mark.parametrize("counts", [(0, 0), (5, 6), (2, 1), (256, 3)])
async def test_impossible_counts_are_refused_and_make_nothing(tmp_path: Path, counts: tuple[int, int]) -> None:
    async with started(tmp_path) as service:
        await unseal_node(service)
        tenant = await service.tenant(VAULT)
        with pytest.raises(InvalidRequest, match="invalid seal configuration"):
            await tenant.ask(Initialize(*counts))
        assert not (await tenant.ask(ReadSealStatus())).initialized


async def test_wrong_shares_reset_the_stored_progress(tmp_path: Path) -> None:
    async with started(tmp_path) as service:
        await unseal_node(service)
        tenant = await service.tenant(VAULT)
        made: Initialization = await tenant.ask(Initialize(3, 2))
        await tenant.ask(Unseal(made.shares[0]))
        with pytest.raises(InvalidShares):
            await tenant.ask(Unseal(shamir.split(SecretBytes(os.urandom(32)), 3, 2)[1]))
        assert (await tenant.ask(ReadSealStatus())).progress == 0
        assert tenant.sealed


async def test_a_reset_is_refused_while_unsealed(tmp_path: Path) -> None:
    async with started(tmp_path) as service:
        await unseal_node(service)
        tenant, _ = await unseal_tenant(service)
        with pytest.raises(InvalidRequest, match="vault is unsealed"):
            await tenant.ask(ResetUnseal())


async def test_sealing_one_tenant_leaves_the_others(tmp_path: Path) -> None:
    async with started(tmp_path) as service:
        await unseal_node(service)
        tenant, made = await unseal_tenant(service)
        other, _ = await unseal_tenant(service, OTHER)
        await tenant.ask(WriteSecret(1, "a", b'{"k":"v"}', None))
        await tenant.ask(Seal())

        assert tenant.sealed
        with pytest.raises(Sealed):
            await tenant.ask(ReadSecret(1, "a", 0))
        assert not other.sealed
        await other.ask(WriteSecret(1, "a", b"{}", None))

        for share in made.shares[2:]:
            await tenant.ask(Unseal(share))
        assert (await tenant.ask(ReadSecret(1, "a", 0))).data == b'{"k":"v"}'


async def test_the_root_key_is_nowhere_in_the_clear(tmp_path: Path) -> None:
    async with started(tmp_path) as service:
        await unseal_node(service)
        tenant, made = await unseal_tenant(service)
        await tenant.ask(WriteSecret(1, "a", b'{"k":"canary-value"}', None))
    root_key = shamir.combine(made.shares[:3]).reveal()
    store = await SqliteStore.open(tmp_path / "kms.sqlite")
    everything = await store.run(lambda tr: tr.get_range(b"", b"\xff"))
    await store.close()
    for secret in (root_key, b"canary-value", made.root_token.encode(), *(share[1:] for share in made.shares)):
        assert not any(secret in key or secret in value for key, value in everything)


async def test_a_tenant_sleeps_when_idle_and_wakes_unsealed(tmp_path: Path) -> None:
    async with started(tmp_path, configuration(idle_seconds=0.05)) as service:
        await unseal_node(service)
        tenant, _ = await unseal_tenant(service)
        await tenant.ask(WriteSecret(1, "a", b"{}", None))
        async with asyncio.timeout(5):
            while service.active_tenants:  # noqa: ASYNC110 - there is no event to wait for
                await asyncio.sleep(0.02)
        assert (await (await service.tenant(VAULT)).ask(ReadSecret(1, "a", 0))).data == b"{}"
        assert (await tenant.ask(ReadSecret(1, "a", 0))).data == b"{}", "an old handle finds the new actor"


async def test_past_the_limit_the_least_recently_used_tenant_sleeps(tmp_path: Path) -> None:
    async with started(tmp_path, configuration(max_active=2)) as service:
        await unseal_node(service)
        for vault_id in ("vault_a", "vault_b", "vault_c"):
            await service.tenant(vault_id)
        assert service.active_tenants == 2


@pytest.mark.parametrize("scope", ["cluster", "node"])
async def test_a_vault_whose_entry_points_at_another_vaults_records_is_not_served(tmp_path: Path, scope: str) -> None:
    async with started(tmp_path, configuration(unseal_scope=scope)) as service:
        await unseal_node(service)
        await unseal_tenant(service)
        _, _ = await unseal_tenant(service, OTHER)
        store = await SqliteStore.open(tmp_path / "kms.sqlite")

        async def redirect(tr: Transaction) -> None:
            number = await tr.get(keyspace.vault(OTHER))
            assert number is not None
            tr.set(keyspace.vault("vault_three"), number)

        await store.run(redirect)
        await store.close()
        with pytest.raises(IntegrityError):
            await service.tenant("vault_three")


async def test_a_vault_that_a_newer_program_has_written_is_refused(tmp_path: Path) -> None:
    async with started(tmp_path) as service:
        shares = await unseal_node(service)
        await unseal_tenant(service)
        await unseal_tenant(service, OTHER)
    store = await SqliteStore.open(tmp_path / "kms.sqlite")
    key = TenantKeys(1).key("header")

    async def raise_format(tr: Transaction) -> None:
        header = await tr.get(key)
        assert header is not None
        tr.set(key, header.replace(b'"format":1', b'"format":2'))

    await store.run(raise_format)
    await store.close()
    async with started(tmp_path) as service:
        await unseal_node(service, shares)
        with pytest.raises(FormatError, match="tenant header is of format 2; this program reads format 1"):
            await service.tenant(VAULT)
        assert not (await service.tenant(OTHER)).sealed
