"""What an entity may not do any more on one node, it may not on any, within the lease."""

from __future__ import annotations

import asyncio

import pytest

from tests.cluster.elsewhere import everywhere, show, status, warm
from tests.support.callers import Callers
from tests.support.node_cluster import SIZE
from tests.support.report import Report
from tests.support.tenant import Tenant

SECRET = "secret/data/creds"
POLICY = 'path "secret/data/*" { capabilities = ["create", "read", "update"] }'


@pytest.fixture
async def root(users: Callers, tenant: Tenant) -> Callers:
    """Return callers who may all in a vault where people log in."""
    root = users.with_token(tenant.root.token or "")
    assert (await root.post(0, "sys/auth/approle", {"type": "approle"})).status == 204
    role = {"bind_secret_id": False, "token_bound_cidrs": ["127.0.0.0/8"], "role_id": "app"}
    assert (await root.post(0, "auth/approle/role/app", role)).status == 204
    assert (await root.post(0, "sys/policies/acl/team", {"policy": POLICY})).status == 204
    await everywhere(lambda node: root.get(node, "auth/approle/role/app"), status(200))
    return root


@pytest.mark.parametrize("change", ["disabled", "group"])
async def test_rights_that_end_on_one_node_end_on_all(root: Callers, report: Report, change: str) -> None:
    auth = (await root.post(0, "auth/approle/login", {"role_id": "app"})).json["auth"]
    entity = auth["entity_id"]
    group = (await root.post(0, "identity/group", {"policies": ["team"], "member_entity_ids": [entity]})).data["id"]
    people = root.with_token(auth["client_token"])
    await everywhere(lambda node: people.post(node, SECRET, {"data": {}}), status(200))
    await warm(people, SECRET)
    if change == "disabled":
        assert (await root.post(1, f"identity/entity/id/{entity}", {"disabled": True})).status == 204
    else:
        assert (await root.post(1, f"identity/group/id/{group}", {"member_entity_ids": []})).status == 204
    assert (await people.get(1, SECRET)).status == 403, "the node that answered still lets it"
    seconds = await everywhere(lambda node: people.get(node, SECRET), status(403))
    report(f"{change}: on node 1, and on all after {show(seconds)}")


async def test_first_logins_on_all_nodes_make_one_entity(root: Callers, count: int) -> None:
    for number in range(max(1, count // 100)):
        role = {"bind_secret_id": False, "token_bound_cidrs": ["127.0.0.0/8"], "role_id": f"r{number}"}
        assert (await root.post(0, f"auth/approle/role/r{number}", role)).status == 204
        body = {"role_id": f"r{number}"}
        replies = await asyncio.gather(*(root.post(node, "auth/approle/login", body) for node in [*range(SIZE)] * 2))
        assert len({reply.json["auth"]["entity_id"] for reply in replies if reply.status == 200}) == 1
