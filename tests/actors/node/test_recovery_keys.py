"""Recovery keys: changed by a quorum of those before, or made where there are none."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from kms_actors.actors.node.service import NodeService
from kms_actors.auth.principal import Right
from kms_actors.auth.service_token import proof_digest
from kms_actors.ceremony.messages import (
    BeginRekey,
    BeginRootGeneration,
    CancelRekey,
    GiveRekeyShare,
    GiveRootShare,
    ReadRekey,
    ReadRootGeneration,
    RekeyStatus,
    RootStatus,
    VerifyRekeyShare,
)
from kms_actors.ceremony.root import decode_token
from kms_actors.errors import InvalidRequest, InvalidShares
from kms_actors.keyring import shamir
from kms_actors.messages import AuthenticateToken, Seal
from kms_actors.secret import SecretBytes
from tests.actors.kept_seals import Hosts, give, hosts, initialised
from tests.actors.node_service import OTHER, unseal_tenant

__all__ = ["hosts"]


async def rekeyed(service: NodeService, old: tuple[bytes, ...], **more: Any) -> RekeyStatus:
    """Change the recovery shares by a quorum of those before; return the last answer."""
    found: RekeyStatus = await service.ask_node(BeginRekey(3, 2, recovery=True, **more))
    for share in old:
        found = await service.ask_node(GiveRekeyShare(share, found.nonce, recovery=True))
    return found


async def test_a_quorum_of_recovery_shares_gives_others(hosts: Hosts) -> None:
    made = await initialised(hosts)
    first, second = await hosts.start("transit"), await hosts.start("transit")
    assert await first.ask_node(ReadRekey(recovery=True)) == RekeyStatus(2)
    done = await rekeyed(first, made.shares[:2])
    assert (done.complete, len(done.keys)) == (True, 3)
    await second.catch_up()
    for service in (first, second):
        await service.ask_node(Seal())
        with pytest.raises(InvalidShares):
            await give(service, made.shares[:2])
        assert not (await give(service, done.keys[1:])).sealed
    await hosts.stop_all()
    assert not (await hosts.start("transit")).node_sealed  # which asks for no shares


async def test_shares_are_given_to_any_node_and_any_node_gives_up(hosts: Hosts) -> None:
    made = await initialised(hosts)
    first, second = await hosts.start("transit"), await hosts.start("transit")
    begun: RekeyStatus = await first.ask_node(BeginRekey(3, 2, recovery=True))
    once: RekeyStatus = await second.ask_node(GiveRekeyShare(made.shares[0], begun.nonce, recovery=True))
    assert (once.progress, once.required) == (1, 2)
    assert await first.ask_node(ReadRekey(recovery=True)) == once
    with pytest.raises(InvalidRequest, match="incorrect nonce supplied"):
        await first.ask_node(GiveRekeyShare(made.shares[1], "another", recovery=True))
    assert await first.ask_node(CancelRekey(recovery=True)) is True
    with pytest.raises(InvalidRequest, match="no barrier rekey in progress"):
        await second.ask_node(GiveRekeyShare(made.shares[1], begun.nonce, recovery=True))
    await second.ask_node(Seal())
    assert not (await give(second, made.shares[:2])).sealed  # those that there were go on
    begun = await second.ask_node(BeginRekey(3, 2, recovery=True))
    await first.ask_node(GiveRekeyShare(made.shares[0], begun.nonce, recovery=True))
    done: RekeyStatus = await second.ask_node(GiveRekeyShare(made.shares[2], begun.nonce, recovery=True))
    assert done.complete


async def test_a_quorum_that_is_wrong_makes_nothing_and_can_be_given_again(hosts: Hosts) -> None:
    made = await initialised(hosts)
    service = await hosts.start("transit")
    begun: RekeyStatus = await service.ask_node(BeginRekey(3, 2, recovery=True))
    foreign = shamir.split(SecretBytes(bytes(32)), 3, 2)
    await service.ask_node(GiveRekeyShare(made.shares[0], begun.nonce, recovery=True))
    with pytest.raises(InvalidShares):
        await service.ask_node(GiveRekeyShare(foreign[1], begun.nonce, recovery=True))
    assert (await service.ask_node(ReadRekey(recovery=True))).progress == 0
    for share in made.shares[1:]:
        done: RekeyStatus = await service.ask_node(GiveRekeyShare(share, begun.nonce, recovery=True))
    assert done.complete


async def test_two_nodes_that_are_given_the_last_share_at_once_make_one_set(hosts: Hosts) -> None:
    made = await initialised(hosts)
    nodes = [await hosts.start("transit") for _ in range(2)]
    begun: RekeyStatus = await nodes[0].ask_node(BeginRekey(3, 2, recovery=True))
    await nodes[0].ask_node(GiveRekeyShare(made.shares[0], begun.nonce, recovery=True))
    answers = await asyncio.gather(
        *(
            node.ask_node(GiveRekeyShare(share, begun.nonce, recovery=True))
            for node, share in zip(nodes, made.shares[1:], strict=True)
        ),
        return_exceptions=True,
    )
    (keys,) = (each.keys for each in answers if isinstance(each, RekeyStatus) and each.complete)
    await nodes[1].ask_node(Seal())
    assert not (await give(nodes[1], keys[1:])).sealed


@pytest.mark.parametrize("after", ["shamir", "pkcs11"])
async def test_the_master_key_changes_hands_by_the_new_shares_alone(hosts: Hosts, after: str) -> None:
    made = await initialised(hosts)
    done = await rekeyed(await hosts.start("transit"), made.shares[:2])
    await hosts.stop_all()
    moved = await hosts.start(after, migrate_from="transit")
    with pytest.raises(InvalidShares):
        await give(moved, made.shares[:2], migrate=True)
    assert not (await give(moved, done.keys[:2], migrate=True)).sealed
    await hosts.stop_all()
    again = await hosts.start(after)
    if after == "shamir":  # what was recovery shares opens the cluster now, and comes to be recovery shares again
        assert not (await give(again, done.keys[1:])).sealed
        await hosts.stop_all()
        back = await hosts.start("transit", migrate_from="shamir")
        assert not (await give(back, done.keys[:2], migrate=True)).sealed
        await hosts.stop_all()
        again = await hosts.start("transit")
    assert not again.node_sealed
    assert (await rekeyed(again, done.keys[1:])).complete


async def test_a_root_token_is_of_a_vault_by_its_own_shares_and_no_recovery_shares_make_one(hosts: Hosts) -> None:
    made = await initialised(hosts, shares=5, threshold=3)
    service = await hosts.start("transit")
    for message in (BeginRootGeneration(), ReadRootGeneration(), GiveRootShare(made.shares[0], "")):
        with pytest.raises(InvalidRequest, match="a cluster has no root token"):
            await service.ask_node(message)
    tenant, own = await unseal_tenant(service, OTHER)
    begun: RootStatus = await tenant.ask(BeginRootGeneration())
    assert begun.required == 3
    for number, share in enumerate(made.shares[:3], start=1):
        given = tenant.ask(GiveRootShare(share, begun.nonce))
        if number < 3:
            await given
        else:
            with pytest.raises(InvalidShares):
                await given
    for share in own.shares[:3]:
        done: RootStatus = await tenant.ask(GiveRootShare(share, begun.nonce))
    token = decode_token(done.encoded_token, begun.otp)
    found = await tenant.ask(AuthenticateToken(token, digest=proof_digest(token)))
    assert (found.right, found.resource) == (Right.ROOT, OTHER)


async def test_new_recovery_shares_may_have_to_be_given_back_before_they_count(hosts: Hosts) -> None:
    made = await initialised(hosts)
    service = await hosts.start("transit")
    done = await rekeyed(service, made.shares[:2], require_verification=True)
    nonce = done.verification_nonce
    seal, _ = await service._records.read()
    for share in done.keys[:2]:
        verified = await service.ask_node(VerifyRekeyShare(share, nonce, recovery=True))
    after, _ = await service._records.read()
    assert verified.complete
    assert seal != after
    await service.ask_node(Seal())
    assert not (await give(service, done.keys[:2])).sealed


async def test_a_cluster_without_recovery_keys_gets_some_at_once_by_the_newer_name(hosts: Hosts) -> None:
    await initialised(hosts, shares=0, threshold=0)
    service = await hosts.start("transit")
    assert await service.ask_node(ReadRekey(recovery=True)) == RekeyStatus(0)
    with pytest.raises(InvalidRequest, match="`sys/rotate/recovery/init` makes some"):
        await service.ask_node(BeginRekey(3, 2, recovery=True))
    done: RekeyStatus = await service.ask_node(BeginRekey(3, 2, newer=True, recovery=True))
    assert (done.complete, len(done.keys)) == (True, 3)
    again: RekeyStatus = await service.ask_node(BeginRekey(3, 2, newer=True, recovery=True))
    assert (again.complete, again.required) == (False, 2)  # from now on a quorum is needed
    await hosts.stop_all()
    moved = await hosts.start("shamir", migrate_from="transit")
    assert not (await give(moved, done.keys[:2], migrate=True)).sealed


async def test_two_nodes_that_make_the_first_recovery_keys_at_once_make_one_set(hosts: Hosts) -> None:
    await initialised(hosts, shares=0, threshold=0)
    nodes = [await hosts.start("transit") for _ in range(2)]
    made = await asyncio.gather(*(node.ask_node(BeginRekey(3, 2, newer=True, recovery=True)) for node in nodes))
    (keys,) = (status.keys for status in made if status.complete)
    await nodes[0].ask_node(Seal())
    assert not (await give(nodes[0], keys[:2])).sealed


async def test_a_rekey_of_recovery_ends_when_the_master_key_changes_hands(hosts: Hosts) -> None:
    made = await initialised(hosts)
    old = await hosts.start("transit")
    begun: RekeyStatus = await old.ask_node(BeginRekey(3, 2, recovery=True))
    await old.ask_node(GiveRekeyShare(made.shares[0], begun.nonce, recovery=True))
    moved = await hosts.start("pkcs11", migrate_from="transit")
    await give(moved, made.shares[:2], migrate=True)
    with pytest.raises(InvalidRequest, match="no barrier rekey in progress"):
        await old.ask_node(GiveRekeyShare(made.shares[1], begun.nonce, recovery=True))


async def test_who_keeps_the_key_in_shares_has_no_recovery_keys(hosts: Hosts) -> None:
    made = await initialised(hosts, "shamir")
    service = await hosts.start("shamir")
    await give(service, made.shares[:2])
    for message in (ReadRekey(recovery=True), BeginRekey(3, 2, newer=True, recovery=True)):
        with pytest.raises(InvalidRequest, match="there are no recovery keys here"):
            await service.ask_node(message)
    assert await service.ask_node(CancelRekey(recovery=True)) is False


async def test_a_provider_has_no_shares_of_the_master_key_to_change(hosts: Hosts) -> None:
    await initialised(hosts)
    service = await hosts.start("transit")
    with pytest.raises(InvalidRequest, match="the master key is in no shares"):
        await service.ask_node(BeginRekey(3, 2))
