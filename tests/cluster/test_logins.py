"""Of many logins at once on three nodes, as many get in as a secret id allows; guesses lock a role on all of them."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from kms_actors.login.lockout import THRESHOLD
from tests.cluster.elsewhere import everywhere, status
from tests.support.callers import Callers
from tests.support.node_cluster import SIZE
from tests.support.report import Report
from tests.support.tenant import Tenant

LOGIN = "auth/approle/login"
ROLE = "auth/approle/role/app"
#: Of the count of other tests, since each race is some logins.
SHARE = 20


@pytest.fixture
async def root(users: Callers, tenant: Tenant) -> Callers:
    """Return callers who may all in a vault with a mount of logins, which all nodes have heard of."""
    root = users.with_token(tenant.root.token or "")
    assert (await root.post(0, "sys/auth/approle", {"type": "approle"})).status == 204
    assert (await root.post(0, ROLE, {"role_id": "app", "secret_id_num_uses": 2})).status == 204
    await everywhere(lambda node: root.get(node, ROLE), status(200))
    return root


async def test_a_secret_id_is_used_as_often_as_it_allows(root: Callers, count: int, report: Report) -> None:
    races = max(1, count // SHARE)
    for number in range(races):
        secret_id = (await root.post(number % SIZE, f"{ROLE}/secret-id")).data["secret_id"]
        body = {"role_id": "app", "secret_id": secret_id}
        tries = [root.post(node, LOGIN, body) for node in [*range(SIZE)] * 2]
        replies = await asyncio.gather(*tries)
        # What is wrong once it is used up counts as a guess, and locks the role in the end: it is unlocked each time.
        assert Counter(reply.status for reply in replies)[200] == 2, replies
        accessor = (await root.get(0, "sys/auth/approle")).data["accessor"]
        assert (await root.post(0, f"sys/locked-users/{accessor}/unlock/app")).status == 204
    report(f"{races} secret ids of two uses, each used by {2 * SIZE} at once on {SIZE} nodes: used twice")


async def test_guesses_on_all_nodes_lock_a_role_on_all(root: Callers) -> None:
    secret_id = (await root.post(0, f"{ROLE}/secret-id")).data["secret_id"]
    wrong = {"role_id": "app", "secret_id": "wrong"}
    replies = [await root.post(number % SIZE, LOGIN, wrong) for number in range(THRESHOLD)]
    assert {reply.status for reply in replies} == {400}
    for node in range(SIZE):
        for body in (wrong, {"role_id": "app", "secret_id": secret_id}):
            assert (await root.post(node, LOGIN, body)).status == 403
