"""Values enter paths as text, and never widen a rule."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kms_actors.auth.principal import Capability
from kms_actors.policy.acl import compile_acl
from kms_actors.policy.document import parse
from kms_actors.policy.templates import Alias, Group, Subject, fill

BOB = Subject(
    "e-1",
    "bob",
    {"team": "red", "a.b": "dotted"},
    (Alias("userpass_1", "a-1", "bob@x", {"mail": "m"}, {"floor": "4"}),),
    (Group("g-1", "staff", {"city": "Ulm"}),),
)


@pytest.mark.parametrize(
    ("asked", "value"),
    [
        ("identity.entity.id", "e-1"),
        ("identity.entity.name", "bob"),
        ("identity.entity.metadata.team", "red"),
        ("identity.entity.metadata.a.b", "dotted"),
        ("identity.entity.aliases.userpass_1.id", "a-1"),
        ("identity.entity.aliases.userpass_1.name", "bob@x"),
        ("identity.entity.aliases.userpass_1.metadata.mail", "m"),
        ("identity.entity.aliases.userpass_1.custom_metadata.floor", "4"),
        ("identity.groups.ids.g-1.name", "staff"),
        ("identity.groups.names.staff.id", "g-1"),
        ("identity.groups.names.staff.metadata.city", "Ulm"),
    ],
)
def test_values(asked: str, value: str) -> None:
    assert fill(f"a/{{{{ {asked} }}}}/b/{{{{{asked}}}}}", BOB) == f"a/{value}/b/{value}"


@pytest.mark.parametrize(
    "asked",
    [
        "",
        "identity.entity",
        "identity.entity.metadata",
        "identity.entity.metadata.none",
        "identity.entity.groups.names",
        "identity.entity.aliases.none.name",
        "identity.entity.aliases.userpass_1",
        "identity.entity.aliases.userpass_1.custom_metadata.none",
        "identity.groups.ids.none.name",
        "identity.groups.ids.g-1",
        "identity.groups.other.g-1.name",
        "identity.groups.names.staff.members",
        "other",
    ],
)
def test_what_has_no_value_leaves_the_rule_out(asked: str) -> None:
    assert fill(f"a/{{{{{asked}}}}}", BOB) is None
    assert fill("a/{{identity.entity.id}}", None) is None


@pytest.mark.parametrize("value", ["", "*", "a*", "+", "a/b", "/", "a+"])
def test_a_value_that_would_make_another_rule_withholds_all(value: str) -> None:
    """A rule that was left out may have been one that denies."""
    policies = [
        parse("open", 'path "secret/*" { capabilities = ["read"] }'),
        parse("p", 'path "secret/{{identity.entity.metadata.x}}*" { capabilities = ["deny"] }'),
    ]
    acl = compile_acl(policies, Subject("e", "n", {"x": value}))
    assert acl.withheld == "p"
    assert acl.rule("secret/other") is None
    assert acl.rule("secret/" + value) is None
    assert compile_acl(policies, Subject("e", "n", {"x": "a"})).withheld is None
    assert compile_acl(policies, Subject("e", "n")).rule("secret/a") is not None  # as in Vault, where there is none


@given(st.text(max_size=8), st.text(st.sampled_from("ab/+*{}."), max_size=12))
def test_no_value_reaches_beyond_its_own_text(value: str, path: str) -> None:
    policy = parse("p", 'path "s/{{identity.entity.metadata.x}}/k" { capabilities = ["read"] }')
    rule = compile_acl([policy], Subject("e", "n", {"x": value})).rule(path)
    assert rule is None or path == f"s/{value}/k"


def test_a_policy_may_let_slashes_and_wildcards_in() -> None:
    text = 'path "s/{{identity.entity.metadata.x}}" { capabilities = ["read"] }'
    open_policy = parse("p", text, blocked="")
    acl = compile_acl([open_policy], Subject("e", metadata={"x": "a/+/b"}))
    assert acl.rule("s/a/c/b") is not None
    assert compile_acl([open_policy], Subject("e", metadata={"x": "+*"})).withheld == "p"


def test_a_value_is_not_a_template_again() -> None:
    subject = Subject("e", metadata={"x": "{{identity.entity.id}}"})
    assert fill("a/{{identity.entity.metadata.x}}", subject) == "a/{{identity.entity.id}}"


def test_subjects_are_compared_by_what_they_hold_and_shown_as_nothing() -> None:
    assert Subject("e", metadata={"a": "1", "b": "2"}).key == Subject("e", metadata={"b": "2", "a": "1"}).key
    assert Subject("e").key != Subject("f").key
    assert repr(BOB) == "<Subject>"


def test_the_rule_of_a_template_has_the_path_it_speaks_for() -> None:
    policy = parse("p", 'path "/s/{{identity.entity.name}}/*" { capabilities = ["read"] }')
    rule = compile_acl([policy], BOB).rule("s/bob/x")
    assert rule is not None
    assert rule.path == "s/bob/*"
    assert rule.permits(Capability.READ)
