"""Groups: who is in them, and what comes of it."""

import asyncio
from typing import Any

import pytest

from kms_actors.errors import InvalidRequest
from kms_actors.identity import messages as identity
from kms_actors.identity.limits import MAX_GROUPS, MAX_MEMBERS
from kms_actors.identity.messages import Resolved, ResolveEntity, Wanted
from kms_actors.identity.records import GroupType
from tests.actors.identity_tenant import JWT, SECOND, USERPASS, Tenant, alias_mount

Nodes = tuple[Tenant, Tenant]


async def entity(tenant: Tenant, name: str, *policies: str) -> str:
    made = await tenant.ask(identity.WriteEntity(name=name, policies=policies))
    return str(made.id)


async def group(tenant: Tenant, name: str, *policies: str, **given: Any) -> str:
    made = await tenant.ask(identity.WriteGroup(name=name, policies=policies, **given))
    return str(made.id)


async def members(tenant: Tenant, group_id: str) -> tuple[str, ...]:
    found = await tenant.ask(identity.FindGroup(Wanted(group_id)))
    return tuple(found.entities)


async def resolved(tenant: Tenant, entity_id: str) -> Resolved:
    found: Resolved = await tenant.ask(ResolveEntity(entity_id))
    return found


class TestPolicies:
    async def test_are_those_of_the_entity_and_of_all_groups_above_it(self, tenant: Tenant) -> None:
        ann = await entity(tenant, "ann", "own")
        red = await group(tenant, "red", "red", entities=(ann,))
        staff = await group(tenant, "staff", "staff", groups=(red,))
        await group(tenant, "all", "all", groups=(staff, red))
        await group(tenant, "others", "others")
        found = await resolved(tenant, ann)
        assert found.policies == ("all", "own", "red", "staff")
        assert {each.name for each in found.subject.groups} == {"red", "staff", "all"}
        shown = await tenant.ask(identity.FindEntity(Wanted(ann)))
        assert (shown.direct, len(shown.inherited)) == ((red,), 2)

    async def test_change_at_once_for_who_was_kept(self, tenant: Tenant) -> None:
        ann = await entity(tenant, "ann")
        red = await group(tenant, "red", "red", entities=(ann,))
        assert (await resolved(tenant, ann)).policies == ("red",)
        await tenant.ask(identity.WriteGroup(red, policies=("blue",)))
        assert (await resolved(tenant, ann)).policies == ("blue",)
        await tenant.ask(identity.WriteGroup(red, entities=()))
        assert (await resolved(tenant, ann)).policies == ()
        await tenant.ask(identity.WriteEntity(ann, policies=("own",), disabled=True))
        found = await resolved(tenant, ann)
        assert (found.policies, found.disabled) == (("own",), True)
        await tenant.ask(identity.WriteGroup(red, entities=(ann,)))
        await tenant.ask(identity.DeleteGroup(red))
        assert (await resolved(tenant, ann)).groups == ()


class TestCycles:
    async def test_are_refused(self, tenant: Tenant) -> None:
        one = await group(tenant, "one")
        two = await group(tenant, "two", groups=(one,))
        three = await group(tenant, "three", groups=(two,))
        for members_of in (three, two):
            with pytest.raises(InvalidRequest, match="cyclic"):
                await tenant.ask(identity.WriteGroup(one, groups=(members_of,)))
        with pytest.raises(InvalidRequest, match="same as"):
            await tenant.ask(identity.WriteGroup(one, groups=(one,)))
        assert (await tenant.ask(identity.FindGroup(Wanted(one)))).groups == ()

    async def test_do_not_come_of_two_changes_at_once(self, nodes: Nodes) -> None:
        first, second = nodes
        for number in range(5):
            one, two = await group(first, f"one-{number}"), await group(first, f"two-{number}")
            outcomes = await asyncio.gather(
                first.ask(identity.WriteGroup(one, groups=(two,))),
                second.ask(identity.WriteGroup(two, groups=(one,))),
                return_exceptions=True,
            )
            assert {type(outcome) for outcome in outcomes} == {InvalidRequest, type(None)}


