"""Initialising, unsealing and sealing: one truth for all nodes."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from tests.cluster.elsewhere import everywhere, show, status, warm
from tests.support.api import Answer, Api, initialise, sealed
from tests.support.callers import Callers
from tests.support.node_cluster import SIZE, NodeCluster
from tests.support.report import Report
from tests.support.tenant import Tenant
from tests.support.tokens import new_vault_id

SECRET = "secret/data/creds"
SHARING = {"secret_shares": 5, "secret_threshold": 3}


def assert_one_winner(answers: list[Answer]) -> None:
    """One answer carries shares; the others say why they do not."""
    losers = [answer for answer in answers if answer.status != 200]
    assert len(losers) == len(answers) - 1
    assert [(loser.status, loser.errors) for loser in losers] == [(400, ["Vault is already initialized"])] * len(
        losers
    )


def test_of_nodes_that_initialise_the_cluster_at_once_one_wins(cluster: NodeCluster) -> None:
    assert_one_winner(list(cluster.inits))


def test_of_nodes_that_initialise_a_tenant_at_once_one_wins_and_its_shares_unseal(cluster: NodeCluster) -> None:
    for _ in range(5):
        operators = cluster.callers(cluster.issuer.tenant_operator(new_vault_id()))
        with ThreadPoolExecutor(2 * SIZE) as threads:
            answers = list(threads.map(lambda operator: operator.put("sys/init", SHARING), operators * 2))
        assert_one_winner(answers)
        (won,) = [answer.json for answer in answers if answer.status == 200]
        _give(operators, won["keys_base64"])


async def test_three_shares_given_to_three_nodes_unseal_a_tenant(cluster: NodeCluster, users: Callers) -> None:
    vault_id = new_vault_id()
    operators = cluster.callers(cluster.issuer.tenant_operator(vault_id))
    await asyncio.to_thread(lambda: _give(operators, initialise(operators[0])["keys_base64"]))
    owners = users.with_token(cluster.issuer.tenant(vault_id))
    assert (await owners.post(2, SECRET, {"data": {"a": "b"}})).status == 200, "the node that answered is sealed"
    await everywhere(lambda node: owners.get(node, SECRET), status(200))


def test_a_reset_on_one_node_drops_shares_given_to_others(cluster: NodeCluster) -> None:
    operators = cluster.callers(cluster.issuer.tenant_operator(new_vault_id()))
    shares = initialise(operators[0])["keys_base64"]
    assert operators[0].put("sys/unseal", {"key": shares[0]}).json["progress"] == 1
    assert operators[1].put("sys/unseal", {"reset": True}).json["progress"] == 0
    assert operators[2].put("sys/unseal", {"key": shares[1]}).json["progress"] == 1


async def test_a_tenant_sealed_on_one_node_is_refused_on_all(users: Callers, tenant: Tenant, report: Report) -> None:
    operator = users.with_token(tenant.operator.token or "")
    assert (await users.post(0, SECRET, {"data": {}})).status == 200
    assert (await users.post(0, "transit/keys/orders")).status == 200
    for turn in range(SIZE):
        await warm(users, SECRET)
        assert (await operator.call(turn, "PUT", "sys/seal")).status == 204
        assert (await users.get(turn, SECRET)).status == 503, "the node that answered still serves"
        seconds = await everywhere(lambda node: users.get(node, SECRET), status(503))
        await everywhere(lambda node: users.post(node, "transit/encrypt/orders", {"plaintext": "eA=="}), status(503))
        report(f"sealed on node {turn}, refused on all after {show(seconds)}")
        for given, share in enumerate(tenant.shares[:3]):
            assert (await operator.call(given, "PUT", "sys/unseal", {"key": share})).status == 200
        seconds = await everywhere(lambda node: users.get(node, SECRET), status(200))
        report(f"unsealed by three shares over three nodes, served by all after {show(seconds)}")


async def test_a_seal_on_one_node_is_that_tenants_alone(users: Callers, tenant: Tenant, cluster: NodeCluster) -> None:
    assert (await users.post(0, SECRET, {"data": {}})).status == 200
    await warm(users, SECRET)
    other = await asyncio.to_thread(cluster.make_tenant)
    assert (await users.with_token(other.operator.token or "").call(1, "PUT", "sys/seal")).status == 204
    await warm(users, SECRET)


def _give(operators: list[Api], shares: list[str]) -> None:
    """Give one share to each node; everyone sees the progress, and then the tenant unsealed."""
    for given, (operator, share) in enumerate(zip(operators, shares, strict=False), start=1):
        assert all(sealed(each) for each in operators)
        status = operator.put("sys/unseal", {"key": share}).json
        expected = (False, 0) if given == SIZE else (True, given)
        assert (status["sealed"], status["progress"]) == expected
        if given < SIZE:
            assert [each.get("sys/seal-status").json["progress"] for each in operators] == [given] * SIZE
