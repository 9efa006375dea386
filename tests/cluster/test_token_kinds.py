"""Tokens that tokens make, on three nodes: who ends, who lives, and who is counted."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from kms_actors.auth.build import attenuate
from tests.cluster.elsewhere import everywhere, show, status, warm
from tests.support.callers import Callers
from tests.support.node_cluster import SIZE, NodeCluster
from tests.support.report import Report
from tests.support.tenant import Tenant

SELF = "auth/token/lookup-self"
SECRET = "secret/data/creds"
POLICY = 'path "secret/data/*" { capabilities = ["create", "read", "update"] }'
POLICY += ' path "auth/token/*" { capabilities = ["create", "read", "update"] }'


@pytest.fixture
async def root(users: Callers, tenant: Tenant) -> Callers:
    """Return callers who may all in a vault with a policy."""
    root = users.with_token(tenant.root.token or "")
    assert (await root.post(0, "sys/policies/acl/app", {"policy": POLICY})).status == 204
    return root


async def made(maker: Callers, node: int = 0, path: str = "create", **body: object) -> Callers:
    """Make a token, and return its bearers."""
    answer = await maker.post(node, f"auth/token/{path}", body)
    assert answer.status == 200, answer.json
    return maker.with_token(answer.json["auth"]["client_token"])


@pytest.mark.parametrize("kind", ["service", "batch"])
async def test_who_ends_a_token_on_one_node_ends_its_children_on_all(
    root: Callers, report: Report, kind: str
) -> None:
    parent = await made(root, policies=["app"], ttl="1h")
    child = await made(parent, 1, ttl="1h")
    youngest = await made(child, 2, ttl="1h", type=kind)
    for bearers in (parent, child, youngest):
        await everywhere(partial(bearers.post, path=SECRET, body={"data": {}}), status(200))
        await warm(bearers, SECRET)
    assert (await root.post(1, "auth/token/revoke", {"token": parent.token})).status == 204
    assert (await youngest.get(1, SECRET)).status == 403, "the node that answered still takes it"
    for bearers in (child, youngest):
        seconds = await everywhere(partial(bearers.get, path=SECRET), status(403))
    report(f"a {kind} token's grandparent revoked on node 1, refused on all after {show(seconds)}")


async def test_uses_are_counted_on_all_nodes_together(root: Callers, count: int) -> None:
    for _ in range(max(1, count // 50)):
        bearers = await made(root, policies=["app"], num_uses=3, ttl="1h")
        answers = await asyncio.gather(*(bearers.get(node, SELF) for node in range(SIZE) for _ in range(3)))
        assert sorted(answer.status for answer in answers) == [200] * 3 + [403] * 6
        left = sorted(answer.data["num_uses"] for answer in answers if answer.status == 200)
        assert left == [-1, 1, 2]


async def test_a_child_lives_on_that_is_left_by_its_parent(root: Callers) -> None:
    first = await made(root, policies=["app"], ttl="1h")
    second = await made(first, 1, ttl="1h")
    third = await made(second, 2, ttl="1h")
    for bearers in (first, second, third):
        await warm(bearers, SELF)
    assert (await root.post(0, "auth/token/revoke-orphan", {"token": second.token})).status == 204
    assert (await root.post(1, "auth/token/revoke", {"token": first.token})).status == 204
    await everywhere(lambda node: second.get(node, SELF), status(403))
    answers = [await third.get(node, SELF) for node in range(SIZE)]
    assert [(answer.status, answer.data["orphan"]) for answer in answers] == [(200, True)] * SIZE


class TestOfBiscuits:
    """A token that a biscuit has made does what that does, and no longer."""

    async def test_ends_with_the_biscuit_on_all_nodes(self, users: Callers, report: Report) -> None:
        child = await made(users, ttl="1h")
        grandchild = await made(child, 1, ttl="1h")
        await everywhere(lambda node: grandchild.post(node, SECRET, {"data": {}}), status(200))
        await warm(grandchild, SECRET)
        assert (await users.post(1, "auth/token/revoke-self")).status == 204
        assert (await grandchild.get(1, SECRET)).status == 403
        seconds = await everywhere(lambda node: grandchild.get(node, SECRET), status(403))
        report(f"a biscuit revoked on node 1, its grandchild refused on all after {show(seconds)}")

    async def test_is_narrowed_as_it_is(self, users: Callers, cluster: NodeCluster, tenant: Tenant) -> None:
        biscuit = attenuate(users.token, now=0, paths=["secret/data/a/*", "auth/token/create"])
        child = await made(users.with_token(biscuit))
        everything = await made(users.with_token(biscuit), policies=["anything"])
        operator = users.with_token(cluster.issuer.tenant_operator(tenant.vault_id))
        rules = 'path "*" { capabilities = ["create", "read", "update", "delete", "list", "sudo"] }'
        assert (await operator.post(0, "sys/policies/acl/anything", {"policy": rules})).status == 204
        for bearers in (child, everything):
            await everywhere(partial(bearers.post, path="secret/data/a/b", body={"data": {}}), status(200))
            for node in range(SIZE):
                assert (await bearers.get(node, "secret/data/b")).status == 403
                assert (await bearers.get(node, "sys/policies/acl/anything")).status == 403
                assert (await bearers.post(node, "auth/token/create-orphan")).status == 403
        assert (await child.post(0, "auth/token/create", {"policies": ["root"]})).status == 400

    async def test_dies_with_the_biscuits_end(self, users: Callers, cluster: NodeCluster, tenant: Tenant) -> None:
        short = users.with_token(cluster.issuer.tenant(tenant.vault_id, ttl=3))
        child = await made(short, ttl="1h")
        data = (await child.get(1, SELF)).data
        assert (data["type"], data["orphan"], data["policies"]) == ("service", False, ["default"])
        assert 0 < data["ttl"] <= 3
        assert (await child.post(1, "auth/token/renew-self", {"increment": "1h"})).json["auth"]["lease_duration"] <= 3
        await asyncio.sleep(3)
        assert {(await child.get(node, SELF)).status for node in range(SIZE)} == {403}


async def test_a_batch_token_is_good_on_all_nodes_and_narrowed_without_one(root: Callers) -> None:
    bearers = await made(root, policies=["app"], type="batch", ttl="1h")
    assert bearers.token.startswith("hvb.")
    await warm(bearers, SELF)
    narrowed = bearers.with_token(attenuate(bearers.token, now=0, paths=["secret/data/a"]))
    for node in range(SIZE):
        assert (await narrowed.post(node, "secret/data/a", {"data": {}})).status == 200
        assert (await narrowed.get(node, "secret/data/b")).status == 403
        assert (await bearers.get(node, "secret/data/b")).status == 404
    data = (await narrowed.get(0, SELF)).data
    assert (data["type"], data["accessor"], data["renewable"], data["orphan"]) == ("batch", "", False, False)
    for path, text in (
        ("auth/token/create", "batch tokens cannot create more tokens"),
        ("auth/token/renew-self", "batch tokens cannot be renewed"),
        ("auth/token/revoke-self", "batch tokens cannot be revoked"),
    ):
        answer = await bearers.post(0, path)
        assert (answer.status, answer.json["errors"]) == (400, [text])
    answer = await root.post(0, "auth/token/lookup", {"token": bearers.token})
    assert (answer.status, answer.data["type"]) == (200, "batch")
    for token in (bearers.token[:-4] + "AAAA", "hvb.00zzzz" + bearers.token[10:], "hvb.000001"):
        assert (await bearers.with_token(token).get(0, SELF)).status == 403
