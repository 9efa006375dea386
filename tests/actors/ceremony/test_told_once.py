"""What is told once is told once it is committed: new shares, recovery shares, root tokens.

The kind: shares that count, and that nobody was told of, since the store was away or the scope was sealed between the
commit and the answer. Each transaction of an operation fails in turn, or has something happen behind it.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from kms_actors.actors.node import unattended
from kms_actors.actors.node.service import NodeService
from kms_actors.actors.tenant.records import TenantRecords, TenantState
from kms_actors.ceremony.messages import (
    BeginRekey,
    BeginRootGeneration,
    GiveRekeyShare,
    GiveRootShare,
    ReadKeyStatus,
    RotateKeyring,
    VerifyRekeyShare,
)
from kms_actors.errors import KmsError
from kms_actors.messages import Initialization, Initialize, Seal, Unseal
from kms_actors.store import schema
from kms_actors.store.api import Store
from tests.actors.ceremony.test_rekeying import Ask, Shares, opens
from tests.actors.kept_seals import Hosts, hosts, until
from tests.actors.node_service import configuration, unseal_node
from tests.store.conftest import open_store, place, store
from tests.support.faulty_store import CountingStore, away
from tests.support.vaults import filled, node

__all__ = ["hosts", "open_store", "place", "store"]

#: Transactions that an operation has here, and those of others beside it.
_MOST = 8


async def asked(faulty: CountingStore, at: int, ask: Ask, message: Any) -> Any:
    """Return the answer, or None where it was refused; transaction number `at` of it is the faulty one."""
    faulty.at = faulty.runs + at
    try:
        return await ask(message)
    except KmsError:
        return None
    finally:
        faulty.at = -1


async def test_who_makes_a_vault_is_told_its_shares_though_it_cannot_be_read_behind_it(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with node(store, tmp_path) as service:
        ask = (await service.tenant("vault_a")).ask
        load = TenantRecords.load
        failed: list[int] = []

        async def away_at_first(records: TenantRecords) -> TenantState:
            if not failed:
                failed.append(1)
                await away()
            return await load(records)

        monkeypatch.setattr(TenantRecords, "load", away_at_first)
        made: Initialization = await ask(Initialize(3, 2))
        assert failed
        async with asyncio.timeout(20):
            while not await opens(ask, made.shares[:2]):  # noqa: ASYNC110 - there is no event to wait for
                await asyncio.sleep(0.01)


@pytest.mark.parametrize("verified", [False, True])
async def test_a_rekey_of_a_vault_that_is_done_has_told_its_shares(
    store: Store, tmp_path: Path, verified: bool
) -> None:
    faulty = CountingStore(store, then=away)
    refused = 0
    async with node(faulty, tmp_path) as service:
        for at in range(_MOST):
            vault = await filled(service, f"vault_{at}")
            ask = (await service.tenant(vault.vault_id)).ask
            begun = await ask(BeginRekey(3, 2, require_verification=verified))
            await ask(GiveRekeyShare(vault.shares[0], begun.nonce))
            last = GiveRekeyShare(vault.shares[1], begun.nonce)
            if not verified:
                made = await asked(faulty, at, ask, last)
                right = vault.shares[:2] if made is None else made.keys[:2]
            else:
                new = await ask(last)
                await ask(VerifyRekeyShare(new.keys[0], new.verification_nonce))
                made = await asked(faulty, at, ask, VerifyRekeyShare(new.keys[1], new.verification_nonce))
                right = vault.shares[:2] if made is None else new.keys[:2]
            refused += made is None
            assert await opens(ask, right)
    assert 0 < refused < _MOST


async def test_a_root_token_that_is_made_is_told(store: Store, tmp_path: Path) -> None:
    faulty = CountingStore(store, then=away)
    refused = 0
    async with node(faulty, tmp_path) as service:
        vault = await filled(service, "vault_a")
        ask = (await service.tenant(vault.vault_id)).ask
        for at in range(_MOST):
            begun = await ask(BeginRootGeneration())
            await ask(GiveRootShare(vault.shares[0], begun.nonce))
            last = GiveRootShare(vault.shares[1], begun.nonce)
            made = await asked(faulty, at, ask, last)
            if made is None:
                refused += 1
                made = await ask(last)
            assert made.encoded_token
    assert 0 < refused < _MOST


async def test_a_keyring_that_is_rotated_is_not_said_to_be_not(store: Store, tmp_path: Path) -> None:
    """Who is told that it failed does it again."""
    faulty = CountingStore(store, then=away)
    refused = 0
    async with node(faulty, tmp_path) as service:
        await filled(service, "vault_a")
        for at in range(_MOST):
            for ask in ((await service.tenant("vault_a")).ask, service.ask_node):
                before = (await ask(ReadKeyStatus())).term
                made = await asked(faulty, at, ask, RotateKeyring())
                refused += made is None
                assert (await ask(ReadKeyStatus())).term == before + (made is not None)
    assert 0 < refused < 2 * _MOST


class Cluster:
    """A node whose master key is in shares, over a store where something happens behind a transaction."""

    def __init__(self, store: Store) -> None:
        self.faulty = CountingStore(store, then=self._happen, behind=True)
        self.service = NodeService(configuration(), self.faulty)
        self.happened = 0

    async def _happen(self) -> None:
        self.happened += 1
        await self.service.ask_node(Seal())


async def test_a_rekey_of_the_master_key_is_told_though_the_node_is_sealed_meanwhile(store: Store) -> None:
    await schema.initialise(store)
    cluster = Cluster(store)
    service, ask = cluster.service, cluster.service.ask_node
    await service.start()
    shares: Shares = await unseal_node(service)
    told = 0
    for at in range(_MOST):
        begun = await ask(BeginRekey(3, 3))
        for share in shares[:2]:
            await ask(GiveRekeyShare(share, begun.nonce))
        made = await asked(cluster.faulty, at, ask, GiveRekeyShare(shares[2], begun.nonce))
        if made is not None:
            told += 1
            shares = made.keys
        await ask(Seal())
        for share in shares[:3]:
            status = await ask(Unseal(share))
        assert not status.sealed
    await service.stop()
    assert cluster.happened > 1
    assert told


async def test_recovery_shares_are_told_though_the_store_is_away_behind_them(
    hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unattended, "LOOK_SECONDS", 0.05)
    refused = 0
    hosts.store = faulty = CountingStore(hosts.store, then=away)
    for at in range(_MOST):
        service = await hosts.start("transit", namespace=f"kms-{at}", second_cluster=True)
        message = Initialize(recovery_shares=3, recovery_threshold=2)
        made = await asked(faulty, at, service.ask_node, message)
        if made is None:
            refused += 1
            made = await service.ask_node(message)
        assert len(made.shares) == 3
        await until(lambda service=service: not service.node_sealed)  # type: ignore[misc]
        await service.ask_node(Seal())
        for share in made.shares[:2]:
            status = await service.ask_node(Unseal(share))
        assert not status.sealed
        await hosts.stop_all()
    assert 0 < refused < _MOST
