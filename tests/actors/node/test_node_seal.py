"""The node's seal: initialisation, shares, restarts."""

import asyncio
import os
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from kms_actors.actors.node.service import NodeService
from kms_actors.config import SettingError
from kms_actors.errors import InvalidRequest, InvalidShares, Sealed
from kms_actors.keyring import shamir
from kms_actors.keyring.check_value import key_check_value
from kms_actors.messages import (
    Event,
    Initialization,
    Initialize,
    ReadSealStatus,
    ResetUnseal,
    Seal,
    SealStatus,
    Unseal,
)
from kms_actors.secret import SecretBytes
from kms_actors.store import schema
from kms_actors.store.sqlite.engine import SqliteStore
from tests.actors.node_service import VAULT, configuration, started, unseal_node, unseal_tenant, with_check_value
from tests.support.vaults import configuration as of_a_file


async def test_a_new_node_is_not_initialised_and_sealed(tmp_path: Path) -> None:
    async with started(tmp_path) as service:
        assert await service.ask_node(ReadSealStatus()) == SealStatus(initialized=False, sealed=True)
        assert service.node_sealed
        with pytest.raises(Sealed):
            await service.tenant(VAULT)


async def test_shares_count_up_and_the_threshold_unseals(tmp_path: Path) -> None:
    async with started(tmp_path) as service:
        made: Initialization = await service.ask_node(Initialize(5, 3))
        assert [share[0] for share in made.shares] == [1, 2, 3, 4, 5]
        assert made.root_token == ""

        first: SealStatus = await service.ask_node(Unseal(made.shares[4]))
        again: SealStatus = await service.ask_node(Unseal(made.shares[4]))
        second: SealStatus = await service.ask_node(Unseal(made.shares[0]))
        third: SealStatus = await service.ask_node(Unseal(made.shares[2]))

        assert (first.progress, again.progress, second.progress) == (1, 1, 2)
        assert first.nonce == second.nonce != ""
        assert third == SealStatus(initialized=True, sealed=False, threshold=3, shares=5)
        assert not service.node_sealed


async def test_a_second_initialisation_is_refused(tmp_path: Path) -> None:
    async with started(tmp_path) as service:
        await service.ask_node(Initialize(5, 3))
        with pytest.raises(InvalidRequest, match="Vault is already initialized"):
            await service.ask_node(Initialize(5, 3))


WRONG = {
    "shares must be at least one": [Initialize(), Initialize(-1, -1)],
    "threshold must be at least one": [Initialize(5)],
    "threshold cannot be larger than shares": [Initialize(5, 6)],
    "threshold must be greater than one for multiple shares": [Initialize(5, 1)],
    "shares must be less than 256": [Initialize(256, 3)],
    "parameters recovery_shares,recovery_threshold not applicable to seal type shamir": [
        Initialize(5, 3, recovery_shares=5, recovery_threshold=3)
    ],
    "parameters recovery_pgp_keys not applicable to seal type shamir": [Initialize(5, 3, recovery_pgp_keys=("x",))],
}


@pytest.mark.parametrize("text", WRONG)
async def test_an_initialisation_names_what_is_wrong(tmp_path: Path, text: str) -> None:
    prefix = "" if text.startswith("parameters") else "invalid seal configuration: "
    async with started(tmp_path) as service:
        for message in WRONG[text]:
            with pytest.raises(InvalidRequest) as caught:
                await service.ask_node(message)
            assert str(caught.value) == prefix + text
        await unseal_node(service)
        tenant = await service.tenant(VAULT)
        for message in WRONG[text]:
            with pytest.raises(InvalidRequest) as caught:
                await tenant.ask(message)
            assert str(caught.value) == prefix + text


async def test_no_key_changes_hands_that_nobody_else_is_to_have(tmp_path: Path) -> None:
    async with started(tmp_path) as service:
        made: Initialization = await service.ask_node(Initialize(5, 3))
        with pytest.raises(InvalidRequest, match="can't perform a seal migration, no migration seal found"):
            await service.ask_node(Unseal(made.shares[0], migrate=True))
        await unseal_node(service, made.shares)
        tenant, own = await unseal_tenant(service)
        with pytest.raises(InvalidRequest, match="can't perform a seal migration, no migration seal found"):
            await tenant.ask(Unseal(own.shares[0], migrate=True))


async def test_two_initialisations_at_once_leave_one_winner(tmp_path: Path) -> None:
    async with started(tmp_path) as service:
        outcomes = await asyncio.gather(
            *(service.ask_node(Initialize(5, 3)) for _ in range(2)), return_exceptions=True
        )
        made = [outcome for outcome in outcomes if isinstance(outcome, Initialization)]
        assert len(made) == 1
        await unseal_node(service, made[0].shares)


