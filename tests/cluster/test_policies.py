"""A policy that is changed on one node: no write commits by the old one since, and reads follow within the lease."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

import pytest
import pytest_asyncio

from tests.cluster import trees
from tests.cluster.elsewhere import everywhere, show, status
from tests.cluster.logins import enable_approle
from tests.support.callers import Callers
from tests.support.node_cluster import SIZE, NodeCluster
from tests.support.report import Report
from tests.support.tenant import Tenant

READER = 'path "secret/*" { capabilities = ["read"] }'
NOTHING = 'path "secret/*" { capabilities = ["deny"] }'
WRITERS = 2


@pytest_asyncio.fixture
async def admins(users: Callers, tenant: Tenant) -> Callers:
    return users.with_token(tenant.root.token or "")


@pytest.fixture
def bearer(
    admins: Callers, tenant: Tenant, cluster: NodeCluster, request: pytest.FixtureRequest
) -> Callable[[str], Awaitable[Callers]]:
    """Makes who bears a token with one policy: a biscuit, a token, or one of a login."""

    async def make(policy: str) -> Callers:
        if request.param == "biscuit":
            return admins.with_token(cluster.issuer.tenant(tenant.vault_id, policies=[policy]))
        if request.param == "token":
            return admins.with_token(await trees.make(admins, policies=[policy]))
        logins = await enable_approle(admins, tenant.vault_id)
        await logins.role("app", token_policies=policy)
        return admins.with_token(await logins.token("app"))

    return make


@pytest.mark.parametrize("bearer", ["biscuit", "token", "login"], indirect=True)
async def test_no_write_commits_by_a_policy_that_another_node_has_changed(
    admins: Callers, bearer: Callable[[str], Awaitable[Callers]], report: Report
) -> None:
    """Writers on all nodes see the policy go while they write: not one that began after the answer is taken."""
    await trees.write_policy(admins, "app", trees.WRITER)
    bearers, slowest = await bearer("app"), 0.0
    for node in range(SIZE):
        await trees.write_policy(admins, "app", trees.WRITER, node)
        slowest = max(slowest, await _changed_under_writers(admins, bearers, node))
    report(f"policy changed on each node: no write by the old one since, no read after {show([slowest])}")


async def _changed_under_writers(admins: Callers, bearers: Callers, node: int) -> float:
    """Take away writing, and then all, on one node; return after how many seconds no node reads."""
    await everywhere(lambda node: trees.write(bearers, node), status(200))
    changed, late = False, Counter[int]()

    async def writes(node: int) -> None:
        while True:
            began_late = changed
            reply = await trees.write(bearers, node)
            late[reply.status] += began_late
            if began_late and reply.status == 403:
                return

    writing = [asyncio.create_task(writes(node)) for node in [*range(SIZE)] * WRITERS]
    await asyncio.sleep(0.05)
    await trees.write_policy(admins, "app", READER, node)
    changed = True
    await asyncio.gather(*writing)
    assert late[200] == 0, "a write was taken by a policy that was no more"
    assert late[403] == len(writing)
    assert (await bearers.get(node, trees.SECRET)).status == 200
    await trees.write_policy(admins, "app", NOTHING, node)
    assert (await bearers.get(node, trees.SECRET)).status == 403, "the node that answered still gives it"
    return max(await everywhere(lambda node: bearers.get(node, trees.SECRET), status(403)))


async def test_a_policy_that_is_given_shows_on_all_nodes_and_one_that_is_deleted_gives_nothing(
    admins: Callers, report: Report
) -> None:
    bearers = admins.with_token(await trees.make(admins, policies=["later"]))
    for node in range(SIZE):
        assert (await trees.write(bearers, node)).status == 403
    await trees.write_policy(admins, "later", trees.WRITER, 1)
    given = await everywhere(lambda node: trees.write(bearers, node), status(200))
    assert (await admins.call(2, "DELETE", "sys/policies/acl/later")).status == 204
    tried = await asyncio.gather(*(trees.write(bearers, node) for node in [*range(SIZE)] * 4))
    assert {reply.status for reply in tried} <= {403, 503}
    gone = await everywhere(lambda node: bearers.get(node, trees.SECRET), status(403))
    report(
        f"policy given on node 1, seen after {show(given)}; "
        f"deleted on node 2, no write since, not seen after {show(gone)}"
    )
