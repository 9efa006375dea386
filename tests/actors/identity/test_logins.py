"""Who somebody is that logs in."""

import asyncio

import pytest

from kms_actors.errors import InvalidRequest, NotFound
from kms_actors.identity.limits import MAX_ALIAS_METADATA, MAX_LOGIN_GROUPS
from kms_actors.identity.messages import ResolveEntity
from tests.actors.identity_tenant import JWT, Tenant

Nodes = tuple[Tenant, Tenant]


async def test_a_first_login_makes_an_entity_that_later_ones_find(tenant: Tenant) -> None:
    first = await tenant.log_in("ann", metadata={"team": "red"})
    assert first.name == f"entity_{first.entity_id[:8]}"
    assert not first.changed
    assert first.policies == ()
    (alias,) = first.subject.aliases
    assert (alias.name, alias.metadata) == ("ann", {"team": "red"})
    again = await tenant.log_in("ANN", metadata={"team": "red"})
    assert again == first
    other = await tenant.log_in("ann", JWT)
    assert other.entity_id != first.entity_id


async def test_metadata_are_written_anew_only_where_they_differ(tenant: Tenant) -> None:
    found = await tenant.log_in("ann", metadata={"team": "red"})
    assert await tenant.ask(ResolveEntity(found.entity_id)) == found
    await tenant.log_in("ann", metadata={"team": "red"})
    assert tenant.recorded == []
    changed = await tenant.log_in("ann", metadata={"team": "blue"})
    assert changed.changed
    assert tenant.recorded == [("identity", found.entity_id)]
    kept = await tenant.ask(ResolveEntity(found.entity_id))
    assert kept.subject.aliases[0].metadata == {"team": "blue"}


async def test_what_is_kept_is_answered_at_once(tenant: Tenant) -> None:
    found = await tenant.log_in("ann")
    question = ResolveEntity(found.entity_id)
    await tenant.ask(question)
    assert tenant.handlers[ResolveEntity](question) == found


async def test_nobody_is_not_found(tenant: Tenant) -> None:
    for entity in ("", "nobody", "11111111-1111-4111-8111-111111111111"):
        with pytest.raises(NotFound):
            await tenant.ask(ResolveEntity(entity))


async def test_two_first_logins_of_one_alias_make_one_entity(nodes: Nodes) -> None:
    for number in range(10):
        found = await asyncio.gather(*(node.log_in(f"user-{number}") for node in nodes for _ in range(2)))
        assert len({each.entity_id for each in found}) == 1


async def test_what_is_too_much_is_refused(tenant: Tenant) -> None:
    with pytest.raises(InvalidRequest, match="groups"):
        await tenant.log_in("ann", groups=[f"g{number}" for number in range(MAX_LOGIN_GROUPS + 1)])
    with pytest.raises(InvalidRequest, match="metadata"):
        await tenant.log_in("ann", metadata={"a": "b" * MAX_ALIAS_METADATA})
    for name in ("", "x" * 513, "\ud800"):
        with pytest.raises(InvalidRequest, match="alias name"):
            await tenant.log_in(name)