async def test_wrong_shares_reset_the_progress_and_reveal_nothing(tmp_path: Path) -> None:
    async with started(tmp_path) as service:
        made: Initialization = await service.ask_node(Initialize(5, 3))
        foreign = shamir.split(SecretBytes(os.urandom(32)), 5, 3)
        texts = set()
        for wrong in (foreign[2], b"\x03" + bytes(32), b"\x01" + made.shares[2][1:]):
            for share in made.shares[:2]:
                await service.ask_node(Unseal(share))
            with pytest.raises(InvalidShares) as caught:
                await service.ask_node(Unseal(wrong))
            texts.add(str(caught.value))
            assert (await service.ask_node(ReadSealStatus())).progress == 0
        assert len(texts) == 1
        await unseal_node(service, made.shares)


async def test_a_reset_forgets_the_shares_given(tmp_path: Path) -> None:
    async with started(tmp_path) as service:
        made: Initialization = await service.ask_node(Initialize(3, 2))
        await service.ask_node(Unseal(made.shares[0]))
        assert (await service.ask_node(ResetUnseal())).progress == 0
        assert (await service.ask_node(ReadSealStatus())).progress == 0


async def test_unsealing_before_initialisation_is_refused(tmp_path: Path) -> None:
    async with started(tmp_path) as service:
        for message in (Unseal(b"\x01" * 33), ResetUnseal()):
            with pytest.raises(InvalidRequest, match="Vault is not initialized"):
                await service.ask_node(message)


async def test_progress_expires(tmp_path: Path) -> None:
    async with started(tmp_path, configuration(unseal_progress_seconds=0.01)) as service:
        made: Initialization = await service.ask_node(Initialize(3, 2))
        await service.ask_node(Unseal(made.shares[0]))
        await asyncio.sleep(0.02)
        assert (await service.ask_node(ReadSealStatus())).progress == 0
        assert (await service.ask_node(Unseal(made.shares[1]))).sealed


async def test_a_sealed_node_serves_no_tenant_until_unsealed_again(tmp_path: Path) -> None:
    async with started(tmp_path) as service:
        shares = await unseal_node(service)
        await unseal_tenant(service)
        await service.ask_node(Seal())
        assert service.node_sealed
        assert service.active_tenants == 0
        with pytest.raises(Sealed):
            await service.tenant(VAULT)
        await unseal_node(service, shares)
        assert not (await service.tenant(VAULT)).sealed


async def test_after_a_restart_the_node_is_sealed_and_its_shares_unseal_it(tmp_path: Path) -> None:
    async with started(tmp_path) as service:
        shares = await unseal_node(service)
        await unseal_tenant(service)
    async with started(tmp_path) as service:
        status: SealStatus = await service.ask_node(ReadSealStatus())
        assert (status.initialized, status.sealed) == (True, True)
        await unseal_node(service, shares[2:])
        assert not (await service.tenant(VAULT)).sealed


async def test_a_master_key_made_before_is_known_by_its_check_value(tmp_path: Path) -> None:
    key = SecretBytes(os.urandom(32))
    settings = with_check_value(configuration(), key_check_value(key))
    async with started(tmp_path, settings) as service:
        made: Initialization = await service.ask_node(Initialize(5, 3))
        assert made.shares == ()
        with pytest.raises(InvalidShares):
            await unseal_node(service, shamir.split(SecretBytes(os.urandom(32)), 5, 3))
        shares = shamir.split(key, 5, 3)
        await unseal_node(service, shares)
    async with started(tmp_path, settings) as service:
        await unseal_node(service, shares[1:])


async def test_a_start_that_fails_tells_of_no_outage_of_the_store(tmp_path: Path) -> None:
    """What is in its way comes last in the log, and is not lost behind what follows from it."""
    settings = of_a_file(tmp_path)
    (tmp_path / "master.key").chmod(0o644)
    store = await SqliteStore.open(tmp_path / "kms.sqlite")
    await schema.initialise(store)
    with capture_logs() as logs:
        with pytest.raises(SettingError, match="open to others"):
            await NodeService(settings, store).start()
        await store.close()
        await asyncio.sleep(0.2)
    assert logs == []


async def test_events_are_not_taken_from_outside(tmp_path: Path) -> None:
    class Forged(Event, frozen=True):
        pass

    async with started(tmp_path) as service:
        await unseal_node(service)
        tenant = await service.tenant(VAULT)
        for asked in (service.ask_node, tenant.ask):
            with pytest.raises(TypeError):
                await asked(Forged())
