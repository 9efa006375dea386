"""A master key that a provider keeps: nodes that unseal themselves, outages, and a key that changes hands."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from kms_actors.actors.node import link
from kms_actors.actors.node.actor import NodeActor
from kms_actors.ceremony.messages import (
    RotateKeyring,
)
from kms_actors.check.walk import check
from kms_actors.cli.private_file import create_private
from kms_actors.errors import IntegrityError, InvalidRequest, InvalidShares, SealUnavailable
from kms_actors.keyring.keyring import unwrap
from kms_actors.keyring.shamir import combine
from kms_actors.messages import Initialization, Initialize, Message, ResetUnseal, Seal, SealStatus, Unseal
from kms_actors.secret import SecretBytes
from kms_actors.store import keyspace
from tests.actors.kept_seals import Hosts, give, hosts, initialised, status, until
from tests.actors.node_service import VAULT, unseal_tenant
from tests.store.access import clear
from tests.support.vaults import opened

__all__ = ["hosts"]


async def test_a_node_is_unsealed_by_its_initialisation_and_by_its_next_start(hosts: Hosts) -> None:
    service = await hosts.start("transit")
    assert await status(service) == SealStatus(False, True, type="transit", recovery_seal=True)
    made: Initialization = await service.ask_node(Initialize(recovery_shares=3, recovery_threshold=2))
    assert (made.recovery, len(made.shares), made.root_token) == (True, 3, "")
    unsealed = SealStatus(True, False, threshold=2, shares=3, type="transit", recovery_seal=True)
    assert await status(service) == unsealed
    await unseal_tenant(service)
    await hosts.stop_all()
    again = await hosts.start("transit")
    assert await status(again) == unsealed
    assert not (await again.tenant(VAULT)).sealed


async def test_other_nodes_unseal_themselves_once_one_has_initialised(hosts: Hosts) -> None:
    first, second = await hosts.start("transit"), await hosts.start("transit")
    await first.ask_node(Initialize(recovery_shares=1, recovery_threshold=1))
    await until(lambda: not second.node_sealed)


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (Initialize(5, 3), "parameters secret_shares,secret_threshold not applicable to seal type transit"),
        (Initialize(pgp_keys=("x",)), "parameters pgp_keys not applicable to seal type transit"),
        (Initialize(recovery_shares=1), "invalid seal configuration: threshold must be at least one"),
        (Initialize(recovery_threshold=1), "invalid seal configuration: shares must be at least one"),
    ],
)
async def test_an_initialisation_names_what_is_wrong(hosts: Hosts, message: Initialize, text: str) -> None:
    service = await hosts.start("transit")
    with pytest.raises(InvalidRequest) as caught:
        await service.ask_node(message)
    assert str(caught.value) == text
    assert not (await status(service)).initialized


async def test_nothing_is_made_while_the_provider_is_away_or_refuses(hosts: Hosts) -> None:
    keeper, service = hosts.keepers["transit"], await hosts.start("transit")
    for name in ("away", "refuses"):
        setattr(keeper, name, True)
        with pytest.raises(SealUnavailable):
            await service.ask_node(Initialize(recovery_shares=1, recovery_threshold=1))
        setattr(keeper, name, False)
    assert not (await status(service)).initialized
    await service.ask_node(Initialize())
    assert await status(service) == SealStatus(True, False, type="transit", recovery_seal=True)


async def test_a_start_during_an_outage_serves_sealed_and_unseals_itself_after_it(hosts: Hosts) -> None:
    await initialised(hosts)
    keeper = hosts.keepers["transit"]
    keeper.away = True
    with capture_logs() as logs:
        service = await hosts.start("transit")
        found = await status(service)
        assert (found.sealed, found.initialized, found.type) == (True, True, "transit")
        asked = keeper.asked
        await until(lambda: keeper.asked > asked + 2)
        keeper.away = False
        # The node serves a moment before the attempt that unsealed it has ended and is told of.
        await until(lambda: any(entry["event"] == "unsealed" for entry in logs))
        assert not service.node_sealed
    told = [entry for entry in logs if entry["event"] == "not unsealed; this is tried again"]
    assert [entry["reason"] for entry in told] == ["away"]  # once, however often it is tried
    assert [entry["by"] for entry in logs if entry["event"] == "unsealed"] == ["transit"]


async def test_a_provider_that_hangs_keeps_no_start_waiting(hosts: Hosts, monkeypatch: pytest.MonkeyPatch) -> None:
    await initialised(hosts)
    keeper = hosts.keepers["transit"]
    monkeypatch.setattr(link, "_FIRST_SECONDS", 0.05)
    keeper.waiting = asyncio.Event()
    service = await hosts.start("transit")
    assert (await status(service)).sealed
    keeper.waiting.set()
    await until(lambda: not service.node_sealed)


async def test_an_outage_of_the_provider_does_nothing_to_a_node_that_is_unsealed(hosts: Hosts) -> None:
    await initialised(hosts)
    service = await hosts.start("transit")
    hosts.keepers["transit"].away = True
    await asyncio.sleep(0.1)
    assert not (await service.tenant(VAULT)).sealed


async def test_what_an_operator_has_sealed_stays_so_until_a_quorum_or_a_start(hosts: Hosts) -> None:
    made = await initialised(hosts)
    service = await hosts.start("transit")
    await service.ask_node(Seal())
    asked = hosts.keepers["transit"].asked
    await asyncio.sleep(0.2)
    assert (service.node_sealed, hosts.keepers["transit"].asked) == (True, asked)
    first = await give(service, made.shares[:1])
    assert (first.sealed, first.progress, first.type, first.recovery_seal) == (True, 1, "transit", True)
    assert (await service.ask_node(ResetUnseal())).progress == 0
    assert not (await give(service, made.shares[:2])).sealed
    await service.ask_node(Seal())
    await hosts.stop_all()
    assert not (await hosts.start("transit")).node_sealed


async def test_a_seal_while_the_provider_is_being_asked_wins(hosts: Hosts, monkeypatch: pytest.MonkeyPatch) -> None:
    await initialised(hosts)
    keeper = hosts.keepers["transit"]
    monkeypatch.setattr(link, "_FIRST_SECONDS", 0.05)
    keeper.waiting = asyncio.Event()
    service = await hosts.start("transit")
    await service.ask_node(Seal())
    keeper.waiting.set()
    await asyncio.sleep(0.2)
    assert service.node_sealed


async def test_a_seal_while_a_quorum_waits_for_the_provider_wins(hosts: Hosts) -> None:
    made = await initialised(hosts)
    service, keeper = await hosts.start("transit"), hosts.keepers["transit"]
    await service.ask_node(Seal())
    keeper.waiting = asyncio.Event()
    asked = keeper.asked
    unsealing = asyncio.create_task(give(service, made.shares[:2]))
    await until(lambda: keeper.asked > asked)
    await service.ask_node(Seal())
    keeper.waiting.set()
    assert (await unsealing).sealed
    assert service.node_sealed
    keeper.waiting = None
    assert not (await give(service, made.shares[:2])).sealed


async def test_a_seal_while_a_cluster_is_being_made_wins(hosts: Hosts) -> None:
    service, keeper = await hosts.start("transit"), hosts.keepers["transit"]
    keeper.waiting = asyncio.Event()
    making = asyncio.create_task(service.ask_node(Initialize(recovery_shares=3, recovery_threshold=2)))
    await until(lambda: keeper.asked > 0)
    await service.ask_node(Seal())
    keeper.waiting.set()
    made = await making
    assert service.node_sealed
    assert not (await give(service, made.shares[:2])).sealed


async def test_a_seal_right_behind_the_last_share_wins(hosts: Hosts, monkeypatch: pytest.MonkeyPatch) -> None:
    made = await initialised(hosts)
    service = await hosts.start("transit")
    await service.ask_node(Seal())
    given = NodeActor._ask_self

    async def and_sealed(actor: NodeActor, message: Message) -> Any:
        outcome = await given(actor, message)
        if isinstance(outcome, SecretBytes):
            await given(actor, Seal())
        return outcome

    monkeypatch.setattr(NodeActor, "_ask_self", and_sealed)
    assert (await give(service, made.shares[:2])).sealed
    assert service.node_sealed
    monkeypatch.undo()
    assert not (await give(service, made.shares[:2])).sealed


async def test_a_node_that_has_sealed_itself_unseals_itself_again(hosts: Hosts) -> None:
    """It was away while the master keyring was rotated, and what led on from its own is gone."""
    await initialised(hosts)
    first, second = await hosts.start("transit"), await hosts.start("transit")
    await second._feed.stop()
    await first.ask_node(RotateKeyring())
    await clear(hosts.store, keyspace.node("kms-test", "upgrade", 1))
    keeper = hosts.keepers["transit"]
    keeper.away = True
    with capture_logs() as logs:
        await second._renew_master()
        assert second.node_sealed
        await until(lambda: any(entry["event"].startswith("not unsealed") for entry in logs))
        keeper.away = False
        await until(lambda: not second.node_sealed)
    assert any("seals itself" in entry["event"] for entry in logs)


async def test_recovery_shares_open_nothing_without_the_provider(hosts: Hosts) -> None:
    made = await initialised(hosts)
    hosts.keepers["transit"].away = True
    service = await hosts.start("transit")
    with pytest.raises(SealUnavailable):
        await give(service, made.shares[:2])
    with pytest.raises(InvalidShares):
        await give(service, (made.shares[0], b"\x07" * 33))
    assert service.node_sealed


async def test_a_rotated_key_of_the_provider_wraps_anew_at_the_next_start(hosts: Hosts) -> None:
    await initialised(hosts)
    keeper = hosts.keepers["transit"]
    keeper.version = 2
    before = set(keeper._kept)
    with capture_logs() as logs:
        await hosts.start("transit")
    assert [entry["key_id"] for entry in logs if "newer key" in entry["event"]] == ["transit:v2"]
    await hosts.stop_all()
    for blob in before:  # the provider forgets what its old version has wrapped
        del keeper._kept[blob]
    assert not (await hosts.start("transit")).node_sealed


async def test_a_rotation_of_the_keyring_has_the_newest_key_wrap_the_master_key(hosts: Hosts) -> None:
    await initialised(hosts)
    service, keeper = await hosts.start("transit"), hosts.keepers["transit"]
    keeper.version = 2
    await service.ask_node(RotateKeyring())

    async with asyncio.timeout(20):
        while (await service._records.read())[0].key_id != "transit:v2":  # type: ignore[union-attr]  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    keeper.away = True
    assert (await service.ask_node(RotateKeyring())).term == 3  # which needs no provider
    keeper.away = False
    await hosts.stop_all()
    assert not (await hosts.start("transit")).node_sealed


async def test_a_newer_key_that_wraps_and_does_not_unwrap_replaces_nothing(hosts: Hosts) -> None:
    """The master key would be under a key that never gives it back: no node could be started again."""
    await initialised(hosts)
    keeper = hosts.keepers["transit"]
    keeper.version, keeper.forgets = 2, True
    with capture_logs() as logs:
        service = await hosts.start("transit")
    assert not service.node_sealed
    (told,) = (entry for entry in logs if "cannot be wrapped by the newest key" in entry["event"])
    assert told["reason"] == "this key may not decrypt"
    asked = keeper.asked
    await service.ask_node(RotateKeyring())
    await until(lambda: keeper.asked == asked + 2)  # to wrap, and to unwrap that
    await hosts.stop_all()
    assert not (await hosts.start("transit")).node_sealed


async def test_a_node_with_another_seal_than_the_cluster_stays_sealed_and_says_why(hosts: Hosts) -> None:
    made = await initialised(hosts, "shamir")
    with capture_logs() as logs:
        service = await hosts.start("transit")
    (told,) = (entry for entry in logs if entry["event"] == "this node stays sealed")
    assert "kept by `shamir`, and this node is configured for `transit`" in told["reason"]
    with pytest.raises(InvalidRequest, match="migrate_from"):
        await give(service, made.shares[:1])
    found = await status(service)
    assert (found.type, found.migration, found.sealed) == ("shamir", False, True)


MOVES = [("shamir", "transit"), ("transit", "shamir"), ("transit", "pkcs11"), ("shamir", "static")]


def of_files(directory: Path) -> dict[str, str]:
    path = directory / "static.key"
    if not path.exists():
        create_private(path, "7c" * 32)
    return {"key_file": str(path)}


@pytest.mark.parametrize(("before", "after"), MOVES)
async def test_a_quorum_has_the_master_key_change_hands(
    hosts: Hosts, tmp_path: Path, before: str, after: str
) -> None:
    made = await initialised(hosts, before)
    service = await hosts.start(after, migrate_from=before, **of_files(tmp_path))
    found = await status(service)
    assert (found.sealed, found.migration, found.type, found.threshold) == (True, True, before, 2)
    with pytest.raises(InvalidRequest, match="migrate option not provided and seal migration is pending"):
        await give(service, made.shares[:1])
    assert (await give(service, made.shares[:1], migrate=True)).migration
    done = await give(service, made.shares[1:2], migrate=True)
    assert done == SealStatus(True, False, threshold=2, shares=3, type=after, recovery_seal=after != "shamir")
    assert not (await service.tenant(VAULT)).sealed
    await hosts.stop_all()

    again = await hosts.start(after, **of_files(tmp_path))
    if after == "shamir":
        assert (await status(again)).sealed
        await give(again, made.shares[1:])
    assert not (await again.tenant(VAULT)).sealed
    await hosts.stop_all()
    async with opened(tmp_path) as store:
        report = await check(store, None, lambda *_: None)
    assert not report.findings

    late = await hosts.start(before)
    assert late.node_sealed
    with pytest.raises(InvalidRequest, match="migrate_from"):
        await give(late, made.shares[:2])


async def test_shares_that_were_the_master_keys_open_nothing_once_a_provider_keeps_it(hosts: Hosts) -> None:
    """They allow, together with the provider; a node of `shamir` that has not heard of it opens nothing by them."""
    made = await initialised(hosts, "shamir")
    service = await hosts.start("transit", migrate_from="shamir")
    await give(service, made.shares[:2], migrate=True)
    _, wrapped = await service._records.read()
    assert wrapped is not None
    with pytest.raises(IntegrityError):
        unwrap(combine(made.shares[:2]), keyspace.node("kms-test", "keyring"), wrapped)


async def test_two_nodes_that_migrate_at_once_end_with_one_seal(hosts: Hosts) -> None:
    made = await initialised(hosts, "shamir")
    nodes = [await hosts.start("transit", migrate_from="shamir") for _ in range(2)]
    for node in nodes:
        await give(node, made.shares[:1], migrate=True)
    outcomes = await asyncio.gather(*(node.ask_node(Unseal(made.shares[1], migrate=True)) for node in nodes))
    assert [outcome.sealed for outcome in outcomes] == [False, False]
    await hosts.stop_all()
    assert not (await hosts.start("transit")).node_sealed


async def test_two_nodes_that_migrate_to_different_places_cannot_disagree(hosts: Hosts) -> None:
    made = await initialised(hosts, "shamir")
    names = ("transit", "pkcs11")
    nodes = [await hosts.start(name, migrate_from="shamir") for name in names]
    for node in nodes:
        await give(node, made.shares[:1], migrate=True)
    outcomes = await asyncio.gather(
        *(node.ask_node(Unseal(made.shares[1], migrate=True)) for node in nodes), return_exceptions=True
    )
    won = [name for name, outcome in zip(names, outcomes, strict=True) if isinstance(outcome, SealStatus)]
    (lost,) = (outcome for outcome in outcomes if not isinstance(outcome, SealStatus))
    assert isinstance(lost, InvalidRequest)
    await hosts.stop_all()
    assert not (await hosts.start(won[0])).node_sealed
    (other,) = set(names) - set(won)
    assert (await hosts.start(other)).node_sealed


@pytest.mark.parametrize("before", ["shamir", "transit"])
async def test_a_migration_that_a_provider_breaks_off_leaves_all_as_it_was(hosts: Hosts, before: str) -> None:
    made = await initialised(hosts, before)
    service = await hosts.start("pkcs11", migrate_from=before)
    keeper = hosts.keepers["pkcs11"]
    keeper.away = True
    with pytest.raises(SealUnavailable):
        await give(service, made.shares[:2], migrate=True)
    found = await status(service)
    assert (found.migration, found.type, found.progress) == (True, before, 0)
    await hosts.stop_all()
    again = await hosts.start(before)
    if before == "shamir":
        await give(again, made.shares[:2])
    assert not again.node_sealed


async def test_nodes_that_run_by_the_old_seal_go_on_through_a_migration(hosts: Hosts) -> None:
    made = await initialised(hosts, "shamir")
    old = await hosts.start("shamir")
    await give(old, made.shares[:2])
    new = await hosts.start("transit", migrate_from="shamir")
    await give(new, made.shares[:2], migrate=True)
    await old.catch_up()
    assert not (await old.tenant(VAULT)).sealed
    assert (await status(old)).type == "transit"  # it has heard of it


async def test_a_cluster_of_an_older_program_opens_by_the_master_key_in_its_file(
    hosts: Hosts, tmp_path: Path
) -> None:
    """And goes on from there like one whose key is in one share."""
    service = await hosts.start("shamir")
    made: Initialization = await service.ask_node(Initialize(1, 1))
    await give(service, made.shares)
    await hosts.stop_all()
    path = tmp_path / "old.key"
    create_private(path, made.shares[0][1:].hex())
    again = await hosts.start("static", key_file=str(path))
    assert await status(again) == SealStatus(True, False, type="static", recovery_seal=True)
    await hosts.stop_all()
    moved = await hosts.start("transit", migrate_from="shamir")
    assert not (await give(moved, made.shares, migrate=True)).sealed


async def test_a_cluster_without_recovery_keys_says_how_to_get_some(hosts: Hosts) -> None:
    await initialised(hosts, shares=0, threshold=0)
    service = await hosts.start("shamir", migrate_from="transit")
    with pytest.raises(InvalidRequest, match="no recovery keys; while it is unsealed, `sys/rotate/recovery/init`"):
        await give(service, (b"\x01" * 33,), migrate=True)