class TestMembers:
    async def test_that_are_not_there_are_refused(self, tenant: Tenant) -> None:
        nobody = "11111111-1111-4111-8111-111111111111"
        for given in ({"entities": (nobody,)}, {"groups": (nobody,)}, {"entities": ("x",)}, {"groups": ("",)}):
            with pytest.raises(InvalidRequest):
                await group(tenant, "g", **given)
        assert await tenant.ask(identity.FindGroup(Wanted(name="g"))) is None

    async def test_are_bounded(self, tenant: Tenant) -> None:
        with pytest.raises(InvalidRequest, match="5000"):
            await group(tenant, "g", entities=tuple(map(str, range(MAX_MEMBERS + 1))))

    async def test_groups_are_bounded(self, tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
        assert MAX_GROUPS == 2_000
        monkeypatch.setattr("kms_actors.actors.identity.groups.MAX_GROUPS", 2)
        first = await group(tenant, "one")
        await group(tenant, "two")
        with pytest.raises(InvalidRequest, match="groups at most"):
            await group(tenant, "three")
        await tenant.ask(identity.WriteGroup(first, policies=("p",)))
        await tenant.ask(identity.DeleteGroup(first))
        await group(tenant, "three")

    async def test_go_with_their_entity(self, tenant: Tenant) -> None:
        ann, bob = await entity(tenant, "ann"), await entity(tenant, "bob")
        red = await group(tenant, "red", entities=(ann, bob))
        await tenant.ask(identity.DeleteEntities((ann,)))
        assert await members(tenant, red) == (bob,)
        (listed,) = await tenant.ask(identity.ListGroups())
        assert (listed.entities, listed.parents) == (1, 0)

    async def test_an_entity_that_goes_while_it_is_added_is_in_no_group(self, nodes: Nodes) -> None:
        first, second = nodes
        for number in range(5):
            ann = await entity(first, f"ann-{number}")
            red = await group(first, f"red-{number}")
            outcomes = await asyncio.gather(
                first.ask(identity.WriteGroup(red, entities=(ann,))),
                second.ask(identity.DeleteEntities((ann,))),
                return_exceptions=True,
            )
            assert outcomes[0] is None or isinstance(outcomes[0], InvalidRequest)
            assert await members(first, red) == ()


class TestExternalGroups:
    async def test_have_whom_logins_say(self, tenant: Tenant) -> None:
        staff = await group(tenant, "staff", "staff", type=GroupType.EXTERNAL)
        jwt = await group(tenant, "jwt", "jwt", type=GroupType.EXTERNAL)
        await tenant.ask(identity.WriteGroupAlias(None, "Employees", alias_mount(USERPASS), staff))
        await tenant.ask(identity.WriteGroupAlias(None, "employees", alias_mount(JWT), jwt))
        first = await tenant.log_in("ann", groups=["employees", "unknown"])
        assert (first.policies, first.changed) == (("staff",), False)
        assert await members(tenant, staff) == (first.entity_id,)
        again = await tenant.log_in("ann", groups=["EMPLOYEES"])
        assert (again.policies, again.changed) == (("staff",), False)
        out = await tenant.log_in("ann", groups=[])
        assert (out.policies, out.changed) == ((), True)
        assert await members(tenant, staff) == ()
        assert (await resolved(tenant, first.entity_id)).policies == ()

    async def test_are_those_of_the_mount_alone(self, tenant: Tenant) -> None:
        ann = await tenant.log_in("ann")
        await tenant.ask(identity.WriteAlias(None, "a", alias_mount(JWT), ann.entity_id, None))
        for name, mount in (("up", USERPASS), ("jwt", JWT)):
            made = await group(tenant, name, name, type=GroupType.EXTERNAL)
            await tenant.ask(identity.WriteGroupAlias(None, "g", alias_mount(mount), made))
        assert (await tenant.log_in("ann", groups=["g"])).policies == ("up",)
        assert (await tenant.log_in("a", JWT, groups=["g"])).policies == ("jwt", "up")
        assert (await tenant.log_in("ann", groups=[])).policies == ("jwt",)

    async def test_take_no_members_otherwise(self, tenant: Tenant) -> None:
        ann = await entity(tenant, "ann")
        for given in ({"entities": (ann,)}, {"groups": (ann,)}):
            with pytest.raises(InvalidRequest, match="external"):
                await group(tenant, "g", type=GroupType.EXTERNAL, **given)
        one = await group(tenant, "one")
        for wrong in (GroupType.EXTERNAL, "", "canary"):
            with pytest.raises(InvalidRequest, match="cannot be changed"):
                await tenant.ask(identity.WriteGroup(one, type=wrong))
        with pytest.raises(InvalidRequest, match="invalid group type") as refused:
            await group(tenant, "two", type="canary")
        assert "canary" not in str(refused.value)
        with pytest.raises(InvalidRequest, match="internal"):
            await tenant.ask(identity.WriteGroupAlias(None, "g", alias_mount(JWT), one))

    @pytest.mark.parametrize("change", ["renamed", "moved", "removed", "replaced", "deleted"])
    async def test_nobody_stays_past_the_alias(self, tenant: Tenant, change: str) -> None:
        staff = await group(tenant, "staff", "staff", type=GroupType.EXTERNAL)
        alias = (await tenant.ask(identity.WriteGroupAlias(None, "g", alias_mount(USERPASS), staff))).alias.id
        ann = await tenant.log_in("ann", groups=["g"])
        assert (await resolved(tenant, ann.entity_id)).policies == ("staff",)
        tenant.now += SECOND
        messages: dict[str, Any] = {
            "renamed": identity.WriteGroupAlias(alias, "other", alias_mount(USERPASS), ""),
            "moved": identity.WriteGroupAlias(alias, "g", alias_mount(JWT), ""),
            "removed": identity.DeleteGroupAlias(alias),
            "replaced": identity.WriteGroupAlias(None, "other", alias_mount(USERPASS), staff),
            "deleted": identity.DeleteGroup(staff),
        }
        await tenant.ask(messages[change])
        assert (await resolved(tenant, ann.entity_id)).policies == ()
        await tenant.settled()
        assert await tenant.links() == []
        assert (await tenant.log_in("ann", groups=["g"])).policies == ()
        if change == "renamed":
            assert (await tenant.log_in("ann", groups=["other"])).policies == ("staff",)

    async def test_logins_and_changes_of_a_group_end_in_what_one_of_them_says(self, nodes: Nodes) -> None:
        first, second = nodes
        for number in range(5):
            staff = await group(first, f"staff-{number}", type=GroupType.EXTERNAL)
            await first.ask(identity.WriteGroupAlias(None, f"g-{number}", alias_mount(USERPASS), staff))
            await asyncio.gather(
                first.log_in("ann", groups=[f"g-{number}"]),
                second.ask(identity.WriteGroup(staff, policies=(f"p-{number}",))),
            )
            found = await second.log_in("ann", groups=[f"g-{number}"])
            assert found.policies == (f"p-{number}",)
