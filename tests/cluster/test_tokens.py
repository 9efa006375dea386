"""A token revoked on one node is refused on all; one made on a node is good on all."""

from __future__ import annotations

import pytest

from tests.cluster.elsewhere import everywhere, show, status, warm
from tests.support.callers import Callers
from tests.support.node_cluster import NodeCluster
from tests.support.report import Report
from tests.support.tenant import Tenant

SELF = "auth/token/lookup-self"
SECRET = "secret/data/creds"


@pytest.mark.parametrize("kind", ["biscuit", "root token"])
async def test_a_token_revoked_on_one_node_is_refused_on_all(
    users: Callers, tenant: Tenant, cluster: NodeCluster, report: Report, kind: str
) -> None:
    token = cluster.issuer.tenant(tenant.vault_id) if kind == "biscuit" else tenant.root.token or ""
    holders = users.with_token(token)
    assert (await holders.post(0, SECRET, {"data": {}})).status == 200
    await warm(holders, SECRET)
    assert (await holders.post(1, "auth/token/revoke-self")).status == 204
    assert (await holders.get(1, SECRET)).status == 403, "the node that answered still takes it"
    seconds = await everywhere(lambda node: holders.get(node, SECRET), status(403))
    assert (await users.get(2, SECRET)).status == 200, "another token was revoked with it"
    report(f"{kind} revoked on node 1, refused on all after {show(seconds)}")


async def test_an_operators_token_revoked_on_one_node_is_refused_on_all(
    users: Callers, cluster: NodeCluster, report: Report
) -> None:
    operators = users.with_token(cluster.issuer.cluster_operator())
    await warm(operators, SELF)
    assert (await operators.post(2, "auth/token/revoke-self")).status == 204
    seconds = await everywhere(lambda node: operators.get(node, SELF), status(403))
    report(f"cluster operator's token revoked on node 2, refused on all after {show(seconds)}")


async def test_a_token_made_on_one_node_is_good_on_all_at_once(users: Callers, tenant: Tenant) -> None:
    await warm(users.with_token(tenant.root.token or ""), SELF)
