"""Rules of identities: what names, metadata and policies may be, who is above whom, and one entity out of several."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kms_actors.errors import InvalidRequest
from kms_actors.identity import limits
from kms_actors.identity.graph import ancestors, cyclic
from kms_actors.identity.merging import merge
from kms_actors.identity.records import Alias, Entity, Group, GroupType, Membership


def alias(id_: str, accessor: str = "a") -> Alias:
    return Alias(
        id=id_, name=id_, mount_accessor=accessor, mount_type="t", mount_path="auth/t/", created=1, updated=1
    )


def entity(id_: str, *aliases: Alias, merged: tuple[str, ...] = ()) -> Entity:
    return Entity(id=id_, name=id_, created=1, updated=1, aliases=aliases, merged=merged)


class TestLimits:
    @pytest.mark.parametrize(
        ("metadata", "said"),
        [
            ({str(number): "" for number in range(65)}, "more than 64"),
            ({"": "x"}, "blank"),
            ({"k" * 129: "x"}, "key is too long"),
            ({"k": "x" * 513}, "value is too long"),
            ({"k": "\ud800"}, "characters"),
        ],
    )
    def test_of_metadata(self, metadata: dict[str, str], said: str) -> None:
        with pytest.raises(InvalidRequest, match=said) as refused:
            limits.check_metadata(metadata, "entity")
        assert "xxx" not in str(refused.value)
        limits.check_metadata({"k" * 128: "x" * 512, "empty": ""}, "entity")

    def test_of_names(self) -> None:
        limits.check_name("x" * 512)
        for name in ("", "x" * 513, "\udfff"):
            with pytest.raises(InvalidRequest, match="name"):
                limits.check_name(name)

    def test_policies_are_one_set_in_one_case(self) -> None:
        assert limits.normal_policies([" B", "a", "b", ""]) == ("a", "b")
        for wrong in (["ROOT"], [" root "], ["x" * 513], [str(number) for number in range(257)]):
            with pytest.raises(InvalidRequest):
                limits.normal_policies(wrong)


class TestMerging:
    def test_takes_aliases_and_ids_and_nothing_else(self) -> None:
        target, source = entity("t", alias("1")), entity("s", alias("2", "b"), merged=("r",))
        merged = merge(target, [source], set(), 5)
        assert [each.id for each in merged.aliases] == ["1", "2"]
        assert [each.merged_from for each in merged.aliases] == [(), ("s",)]
        assert (merged.id, merged.merged, merged.updated) == ("t", ("s", "r"), 5)

    def test_asks_which_alias_stays(self) -> None:
        target, sources = entity("t", alias("1")), [entity("s", alias("2")), entity("u", alias("3"))]
        with pytest.raises(InvalidRequest, match=r"neither.*1, 2, 3"):
            merge(target, sources, set(), 5)
        with pytest.raises(InvalidRequest, match="more than one"):
            merge(target, sources, {"1", "3"}, 5)
        assert [each.id for each in merge(target, sources, {"3"}, 5).aliases] == ["3"]

    def test_is_bounded(self) -> None:
        many = tuple(map(str, range(limits.MAX_MERGED_IDS)))
        with pytest.raises(InvalidRequest, match="others at most"):
            merge(entity("t", merged=many), [entity("s")], set(), 5)


def test_a_membership_counts_for_the_alias_that_gave_it_alone() -> None:
    internal = Group(id="g", name="g", created=1, updated=1)
    external = Group(id="g", name="g", type=GroupType.EXTERNAL, created=1, updated=1, alias=alias("1"))
    assert internal.has(Membership())
    assert external.has(Membership("1/1"))
    for membership in (Membership(), Membership("1"), Membership("1/2"), Membership("2/1")):
        assert not external.has(membership)
    assert not internal.has(Membership("1/1"))


Graph = dict[str, set[str]]
_NAMES = "abcdefgh"


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """Draw who is in whom, with no cycles: each only in those that come later."""
    return {
        name: set(draw(st.lists(st.sampled_from(_NAMES[number + 1 :] or "h"), max_size=3))) - {name}
        for number, name in enumerate(_NAMES)
    }


def above(graph: Graph, name: str) -> set[str]:
    """Return what a group is in, the plain way."""
    return {name}.union(*(above(graph, parent) for parent in graph[name]))


@given(graphs(), st.sets(st.sampled_from(_NAMES)))
async def test_ancestors_are_exactly_those_that_can_be_reached(graph: Graph, groups: set[str]) -> None:
    levels = 0

    async def parents(asked: Sequence[str]) -> list[Iterable[str]]:
        nonlocal levels
        levels += 1
        return [graph[name] for name in asked]

    assert await ancestors(groups, parents) == set().union(*(above(graph, name) for name in groups))
    assert levels <= len(_NAMES)


@given(graphs(), st.sampled_from(_NAMES), st.sets(st.sampled_from(_NAMES)))
async def test_a_member_is_refused_exactly_where_it_would_close_a_cycle(
    graph: Graph, group: str, members: set[str]
) -> None:
    async def parents(asked: Sequence[str]) -> list[Iterable[str]]:
        return [graph[name] for name in asked]

    found = cyclic(sorted(members), await ancestors((group,), parents))
    closing = {member for member in members if member in above(graph, group)}
    assert (found in closing) if closing else found is None
