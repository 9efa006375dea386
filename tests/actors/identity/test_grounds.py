"""A change holds only as long as the bearer's entity and its groups give what allowed it, whoever took that away."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from kms_actors import request_context
from kms_actors.errors import AuthenticationFailed, PoliciesChanged
from kms_actors.identity import messages as identity
from kms_actors.identity.messages import Resolved
from kms_actors.identity.records import GroupType
from kms_actors.request_context import Bearer
from kms_actors.store.api import Transaction
from tests.actors.identity.test_groups import entity, group, resolved
from tests.actors.identity_tenant import KEYS, USERPASS, Tenant, alias_mount
from tests.store.access import get

Nodes = tuple[Tenant, Tenant]
PLACE = KEYS.key("place")


async def write(tenant: Tenant, bearer: Resolved, meanwhile: Callable[[], Awaitable[Any]] | None = None) -> None:
    """Write something that is allowed by what an entity gives, while something else happens."""
    request_context.borne_by(Bearer((), b"", entity=(bearer.entity_id, bearer.stamp)))
    runs = 0

    async def body(tr: Transaction) -> None:
        nonlocal runs
        runs += 1
        tr.set(PLACE, b"written")
        if meanwhile is not None and runs == 1:
            await asyncio.create_task(apart(meanwhile))

    try:
        await tenant.context.store.change(body, mount=None)
    finally:
        request_context.borne_by(None)


async def apart(meanwhile: Callable[[], Awaitable[Any]]) -> None:
    request_context.borne_by(None)
    await meanwhile()


@pytest.mark.parametrize("when", ["before", "meanwhile"])
@pytest.mark.parametrize(
    ("change", "error"),
    [
        ("disabled", AuthenticationFailed),
        ("deleted", AuthenticationFailed),
        ("policies", PoliciesChanged),
        ("group's policies", PoliciesChanged),
        ("members", PoliciesChanged),
        ("group deleted", PoliciesChanged),
    ],
)
async def test_what_was_taken_away_on_another_node_allows_nothing(
    nodes: Nodes, change: str, error: type[Exception], when: str
) -> None:
    first, second = nodes
    ann = await entity(first, "ann", "own")
    red = await group(first, "red", "red", entities=(ann,))
    bearer = await resolved(first, ann)
    messages: dict[str, Any] = {
        "disabled": identity.WriteEntity(ann, disabled=True),
        "deleted": identity.DeleteEntities((ann,)),
        "policies": identity.WriteEntity(ann, policies=()),
        "group's policies": identity.WriteGroup(red, policies=()),
        "members": identity.WriteGroup(red, entities=()),
        "group deleted": identity.DeleteGroup(red),
    }
    if when == "before":
        await second.ask(messages[change])
    with pytest.raises(error):
        await write(first, bearer, None if when == "before" else lambda: second.ask(messages[change]))
    assert await get(first.store, PLACE) is None


async def test_what_a_login_takes_away_allows_nothing(nodes: Nodes) -> None:
    first, second = nodes
    staff = await group(first, "staff", "staff", type=GroupType.EXTERNAL)
    await first.ask(identity.WriteGroupAlias(None, "g", alias_mount(USERPASS), staff))
    bearer = await first.log_in("ann", groups=["g"])
    await write(first, bearer)
    await second.log_in("ann", groups=[])
    with pytest.raises(PoliciesChanged):
        await write(first, bearer)


async def test_what_concerns_others_is_no_matter(nodes: Nodes) -> None:
    first, second = nodes
    bearer = await resolved(first, await entity(first, "ann", "own"))
    bob = await entity(second, "bob")
    await write(first, bearer, lambda: second.ask(identity.WriteEntity(bob, disabled=True)))
    assert await get(first.store, PLACE) == b"written"


async def test_who_changes_his_own_group_may(tenant: Tenant) -> None:
    ann = await entity(tenant, "ann")
    red = await group(tenant, "red", "red", entities=(ann,))
    bearer = await resolved(tenant, ann)
    request_context.borne_by(Bearer((), b"", entity=(ann, bearer.stamp)))
    await tenant.ask(identity.WriteGroup(red, policies=("blue",)))
    with pytest.raises(PoliciesChanged):
        await tenant.ask(identity.WriteGroup(red, policies=("green",)))
    request_context.borne_by(None)
    assert (await resolved(tenant, ann)).policies == ("blue",)
