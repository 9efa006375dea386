"""Who somebody is that logs in."""

import asyncio

import pytest

from kms_actors.actors.identity.places import IdentityKeys
from kms_actors.errors import IntegrityError, InvalidRequest, NotFound
from kms_actors.identity import messages as identity
from kms_actors.identity.limits import MAX_ALIAS_METADATA, MAX_LOGIN_GROUPS
from kms_actors.identity.messages import ResolveEntity
from kms_actors.identity.records import GroupType, Pointer
from kms_actors.keyring import stored
from tests.actors.identity_tenant import JWT, KEYS, USERPASS, Tenant, alias_mount
from tests.store.access import get_all, put

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


async def test_a_login_of_who_is_known_writes_nothing(tenant: Tenant) -> None:
    staff = await tenant.ask(identity.WriteGroup(name="staff", type=GroupType.EXTERNAL))
    await tenant.ask(identity.WriteGroupAlias(None, "g", alias_mount(USERPASS), staff.id))
    await tenant.log_in("ann", metadata={"team": "red"}, groups=["g"])
    before = await get_all(tenant.store)
    await tenant.log_in("ann", metadata={"team": "red"}, groups=["G", "other"])
    assert await get_all(tenant.store) == before


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


async def test_an_index_that_does_not_fit_is_mended_by_a_login(tenant: Tenant) -> None:
    """As after a restore of a backup that was taken while names were changed."""
    ann, bob = await tenant.log_in("ann"), await tenant.log_in("bob")
    keys = IdentityKeys(KEYS, tenant.keyring)
    place = keys.by_alias("alias-name", USERPASS.accessor, "ann")
    await plant(tenant, place, Pointer(bob.entity_id, alias=bob.subject.aliases[0].id))
    new = await tenant.log_in("ann")
    assert new.entity_id not in {ann.entity_id, bob.entity_id}
    assert (await tenant.log_in("ann")).entity_id == new.entity_id
    bare = await tenant.ask(identity.WriteEntity(name="bare"))
    alias = "33333333-3333-4333-8333-333333333333"
    await plant(tenant, place, Pointer(bare.id, alias=alias))
    assert (await tenant.log_in("ann")).entity_id == bare.id
    found = await tenant.ask(identity.FindAlias(alias))
    assert (found.owner, found.alias.name) == (bare.id, "ann")


async def test_a_membership_that_nobody_sealed_is_none(tenant: Tenant) -> None:
    ann = await tenant.log_in("ann")
    red = await tenant.ask(identity.WriteGroup(name="red", policies=("red",)))
    await put(tenant.store, (IdentityKeys(KEYS, tenant.keyring).link("member-of", ann.entity_id, red.id), b""))
    with pytest.raises(IntegrityError):
        await tenant.ask(ResolveEntity(ann.entity_id))


async def test_a_disabled_entity_is_told_and_left_as_it_is(tenant: Tenant) -> None:
    ann = await tenant.log_in("ann")
    await tenant.ask(identity.WriteEntity(ann.entity_id, disabled=True))
    before = await tenant.stored()
    found = await tenant.log_in("ann", metadata={"a": "b"}, groups=["g"])
    assert (found.disabled, found.changed) == (True, False)
    assert await tenant.stored() == before


async def test_the_store_shows_no_name(tenant: Tenant) -> None:
    await tenant.log_in("canary-ann", metadata={"canary-key": "canary-value"})
    made = await tenant.ask(
        identity.WriteGroup(name="canary-group", metadata={"canary": "canary"}, policies=("canary",))
    )
    await tenant.ask(identity.WriteEntity(name="canary-entity", policies=("canary",)))
    await tenant.ask(identity.WriteGroup(made.id, name="canary-other"))
    for key, value in await get_all(tenant.store):
        assert b"canary" not in key + value


async def plant(tenant: Tenant, key: bytes, record: Pointer) -> None:
    await put(tenant.store, (key, tenant.keyring.seal(key, stored.encode(record))))
