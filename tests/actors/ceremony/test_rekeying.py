"""Rekeys of a vault and of a cluster: new shares open it and old ones do not, whatever happens on the way.

The kind: a moment in which neither the old nor the new shares open anything, or both do; a share that counts twice.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from kms_actors.actors.node.directory import TenantHandle
from kms_actors.actors.node.service import NodeService
from kms_actors.backup.format import ALL
from kms_actors.ceremony.messages import (
    BeginRekey,
    CancelRekey,
    DeleteRekeyBackup,
    GiveRekeyShare,
    ReadRekey,
    ReadRekeyBackup,
    ReadVerification,
    RekeyStatus,
    RestartVerification,
    RotateKeyring,
    VerifyRekeyShare,
)
from kms_actors.ceremony.rekey import LIFETIME
from kms_actors.check.keys import open_master
from kms_actors.check.walk import check
from kms_actors.errors import InvalidRequest, InvalidShares, KmsError, Sealed
from kms_actors.keyring.shamir import combine
from kms_actors.messages import ReadSealStatus, Seal, Unseal
from kms_actors.store import schema
from kms_actors.store.api import Store
from kms_actors.store.keyspace import TenantKeys
from tests.actors.node.test_schedule_sweep import Clock, assert_clean, cluster
from tests.actors.node_service import configuration, unseal_node
from tests.store.access import get, get_all
from tests.store.conftest import open_store, place, store
from tests.support.backups import backup, restore
from tests.support.faulty_store import CountingStore, Interrupted
from tests.support.vaults import Vault, filled, node

__all__ = ["open_store", "place", "store"]

OpenStore = Callable[[], Awaitable[Store]]
Ask = Callable[[Any], Awaitable[Any]]
Shares = tuple[bytes, ...]


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def rekeyed(ask: Ask, old: Shares, shares: int = 4, threshold: int = 3, **more: Any) -> RekeyStatus:
    """Go through a rekey with a quorum of shares, up to the answer that has the new ones."""
    status: RekeyStatus = await ask(BeginRekey(shares, threshold, **more))
    for share in old:
        status = await ask(GiveRekeyShare(share, status.nonce))
    assert status.complete
    return status


async def opens(ask: Ask, shares: Shares) -> bool:
    """Tell whether shares open a scope that is sealed first."""
    await ask(Seal())
    try:
        for share in shares:
            status = await ask(Unseal(share))
    except InvalidShares:
        return False
    return not status.sealed


async def vault_of(service: NodeService) -> tuple[Vault, TenantHandle]:
    vault = await filled(service, "vault_a")
    return vault, await service.tenant("vault_a")


async def test_any_quorum_of_the_new_shares_opens_the_vault_and_none_of_the_old(
    open_store: OpenStore, store: Store, tmp_path: Path, clock: Clock
) -> None:
    async with cluster(open_store, tmp_path, clock, 1) as (service,):
        vault, tenant = await vault_of(service)
        made = await rekeyed(tenant.ask, vault.shares[:2])
        assert len(made.keys) == 4
        await vault.check(service)
        status = await tenant.ask(ReadSealStatus())
        assert (status.threshold, status.shares) == (3, 4)
        for quorum in itertools.combinations(made.keys, 3):
            assert await opens(tenant.ask, quorum)
        for quorum in itertools.permutations(vault.shares, 3):
            assert not await opens(tenant.ask, quorum)
        assert await opens(tenant.ask, made.keys[1:])
        await Vault("vault_a", made.keys, vault.root_token, vault.ciphertexts).check(service)
    await assert_clean(store, tmp_path)


async def test_any_node_goes_on_with_a_rekey_and_hears_of_its_end(
    open_store: OpenStore, store: Store, tmp_path: Path, clock: Clock
) -> None:
    async with cluster(open_store, tmp_path, clock, 3) as (first, second, third):
        vault, tenant = await vault_of(first)
        begun = await tenant.ask(BeginRekey(3, 2))
        asks = [(await service.tenant("vault_a")).ask for service in (second, third)]
        status = await asks[0](GiveRekeyShare(vault.shares[0], begun.nonce))
        assert (status.progress, status.complete) == (1, False)
        assert (await asks[1](ReadRekey())).progress == 1
        made = await asks[1](GiveRekeyShare(vault.shares[2], begun.nonce))
        assert made.complete
        assert (await tenant.ask(ReadRekey())) == RekeyStatus(2)
        for service in (first, second, third):
            await vault.check(service)
        # Put to sleep and woken, they open the keyring by the new key.
        for service in (first, second, third):
            assert service._directory is not None
            service._directory._sleep(await service.tenant("vault_a"))
            await vault.check(service)
    await assert_clean(store, tmp_path)


async def test_a_share_given_to_two_nodes_at_once_counts_once(
    open_store: OpenStore, tmp_path: Path, clock: Clock
) -> None:
    async with cluster(open_store, tmp_path, clock, 2) as services:
        vault, tenant = await vault_of(services[0])
        begun = await tenant.ask(BeginRekey(3, 2))
        tenants = [await service.tenant("vault_a") for service in services]
        answers = await asyncio.gather(
            *(each.ask(GiveRekeyShare(vault.shares[0], begun.nonce)) for each in tenants), return_exceptions=True
        )
        assert sorted(type(answer).__name__ for answer in answers) == ["InvalidRequest", "RekeyStatus"]
        assert (await tenant.ask(ReadRekey())).progress == 1


async def test_of_two_quorums_at_once_one_gets_shares_that_open(
    open_store: OpenStore, tmp_path: Path, clock: Clock
) -> None:
    async with cluster(open_store, tmp_path, clock, 2) as services:
        vault, tenant = await vault_of(services[0])
        begun = await tenant.ask(BeginRekey(3, 2))
        tenants = [await service.tenant("vault_a") for service in services]
        await tenant.ask(GiveRekeyShare(vault.shares[0], begun.nonce))
        answers = await asyncio.gather(
            *(
                each.ask(GiveRekeyShare(share, begun.nonce))
                for each, share in zip(tenants, vault.shares[1:], strict=True)
            ),
            return_exceptions=True,
        )
        made = [answer for answer in answers if isinstance(answer, RekeyStatus) and answer.complete]
        assert len(made) == 1
        assert await opens(tenant.ask, made[0].keys[:2])


async def test_what_is_wrong_is_refused_and_ends_nothing(open_store: OpenStore, tmp_path: Path, clock: Clock) -> None:
    async with cluster(open_store, tmp_path, clock, 1) as (service,):
        vault, tenant = await vault_of(service)
        share = vault.shares[0]

        async def refused(message: Any, text: str) -> None:
            with pytest.raises(InvalidRequest, match=text):
                await tenant.ask(message)

        await refused(GiveRekeyShare(share, "n"), "no barrier rekey in progress")
        await refused(GiveRekeyShare(share, "n", newer=True), "no rotation in progress")
        await refused(ReadVerification(), "no rekey configuration found")
        await refused(VerifyRekeyShare(share, "n"), "no rekey in progress")
        await refused(BeginRekey(2, 3), "invalid rekey seal configuration: threshold cannot be larger than shares")
        await refused(BeginRekey(3, 2, backup=True), "without providing PGP keys")
        await refused(BeginRekey(3, 2, ("AAAA",)), "count mismatch")
        await refused(BeginRekey(1, 1, ("AAAA",)), "no OpenPGP certificate")
        await refused(BeginRekey(1, 1, ("!",)), "illegal base64")
        begun = await tenant.ask(BeginRekey(3, 2))
        await refused(BeginRekey(3, 2), "rekey already in progress")
        await refused(GiveRekeyShare(share, "n"), f'nonce for this rekey operation is "{begun.nonce}"')
        await tenant.ask(GiveRekeyShare(share, begun.nonce))
        await refused(GiveRekeyShare(share, begun.nonce), "already been provided")
        with pytest.raises(InvalidShares, match="progress was reset"):
            await tenant.ask(GiveRekeyShare(b"\x09" * 33, begun.nonce))
        status = await tenant.ask(ReadRekey())
        assert (status.nonce, status.progress) == (begun.nonce, 0)
        assert await tenant.ask(CancelRekey())
        assert not await tenant.ask(CancelRekey())
        assert await opens(tenant.ask, vault.shares[:2])


async def test_an_attempt_ends_an_hour_after_its_last_share_and_with_a_seal(
    open_store: OpenStore, store: Store, tmp_path: Path, clock: Clock
) -> None:
    async with cluster(open_store, tmp_path, clock, 1) as (service,):
        vault, tenant = await vault_of(service)
        begun = await tenant.ask(BeginRekey(3, 2))
        clock.ahead += int((LIFETIME - 60) * 1e9)
        await tenant.ask(GiveRekeyShare(vault.shares[0], begun.nonce))
        clock.ahead += int((LIFETIME - 60) * 1e9)
        assert (await tenant.ask(ReadRekey())).progress == 1
        clock.ahead += int(120 * 1e9)
        assert (await tenant.ask(ReadRekey())) == RekeyStatus(2)
        begun = await tenant.ask(BeginRekey(3, 2))
        await tenant.ask(GiveRekeyShare(vault.shares[0], begun.nonce))
        await tenant.ask(Seal())
        assert await get(store, TenantKeys(1).key("rekey")) is None
        with pytest.raises(Sealed):
            await tenant.ask(ReadRekey())


class TestVerification:
    async def test_until_it_is_verified_the_old_shares_open(
        self, open_store: OpenStore, store: Store, tmp_path: Path, clock: Clock
    ) -> None:
        async with cluster(open_store, tmp_path, clock, 2) as (first, second):
            vault, tenant = await vault_of(first)
            made = await rekeyed(tenant.ask, vault.shares[:2], require_verification=True)
            assert (await tenant.ask(ReadSealStatus())).threshold == 2
            other = await second.tenant("vault_a")
            nonce = made.verification_nonce
            for progress, share in enumerate(made.keys[:2], 1):
                status = await other.ask(VerifyRekeyShare(share, nonce))
                assert (status.progress, status.complete) == (progress, False)
            with pytest.raises(InvalidRequest, match="already been provided"):
                await tenant.ask(VerifyRekeyShare(made.keys[0], nonce))
            with pytest.raises(InvalidRequest, match="verification must be performed"):
                await tenant.ask(GiveRekeyShare(vault.shares[0], made.nonce))
            assert (await tenant.ask(VerifyRekeyShare(made.keys[3], nonce))).complete
            await vault.check(second)
            assert not await opens(tenant.ask, vault.shares[:3])
            assert await opens(tenant.ask, made.keys[:3])
        await assert_clean(store, tmp_path)

    async def test_wrong_shares_begin_it_anew_under_another_nonce(
        self, open_store: OpenStore, tmp_path: Path, clock: Clock
    ) -> None:
        async with cluster(open_store, tmp_path, clock, 1) as (service,):
            vault, tenant = await vault_of(service)
            made = await rekeyed(tenant.ask, vault.shares[:2], 3, 2, require_verification=True)
            await tenant.ask(VerifyRekeyShare(made.keys[0], made.verification_nonce))
            with pytest.raises(InvalidShares, match="rekey verification failed"):
                await tenant.ask(VerifyRekeyShare(vault.shares[1], made.verification_nonce))
            status = await tenant.ask(ReadVerification())
            assert (status.progress, status.nonce == made.verification_nonce) == (0, False)
            again = await tenant.ask(RestartVerification())
            assert again.nonce not in ("", status.nonce)
            with pytest.raises(InvalidRequest, match="incorrect nonce"):
                await tenant.ask(VerifyRekeyShare(made.keys[0], status.nonce))
            assert await tenant.ask(CancelRekey())
            assert await opens(tenant.ask, vault.shares[:2])


async def test_interrupted_at_each_step_the_old_shares_open_or_the_new_ones_do(
    store: Store, tmp_path: Path, clock: Clock
) -> None:
    """The end is one transaction: before it the old shares open, after it the new ones, and never both or none."""
    outcomes: set[str] = set()
    for at in range(12):
        async with node(store, tmp_path, clock) as plain:
            vault = await filled(plain, f"vault_{at}")
            tenant = await plain.tenant(f"vault_{at}")
            begun = await tenant.ask(BeginRekey(3, 2))
            await tenant.ask(GiveRekeyShare(vault.shares[0], begun.nonce))
        made: RekeyStatus | None = None
        faulty = CountingStore(store)
        async with node(faulty, tmp_path, clock) as service:
            tenant = await service.tenant(f"vault_{at}")
            faulty.at = faulty.runs + at
            try:
                made = await tenant.ask(GiveRekeyShare(vault.shares[1], begun.nonce))
            except (Interrupted, KmsError):
                pass
            finally:
                faulty.at = -1
        async with node(store, tmp_path, clock) as again:
            tenant = await again.tenant(f"vault_{at}")
            threshold = (await tenant.ask(ReadSealStatus())).threshold
            assert threshold == 2
            old = await opens(tenant.ask, vault.shares[:2])
            if made is not None:
                assert not old
                assert await opens(tenant.ask, made.keys[:2])
            outcomes.add("old" if old else "new")
    assert outcomes == {"old", "new"}


async def test_a_rekey_and_a_rotation_at_once_both_happen(
    open_store: OpenStore, store: Store, tmp_path: Path, clock: Clock
) -> None:
    async with cluster(open_store, tmp_path, clock, 2) as services:
        vault, tenant = await vault_of(services[0])
        other = await services[1].tenant("vault_a")
        begun = await tenant.ask(BeginRekey(3, 2))
        await tenant.ask(GiveRekeyShare(vault.shares[0], begun.nonce))
        made, status, _ = await asyncio.gather(
            tenant.ask(GiveRekeyShare(vault.shares[1], begun.nonce)),
            other.ask(RotateKeyring()),
            services[0].ask_node(RotateKeyring()),
        )
        assert (made.complete, status.term) == (True, 2)
        await vault.check(services[1])
        assert await opens(tenant.ask, made.keys[:2])
        await services[1].catch_up()
        await Vault("vault_a", made.keys, vault.root_token, vault.ciphertexts).check(services[1])
    await assert_clean(store, tmp_path)


async def test_where_each_node_is_unsealed_for_itself_the_others_are_sealed_by_a_rekey(
    open_store: OpenStore, tmp_path: Path, clock: Clock
) -> None:
    async with cluster(open_store, tmp_path, clock, 2, unseal_scope="node") as (first, second):
        vault, tenant = await vault_of(first)
        other = await second.tenant("vault_a")
        for share in vault.shares[:2]:
            await other.ask(Unseal(share))
        made = await rekeyed(tenant.ask, vault.shares[:2])
        await vault.check(first)
        await second.catch_up()
        assert other.sealed
        for share in made.keys[:3]:
            await other.ask(Unseal(share))
        await vault.check(second)


async def test_a_backup_of_before_opens_by_the_old_shares_and_one_of_after_by_the_new(
    open_store: OpenStore, store: Store, tmp_path: Path, clock: Clock
) -> None:
    async with cluster(open_store, tmp_path, clock, 1) as (service,):
        vault, tenant = await vault_of(service)
        before = await backup(store, ALL)
        made = await rekeyed(tenant.ask, vault.shares[:2])
        after = await backup(store, ALL)
        for data, shares in ((before, vault.shares[:2]), (after, made.keys[:3])):
            await restore(store, data, replace=True)
            await service.catch_up()
            tenant = await service.tenant("vault_a")
            for share in shares:
                await tenant.ask(Unseal(share))
            await vault.check(service)


@asynccontextmanager
async def sealed_by_shares(open_store: OpenStore, nodes: int) -> AsyncIterator[tuple[list[NodeService], Shares]]:
    """Nodes whose master key is in shares, unsealed."""
    async with AsyncExitStack() as stack:
        services: list[NodeService] = []
        shares: Shares | None = None
        for _ in range(nodes):
            opened = await open_store()
            await schema.initialise(opened)
            service = NodeService(configuration(), opened)
            await service.start()
            stack.push_async_callback(service.stop)
            shares = await unseal_node(service, shares)
            services.append(service)
        assert shares is not None
        yield services, shares


class TestMasterKey:
    async def test_new_shares_unseal_every_node_and_old_ones_none(self, open_store: OpenStore, store: Store) -> None:
        async with sealed_by_shares(open_store, 2) as ((first, second), shares):
            vault = await filled(first, "vault_a")
            begun = await first.ask_node(BeginRekey(5, 2))
            for service, share in zip((first, second, first), shares, strict=False):
                made = await service.ask_node(GiveRekeyShare(share, begun.nonce))
            assert made.complete
            await asyncio.gather(first.catch_up(), second.catch_up())
            for service in (first, second):
                status = await service.ask_node(ReadSealStatus())
                assert (status.sealed, status.threshold, status.shares) == (False, 2, 5)
                await vault.check(service)
            assert not await opens(first.ask_node, shares[:3])
            assert await opens(first.ask_node, made.keys[3:])
            await vault.check(first)
            assert (await second.ask_node(RotateKeyring())).term == 2
            await vault.check(first)
            report = await check(store, await open_master(store, "kms-test", combine(made.keys[:2])), lambda *_: None)
            assert list(report.findings) == []

    async def test_a_node_that_was_sealed_meanwhile_takes_the_new_shares(self, open_store: OpenStore) -> None:
        async with sealed_by_shares(open_store, 2) as ((first, second), shares):
            await second.ask_node(Seal())
            for share in shares[:2]:
                await second.ask_node(Unseal(share))
            made = await rekeyed(first.ask_node, shares[:3])
            with pytest.raises(InvalidShares):
                await second.ask_node(Unseal(shares[2]))
            for share in made.keys[1:]:
                await second.ask_node(Unseal(share))
            assert not second.node_sealed

    async def test_a_sealed_node_is_not_rekeyed(self, open_store: OpenStore) -> None:
        async with sealed_by_shares(open_store, 1) as ((first,), _):
            await first.ask_node(Seal())
            with pytest.raises(Sealed):
                await first.ask_node(BeginRekey(3, 2))

    async def test_a_master_key_of_a_file_has_no_shares_to_change(
        self, open_store: OpenStore, tmp_path: Path, clock: Clock
    ) -> None:
        async with cluster(open_store, tmp_path, clock, 1) as (service,):
            with pytest.raises(InvalidRequest, match="no shares"):
                await service.ask_node(BeginRekey(3, 2))


async def test_shares_that_were_given_are_in_the_store_sealed_alone(
    open_store: OpenStore, store: Store, tmp_path: Path, clock: Clock
) -> None:
    async with cluster(open_store, tmp_path, clock, 1) as (service,):
        vault, tenant = await vault_of(service)
        made = await rekeyed(tenant.ask, vault.shares[:2], require_verification=True)
        await tenant.ask(VerifyRekeyShare(made.keys[0], made.verification_nonce))
        everything = b"".join(key + value for key, value in await get_all(store))
        for share in (*vault.shares, *made.keys):
            assert share[1:] not in everything
        with pytest.raises(InvalidRequest, match="no backed-up keys found"):
            await tenant.ask(ReadRekeyBackup())
        assert not await tenant.ask(DeleteRekeyBackup())
