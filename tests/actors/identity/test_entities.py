"""Entities and aliases: written, merged, removed, found again."""

import asyncio
from typing import Any

import pytest

from kms_actors.errors import InvalidRequest, NoMount, NotFound
from kms_actors.identity import messages as identity
from kms_actors.identity.limits import MAX_DELETED, MAX_MERGED
from kms_actors.identity.messages import ResolveEntity, Wanted
from kms_actors.identity.records import Entity
from tests.actors.identity.test_groups import entity, group, members, resolved
from tests.actors.identity_tenant import JWT, SECOND, TOKENS, USERPASS, Tenant, alias_mount

Nodes = tuple[Tenant, Tenant]


async def find(tenant: Tenant, **wanted: str) -> Entity | None:
    found = await tenant.ask(identity.FindEntity(Wanted(**wanted)))
    return None if found is None else found.entity


async def alias(tenant: Tenant, name: str, owner: str = "", mount: Any = USERPASS) -> str:
    made = await tenant.ask(identity.WriteAlias(None, name, alias_mount(mount), owner, None))
    return str(made.alias.id)


class TestEntities:
    async def test_are_found_by_all_their_names(self, tenant: Tenant) -> None:
        ann = await entity(tenant, "Ann")
        at_jwt = await alias(tenant, "a@b", ann, JWT)
        for wanted in (
            {"id": ann},
            {"name": "ANN"},
            {"alias_id": at_jwt},
            {"accessor": JWT.accessor, "alias": "A@B"},
        ):
            found = await find(tenant, **wanted)
            assert found is not None
            assert found.id == ann
        for wanted in (
            {"id": at_jwt},
            {"name": "bob"},
            {"alias_id": ann},
            {"accessor": "x", "alias": "a@b"},
            {"id": "x"},
        ):
            assert await find(tenant, **wanted) is None

    @pytest.mark.parametrize("name", ["", "x" * 513, "\ud800"])
    async def test_nothing_is_found_by_a_name_that_none_may_have(self, tenant: Tenant, name: str) -> None:
        for wanted in (Wanted(name=name), Wanted(accessor="x", alias=name), Wanted(accessor=name, alias="x")):
            for message in (identity.FindEntity(wanted), identity.FindGroup(wanted)):
                assert await tenant.ask(message) is None

    async def test_a_name_is_free_again_once_it_is_given_up(self, tenant: Tenant) -> None:
        ann = await entity(tenant, "ann")
        await tenant.ask(identity.WriteEntity(ann, "bob"))
        assert await find(tenant, name="ann") is None
        other = await entity(tenant, "ann")
        with pytest.raises(InvalidRequest, match="in use"):
            await tenant.ask(identity.WriteEntity(ann, "ANN"))
        await tenant.ask(identity.DeleteEntities(name="ANN"))
        assert await find(tenant, id=other) is None
        await tenant.ask(identity.WriteEntity(ann, "ann"))

    async def test_one_name_is_given_once_by_two_nodes(self, nodes: Nodes) -> None:
        for number in range(5):
            await asyncio.gather(*(node.ask(identity.WriteEntity(name=f"e{number}")) for node in nodes))
        assert len(await nodes[0].ask(identity.ListEntities())) == 5

    async def test_names_that_are_made_up_do_not_collide(
        self, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("kms_actors.actors.identity.storage._NAMED_BY", 0)
        names = {(await tenant.ask(identity.WriteEntity())).name for _ in range(3)}
        assert len(names) == 3

    async def test_what_is_not_sent_stays(self, tenant: Tenant) -> None:
        ann = await entity(tenant, "ann", "p")
        tenant.now += SECOND
        await tenant.ask(identity.WriteEntity(ann, metadata={"a": "b"}))
        await tenant.ask(identity.WriteEntity(name="ann", disabled=True))
        found = await find(tenant, id=ann)
        assert found is not None
        assert (found.policies, found.metadata, found.disabled) == (("p",), {"a": "b"}, True)
        assert found.updated == found.created + SECOND

    async def test_what_none_may_have_is_refused(self, tenant: Tenant) -> None:
        for given, said in (
            ({"policies": ("a", "ROOT")}, "root"),
            ({"policies": tuple(map(str, range(257)))}, "256"),
            ({"metadata": {"": "x"}}, "blank"),
            ({"name": "x" * 513}, "512"),
        ):
            for message in (identity.WriteEntity(**given), identity.WriteGroup(**given)):
                with pytest.raises(InvalidRequest, match=said):
                    await tenant.ask(message)
        assert await tenant.stored() == {}

    async def test_are_listed_in_pages(self, tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(NotFound):
            await tenant.ask(identity.ListEntities())
        monkeypatch.setattr("kms_actors.actors.identity.lists._PAGE", 3)
        made = sorted([await entity(tenant, f"e{number}") for number in range(10)])
        for number, each in enumerate(made):
            await alias(tenant, f"a{number}", each)
        assert [each.id for each in await tenant.ask(identity.ListEntities())] == made
        assert [each.id for each in await tenant.ask(identity.ListEntities(made[3], 4))] == made[4:8]
        assert [each.id for each in await tenant.ask(identity.ListEntities(limit=3))] == made[:3]
        aliases = await tenant.ask(identity.ListAliases())
        assert {each.owner for each in aliases} == set(made)
        assert [each.alias.id for each in aliases] == sorted(each.alias.id for each in aliases)
        assert await tenant.ask(identity.ListAliases(aliases[4].alias.id)) == aliases[5:]
        with pytest.raises(InvalidRequest, match="after"):
            await tenant.ask(identity.ListEntities("x"))
        monkeypatch.setattr("kms_actors.actors.identity.lists.MAX_LISTED", 9)
        with pytest.raises(InvalidRequest, match="limit and after"):
            await tenant.ask(identity.ListEntities())

    async def test_many_are_removed_at_once(self, tenant: Tenant) -> None:
        made = [await entity(tenant, f"e{number}") for number in range(30)]
        await tenant.ask(identity.DeleteEntities((*made, "x")))
        with pytest.raises(NotFound):
            await tenant.ask(identity.ListEntities())
        assert await tenant.stored() == {}
        with pytest.raises(InvalidRequest):
            await tenant.ask(identity.DeleteEntities(("x",) * (MAX_DELETED + 1)))

    async def test_nothing_is_left_of_what_is_removed(self, tenant: Tenant) -> None:
        ann = (await tenant.log_in("ann")).entity_id
        red = await group(tenant, "red", entities=(ann,))
        top = await group(tenant, "top", groups=(red,))
        await tenant.ask(identity.MergeEntities(((await tenant.log_in("a", JWT)).entity_id,), ann))
        await tenant.ask(identity.DeleteEntities((ann,)))
        await tenant.ask(identity.DeleteGroup(red))
        await tenant.ask(identity.DeleteGroup(name="TOP"))
        assert top
        assert {key[1] for key in await tenant.stored()} <= {"groups"}


class TestAliases:
    async def test_an_entity_has_one_a_mount(self, tenant: Tenant) -> None:
        ann, bob = await entity(tenant, "ann"), await entity(tenant, "bob")
        first = await alias(tenant, "a", ann)
        await alias(tenant, "b", bob)
        await alias(tenant, "z", ann, TOKENS)
        with pytest.raises(InvalidRequest, match="already exists for requested"):
            await alias(tenant, "c", ann)
        with pytest.raises(InvalidRequest, match="already has an alias"):
            await tenant.ask(identity.WriteAlias(first, "", None, bob, None))
        with pytest.raises(InvalidRequest, match="combination"):
            await tenant.ask(identity.WriteAlias(first, "B", None, "", None))
        with pytest.raises(InvalidRequest, match="already has an alias"):
            await tenant.ask(identity.WriteAlias(first, "", alias_mount(TOKENS), "", None))

    async def test_one_moves_with_its_logins(self, tenant: Tenant) -> None:
        first = await tenant.log_in("ann")
        bob = await entity(tenant, "bob", "p")
        moved = await tenant.ask(identity.WriteAlias(None, "ann", alias_mount(USERPASS), bob, {"x": "y"}))
        assert moved.owner == bob
        found = await tenant.log_in("ann")
        assert (found.entity_id, found.policies) == (bob, ("p",))
        assert found.subject.aliases[0].custom_metadata == {"x": "y"}
        left = await find(tenant, id=first.entity_id)
        assert left is not None
        assert left.aliases == ()

    async def test_one_that_is_renamed_is_found_by_its_new_name_alone(self, tenant: Tenant) -> None:
        first = await tenant.log_in("ann")
        id_ = first.subject.aliases[0].id
        await tenant.ask(identity.WriteAlias(id_, "bob", alias_mount(JWT), "", None))
        assert (await tenant.log_in("bob", JWT)).entity_id == first.entity_id
        assert (await tenant.log_in("ann")).entity_id != first.entity_id
        assert await tenant.ask(identity.WriteAlias(id_, "bob", None, first.entity_id, {})) is None

    async def test_none_is_made_at_a_mount_that_is_gone(self, tenant: Tenant) -> None:
        gone = identity.LoginMount("auth_x_1", "x", "auth/x/", 77)
        with pytest.raises(NoMount):
            await tenant.ask(identity.WriteAlias(None, "a", gone, "", None))

    async def test_one_that_is_removed_logs_in_as_somebody_new(self, tenant: Tenant) -> None:
        first = await tenant.log_in("ann")
        id_ = first.subject.aliases[0].id
        assert (await tenant.ask(identity.FindAlias(id_))).owner == first.entity_id
        await tenant.ask(identity.DeleteAlias(id_))
        await tenant.ask(identity.DeleteAlias(id_))
        with pytest.raises(NotFound):
            await tenant.ask(identity.FindAlias(id_))
        assert (await tenant.log_in("ann")).entity_id != first.entity_id
        for wrong in ("x", id_):
            with pytest.raises(InvalidRequest, match="alias ID"):
                await tenant.ask(identity.WriteAlias(wrong, "n", None, "", None))


class TestMerges:
    async def test_put_aliases_and_groups_together(self, tenant: Tenant) -> None:
        ann, other = await tenant.log_in("ann"), await tenant.log_in("a@b", JWT)
        await tenant.ask(identity.WriteEntity(other.entity_id, policies=("lost",)))
        one = await group(tenant, "one", "one", entities=(other.entity_id,))
        two = await group(tenant, "two", "two", entities=(ann.entity_id, other.entity_id))
        await resolved(tenant, ann.entity_id)
        await tenant.ask(identity.MergeEntities((other.entity_id, other.entity_id), ann.entity_id))
        found = await resolved(tenant, ann.entity_id)
        assert found.policies == ("one", "two")
        assert await tenant.ask(ResolveEntity(other.entity_id)) == found
        assert (await tenant.log_in("a@b", JWT)).entity_id == ann.entity_id
        assert [await members(tenant, each) for each in (one, two)] == [(ann.entity_id,)] * 2
        assert {each.entities for each in await tenant.ask(identity.ListGroups())} == {1}
        merged = await find(tenant, id=ann.entity_id)
        assert merged is not None
        assert merged.merged == (other.entity_id,)
        assert merged.alias_at(JWT.accessor).merged_from == (other.entity_id,)  # type: ignore[union-attr]
        assert await find(tenant, id=other.entity_id) is None

    async def test_of_merges_stand_for_all_of_them(self, tenant: Tenant) -> None:
        one, two, three = [await entity(tenant, name) for name in ("one", "two", "three")]
        await tenant.ask(identity.MergeEntities((one,), two))
        await tenant.ask(identity.MergeEntities((two,), three))
        for each in (one, two, three):
            assert (await resolved(tenant, each)).entity_id == three
        await tenant.ask(identity.WriteEntity(three, policies=("p",)))
        assert (await resolved(tenant, one)).policies == ("p",)
        await tenant.ask(identity.DeleteEntities((three,)))
        for each in (one, two, three):
            with pytest.raises(NotFound):
                await resolved(tenant, each)

    async def test_say_which_alias_stays(self, tenant: Tenant) -> None:
        ann, bob = await tenant.log_in("ann"), await tenant.log_in("bob")
        ids = [each.subject.aliases[0].id for each in (ann, bob)]
        for keep in ((), ("x",), tuple(ids)):
            with pytest.raises(InvalidRequest, match="conflicting"):
                await tenant.ask(identity.MergeEntities((bob.entity_id,), ann.entity_id, keep))
        await tenant.ask(identity.MergeEntities((bob.entity_id,), ann.entity_id, (ids[1],)))
        assert (await tenant.log_in("bob")).entity_id == ann.entity_id
        assert (await tenant.log_in("ann")).entity_id not in {ann.entity_id, bob.entity_id}

    @pytest.mark.parametrize(
        ("sources", "target", "said"),
        [
            (("x",), "ann", "from"),
            (("ann",), "ann", "should not"),
            (("bob",), "x", "to is invalid"),
            (tuple(map(str, range(MAX_MERGED + 1))), "ann", "entries"),
        ],
    )
    async def test_of_nobody_are_refused(
        self, tenant: Tenant, sources: tuple[str, ...], target: str, said: str
    ) -> None:
        ids = {name: await entity(tenant, name) for name in ("ann", "bob")}
        message = identity.MergeEntities(tuple(ids.get(each, each) for each in sources), ids.get(target, target))
        with pytest.raises(InvalidRequest, match=said):
            await tenant.ask(message)

    async def test_against_logins_leave_one_entity(self, nodes: Nodes) -> None:
        first, second = nodes
        for number in range(5):
            ann, bob = await first.log_in(f"ann{number}"), await first.log_in(f"bob{number}", JWT)
            found, _ = await asyncio.gather(
                second.log_in(f"bob{number}", JWT, {"number": str(number)}),
                first.ask(identity.MergeEntities((bob.entity_id,), ann.entity_id)),
            )
            assert (await resolved(first, found.entity_id)).entity_id == ann.entity_id
            again = await second.log_in(f"bob{number}", JWT)
            assert again.entity_id == ann.entity_id
            owner = await find(first, accessor=JWT.accessor, alias=f"bob{number}")
            assert owner is not None
            assert owner.id == ann.entity_id
