"""What a policy may say, and how it is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kms_actors.auth.principal import Capability
from kms_actors.errors import InvalidRequest
from kms_actors.policy.document import MAX_PATH, MAX_RULES, PathRule, parse
from kms_actors.policy.paths import Kind

C = Capability
WRITE = {C.CREATE, C.READ, C.UPDATE, C.DELETE, C.LIST}


def rules(text: str) -> tuple[PathRule, ...]:
    return parse("p", text).rules


def only(inside: str) -> PathRule:
    [found] = rules(f'path "x" {{ {inside} }}')
    return found


def error(text: str) -> str:
    with pytest.raises(InvalidRequest) as caught:
        parse("p", text)
    return str(caught.value).removeprefix("failed to parse policy: ")


def test_a_rule_with_all_it_may_have() -> None:
    rule = only("""
        comment = "why"
        capabilities = ["create", "list", "scan", "sudo", "patch"]
        allowed_parameters = { "Key" = ["a*", 5, true, {"b" = [1]}], "*" = [] }
        denied_parameters { other = [] }
        required_parameters = ["Key"]
        min_wrapping_ttl = 60
        max_wrapping_ttl = "1h30m"
        pagination_limit = 10
        expiration = "2030-01-01T00:00:00Z"
    """)
    assert rule.rule.capabilities == {C.CREATE, C.LIST, C.SCAN, C.SUDO, C.PATCH}
    assert rule.rule.shown == ["create", "list", "patch", "scan", "sudo"]
    assert rule.rule.allowed_parameters == {"key": ("a*", 5, True, {"b": [1]}), "*": ()}
    assert rule.rule.denied_parameters == {"other": ()}
    assert rule.rule.required_parameters == ("Key",)
    assert (rule.rule.min_wrapping_ttl, rule.rule.max_wrapping_ttl) == (60 * 10**9, 5400 * 10**9)
    assert rule.rule.pagination_limit == 10
    assert rule.expires_at == 1893456000


@pytest.mark.parametrize(
    ("path", "kind", "key"),
    [
        ("secret/a", Kind.EXACT, "secret/a"),
        ("/secret/a", Kind.EXACT, "secret/a"),
        ("//a", Kind.EXACT, "/a"),
        ("", Kind.EXACT, ""),
        ("a*b", Kind.EXACT, "a*b"),
        ("a+b", Kind.EXACT, "a+b"),
        ("secret/*", Kind.PREFIX, "secret/"),
        ("secret/a**", Kind.PREFIX, "secret/a*"),
        ("*", Kind.PREFIX, ""),
        ("+", Kind.SEGMENTS, "+"),
        ("+/a", Kind.SEGMENTS, "+/a"),
        ("a/+/b*", Kind.SEGMENTS, "a/+/b*"),
        ("a/+b*", Kind.SEGMENTS, "a/+b*"),
    ],
)
def test_kinds_of_paths(path: str, kind: Kind, key: str) -> None:
    [rule] = rules(f'path "{path}" {{ }}')
    assert rule.place == (kind, key)


@pytest.mark.parametrize(
    ("old", "new"), [("read", {C.READ, C.LIST}), ("write", WRITE), ("sudo", WRITE | {C.SUDO}), ("", set())]
)
def test_policies_of_the_oldest_form(old: str, new: set[Capability]) -> None:
    assert only(f'policy = "{old}"').rule.capabilities == new
    assert only(f'policy = "{old}" capabilities = ["patch"]').rule.capabilities == new | {C.PATCH}


@pytest.mark.parametrize("inside", ['policy = "deny" capabilities = ["read"]', 'capabilities = ["read", "deny"]'])
def test_deny_leaves_nothing_else(inside: str) -> None:
    rule = only(inside + " allowed_parameters = { a = [] }").rule
    assert rule.denies
    assert rule.empty
    assert rule.shown == ["deny"]
    assert not rule.restricts_parameters


def test_json_names_paths_as_keys_and_may_do_so_in_lists() -> None:
    capabilities = '{"capabilities": ["read"]}'
    one = rules(f'{{"path": {{"a": {capabilities}, "b/*": [{capabilities}, {{"policy": "deny"}}]}}}}')
    assert [rule.rule.path for rule in one] == ["a", "b/*", "b/*"]
    two = rules(f'{{"path": [{{"a": {capabilities}}}, {{"b": {capabilities}}}]}}')
    assert [rule.rule.path for rule in two] == ["a", "b"]


def test_what_is_given_twice_is_joined() -> None:
    rule = only("""
        capabilities = ["read"]
        capabilities = ["list"]
        required_parameters = ["a"] required_parameters = ["b"]
        allowed_parameters = { a = ["x"], A = ["y"] }
        allowed_parameters = { a = ["z"], b = [] }
    """).rule
    assert rule.capabilities == {C.READ, C.LIST}
    assert rule.required_parameters == ("a", "b")
    assert rule.allowed_parameters == {"a": ("x", "y", "z"), "b": ()}


def test_a_template_has_no_place_yet() -> None:
    [rule] = rules('path "a/{{identity.entity.name}}/+" { }')
    assert rule.place is None
    assert rule.rule.path == "a/{{identity.entity.name}}/+"


def test_an_empty_policy_and_a_name_inside_are_taken() -> None:
    assert rules("") == rules("  # nothing\n") == rules("{}") == rules('name = "other"') == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('foo "x" {}', "line 1, column 1: invalid key 'foo'"),
        ('\npath "x" {\n  bar = 1\n}', "line 3, column 3: invalid key 'bar'"),
        ('path "x" { capabilities = ["read",\n "subscribe"] }', "line 2, column 2: invalid capability 'subscribe'"),
        ('path "x" { capabilities = ["recover"] }', "line 1, column 28: invalid capability 'recover'"),
        ('path "x" { capabilities = ["root"] }', "line 1, column 28: invalid capability 'root'"),
        ('path "x" { capabilities = "read" }', "line 1, column 27: a list is expected"),
        ('path "x" { capabilities = [true] }', "line 1, column 28: a text is expected"),
        ('path "x" { policy = "all" }', "line 1, column 21: invalid policy 'all'"),
        ('path "x" { capabilities "y" {} }', "line 1, column 25: 'capabilities' has no label"),
        ('path "x/+*" {}', "line 1, column 6: invalid use of wildcards: '+*' is forbidden"),
        ("path {}", 'line 1, column 1: a path has one label: path "secret/*" { … }'),
        ('path "a" "b" {}', "line 1, column 1: a path has one label"),
        ("path = 5", "line 1, column 1: a path has one label"),
        ('{"path": {"a": 5}}', "line 1, column 16: an object is expected"),
        ('{"path": 5}', "line 1, column 2: a path has one label"),
        ('{"path": {"a": {"b": 1}}}', "line 1, column 17: invalid key 'b'"),
        ('path "x" { control_group {} }', "line 1, column 12: control groups are not supported"),
        ('path "x" { mfa_methods = [] }', "line 1, column 12: MFA methods are not supported"),
        (
            'path "x" { list_scan_response_keys_filter_path = "" }',
            "line 1, column 12: filters of lists are not supported",
        ),
        ('path "x" { allowed_parameters = { a = "b" } }', "line 1, column 39: a list is expected"),
        ('path "x" { allowed_parameters = ["b"] }', "line 1, column 33: an object is expected"),
        ('path "x" { allowed_parameters = { a = [{b = 1, b = 2}] } }', "line 1, column 48: 'b' is given twice"),
        (
            'path "x" { min_wrapping_ttl = "2h" max_wrapping_ttl = 60 }',
            "line 1, column 6: max_wrapping_ttl is less than",
        ),
        ('path "x" { min_wrapping_ttl = "-1s" }', "line 1, column 31: a duration is expected"),
        ('path "x" { min_wrapping_ttl = 1.5 }', "line 1, column 31: a duration is expected"),
        ('path "x" { max_wrapping_ttl = ["1h"] }', "line 1, column 31: a duration is expected"),
        ('path "x" { pagination_limit = "a" }', "line 1, column 31: a whole number is expected"),
        ('path "x" { expiration = "tomorrow" }', "line 1, column 25: a time is expected"),
        ('path "x" { expiration = "2030-01-01" }', "line 1, column 25: a time is expected"),
        ('path "x{{identity" {}', "line 1, column 6: '{{' and '}}' do not pair in the path"),
        ('path "x}}" {}', "line 1, column 6: '}}' without '{{' in the path"),
        ('path "{{time.now}}" {}', "line 1, column 6: templates of time are not supported"),
    ],
)
def test_what_is_refused_is_told_with_its_place(text: str, expected: str) -> None:
    assert error(text).startswith(expected)


def test_rules_and_paths_are_bounded() -> None:
    assert len(rules('path "x" {}\n' * MAX_RULES)) == MAX_RULES
    assert error('path "x" {}\n' * (MAX_RULES + 1)) == f"line {MAX_RULES + 1}, column 1: more than 2,000 rules"
    assert "at most 1,024 bytes" in error(f'path "{"é" * MAX_PATH}" {{}}')


_VALUE = st.one_of(st.booleans(), st.integers(-5, 5), st.text('ab*{}$\\"\n', max_size=4), st.just(["x", {"k": True}]))
_WORDS = st.fixed_dictionaries(
    {"capabilities": st.lists(st.sampled_from([*C, "deny"]), max_size=3)},
    optional={
        "policy": st.sampled_from(["read", "write", "deny"]),
        "allowed_parameters": st.dictionaries(st.text("aB*", max_size=3), st.lists(_VALUE, max_size=3), max_size=3),
        "required_parameters": st.lists(st.text("ab", max_size=2), max_size=2),
        "min_wrapping_ttl": st.sampled_from([5, "5", "1m"]),
        "pagination_limit": st.integers(0, 9),
    },
)


@given(st.lists(st.tuples(st.text("ab/*é", max_size=6), _WORDS), max_size=5))
def test_a_policy_is_the_same_in_hcl_and_in_json(contents: list[tuple[str, dict[str, Any]]]) -> None:
    def value(found: Any) -> str:
        if isinstance(found, dict):
            return f"{{ {', '.join(f'{value(name)} = {value(inner)}' for name, inner in found.items())} }}"
        if isinstance(found, list):
            return f"[{', '.join(map(value, found))}]"
        return json.dumps(found)

    hcl = "\n".join(
        f"path {value(path)} {{\n" + "".join(f"  {name} = {value(inner)}\n" for name, inner in words.items()) + "}"
        for path, words in contents
    )
    members = ", ".join(f"{json.dumps(path)}: {json.dumps(words)}" for path, words in contents)
    assert rules(hcl.replace("${", "$ {")) == rules(f'{{"path": {{{members}}}}}'.replace("${", "$ {"))


def test_no_value_of_a_parameter_is_in_an_error() -> None:
    assert "canary" not in error('path "x" { allowed_parameters = { a = "canary" } }')
