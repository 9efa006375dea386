"""Which policies a token may ask for, with a role and without one."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from kms_actors.auth.principal import Right
from kms_actors.errors import InvalidRequest
from kms_actors.token.making import Maker, Wanted, plan
from kms_actors.token.role import TokenRole

NOW = 1_700_000_000.0
SUBSET = "child policies must be subset of parent"


def policies(asked: tuple[str, ...], role: dict[str, Any] | None, *, sudo: bool = False) -> tuple[str, ...]:
    maker = Maker(right=Right.POLICY, policies=("a", "default"), sudo=sudo, accessor="of-maker")
    return plan(
        Wanted(policies=asked), maker, TokenRole(name="r", **role) if role is not None else None, NOW
    ).spec.policies


@pytest.mark.parametrize("role", [None, {"renewable": False}, {"orphan": True}])
def test_whoever_has_no_sudo_gets_what_he_has_unless_a_role_speaks_of_policies(role: dict[str, Any] | None) -> None:
    assert policies(("a",), role) == ("a", "default")
    assert policies((), role) == ("a", "default")
    with pytest.raises(InvalidRequest, match=SUBSET):
        policies(("b",), role)
    assert policies(("b",), role, sudo=True) == ("b", "default")


@pytest.mark.parametrize("role", [None, {"renewable": False}])
@pytest.mark.parametrize("sudo", [False, True])
def test_names_of_nothing_are_not_what_the_maker_has(role: dict[str, Any] | None, sudo: bool) -> None:
    for asked in (("",), (" ", "")):
        assert policies(asked, role, sudo=sudo) == ("default",)
        for right in (Right.ROOT, Right.DATA):
            maker = Maker(right=right, policies=("root",), sudo=True)
            spec = plan(Wanted(policies=asked, ttl=60), maker, TokenRole(name="r") if role else None, NOW).spec
            assert (spec.policies, spec.right) == (("default",), Right.POLICY)


@pytest.mark.parametrize("forbids", [{"disallowed_policies": ("a",)}, {"disallowed_policies_glob": ("a*",)}])
def test_what_a_role_forbids_is_not_inherited_either(forbids: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest, match="disallowed"):
        policies((), forbids)


def test_default_is_not_added_where_a_role_disallows_it() -> None:
    for forbids in ({"disallowed_policies": ("default",)}, {"disallowed_policies_glob": ("d*",)}):
        assert policies(("b",), forbids) == ("b",)
        for asked in ((), ("a", "default")):
            with pytest.raises(InvalidRequest, match="disallowed"):
                policies(asked, forbids)
        assert policies((), {"allowed_policies": ("b",), **forbids}) == ("b",)


@pytest.mark.parametrize("role", [None, {}, {"allowed_policies": ("a", "default")}, {"disallowed_policies": ("z",)}])
def test_no_default_policy_counts_where_default_is_named(role: dict[str, Any] | None) -> None:
    made = TokenRole(name="r", **role) if role is not None else None
    for maker in (Maker(right=Right.POLICY, policies=("a", "default"), sudo=False), ROOT):
        wanted = Wanted(policies=("a", "default"), no_default_policy=True)
        assert plan(wanted, maker, made, NOW).spec.policies == ("a",)


def test_a_role_gives_what_it_allows_and_all_but_what_it_forbids() -> None:
    assert policies(("b",), {"allowed_policies": ("b",)}) == ("b", "default")
    assert policies(("bc",), {"allowed_policies_glob": ("b*",)}) == ("bc", "default")
    for forbids in ({"disallowed_policies": ("c",)}, {"disallowed_policies_glob": ("c*",)}):
        assert policies(("b",), forbids) == ("b", "default")
        with pytest.raises(InvalidRequest, match="disallowed"):
            policies(("c",), forbids)


def test_an_orphan_that_a_biscuit_still_binds_is_told_so() -> None:
    """`no_parent` is kept as far as it can be, and the rest of it is not passed over in silence."""
    operator = Maker(right=Right.ROOT, policies=("root",), sudo=True, under="biscuit", free=True)
    for maker, bound in ((operator, False), (msgspec.structs.replace(operator, free=False), True)):
        made = plan(Wanted(no_parent=True, ttl=60), maker, None, NOW)
        assert (made.spec.orphan, bool(made.spec.under), len(made.warnings)) == (not bound, bound, int(bound))
        assert not plan(Wanted(ttl=60), maker, None, NOW).warnings


ROOT = Maker(right=Right.ROOT, policies=("root",), sudo=True, chooses=True)


@pytest.mark.parametrize(
    ("text", "maker", "refused"),
    [
        ("x" * 20, {"sudo": False}, "root or sudo privileges required to specify token id"),
        ("x" * 20, {"chooses": False}, "in the vault that tenants.default_vault names"),
        ("hvs.CAESIJ000000000000000000", {}, "cannot have the 'hvs.' prefix"),
        ("s.000000000000000000000000", {}, "cannot have the 's.' prefix"),
        ("0123456789.0123456789", {}, "cannot have a '.' in the value"),
        ("x" * 19, {}, "20 to 128"),
        ("x" * 129, {}, "20 to 128"),
        ("x" * 20 + " ", {}, "20 to 128"),
        ("x" * 20 + "\n", {}, "20 to 128"),
        ("é" * 20, {}, "20 to 128"),
    ],
)
def test_texts_that_no_token_is_given(text: str, maker: dict[str, Any], refused: str) -> None:
    with pytest.raises(InvalidRequest, match=refused):
        plan(Wanted(id=text), msgspec.structs.replace(ROOT, **maker), None, NOW)


def test_a_chosen_text_is_a_service_tokens() -> None:
    found = plan(Wanted(id="~" * 128, policies=("a",)), ROOT, None, NOW)
    assert found.spec.chosen == "~" * 128
    assert "hard to guess" in found.warnings[0]
    with pytest.raises(InvalidRequest, match='batch tokens cannot have "id" set'):
        plan(Wanted(id="x" * 20, policies=("a",), type="batch"), ROOT, None, NOW)
