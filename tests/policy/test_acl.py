"""Which rule speaks for a path, against a plain walk over all of them; and what several policies say together."""

from __future__ import annotations

import json
from functools import partial
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kms_actors.auth import principal
from kms_actors.auth.principal import Capability
from kms_actors.errors import PermissionDenied
from kms_actors.policy import builtin
from kms_actors.policy.acl import KEPT, Acl, compile_acl
from kms_actors.policy.document import Policy, parse
from kms_actors.policy.rule import Rule

C = Capability
CAPABILITIES = [capability.value for capability in C]


def policy(name: str, *rules: tuple[str, str]) -> Policy:
    return parse(name, "\n".join(f'path "{path}" {{ {inside} }}' for path, inside in rules))


def acl(*rules: tuple[str, str]) -> Acl:
    return compile_acl([policy("p", *((path, f'capabilities = ["{what}"]') for path, what in rules))])


def found(compiled: Acl, path: str, *, listing: bool = False) -> str | None:
    rule = compiled.rule(path, listing=listing)
    return None if rule is None else rule.path


@pytest.mark.parametrize(
    ("paths", "asked", "expected"),
    [
        (["a/b", "a/*", "a/+"], "a/b", "a/b"),
        (["a/*", "a/b*", "*"], "a/bc", "a/b*"),
        (["a/*", "a/bcd*", "*"], "a/bc", "a/*"),
        (["a/*", "a/+"], "a/b", "a/+"),  # the same first wildcard, but the glob ends the path
        (["a/b*", "a/+"], "a/bc", "a/b*"),  # the wildcard comes later
        (["a/+/c", "a/b/+"], "a/b/c", "a/b/+"),
        (["+/+/c", "+/b/+"], "a/b/c", "+/b/+"),  # as many wildcards: the last in order
        (["+/b/c", "+/b/+"], "a/b/c", "+/b/c"),
        (["a/+/b*", "a/+/bc*"], "a/x/bcd", "a/+/bc*"),
        (["a/+/bc", "a/+/b*"], "a/x/bc", "a/+/bc"),
        (["a/+/*"], "a/b", None),
        (["a/+/*"], "a/b/", "a/+/*"),
        (["a/+/*"], "a/b/c/d", "a/+/*"),
        (["a/+"], "a/b/c", None),
        (["a/+"], "a/", "a/+"),
        (["+"], "a", "+"),
        (["+"], "a/b", None),
        (["a/*"], "a", None),
        (["*"], "", "*"),
        (["a/+x"], "a/+x", "a/+x"),
        (["a/+x"], "a/bx", None),
    ],
)
def test_priority(paths: list[str], asked: str, expected: str | None) -> None:
    for order in permutations(paths):
        assert found(acl(*((path, "read") for path in order)), asked) == expected


def test_a_list_falls_back_to_the_path_without_its_slash() -> None:
    compiled = acl(("a/b", "list"), ("c/*", "list"), ("c/d*", "read"), ("e/+", "list"))
    assert found(compiled, "a/b/") is None
    assert found(compiled, "a/b/", listing=True) == "a/b"
    assert found(compiled, "c/", listing=True) == "c/*"
    assert found(compiled, "c/d/", listing=True) == "c/d*"  # the longer, with the slash
    assert found(compiled, "e/f/", listing=True) == "e/+"
    assert found(acl(("a/b", "list"), ("a/b/", "deny")), "a/b/", listing=True) == "a/b/"


def test_a_deny_of_the_more_specific_path_holds_for_its_list() -> None:
    """Advisory class: a LIST that passes a more specific deny."""
    compiled = acl(("a/*", "list"), ("a/b", "deny"))
    rule = compiled.rule("a/b/", listing=True)
    assert rule is not None
    assert not rule.permits(C.LIST)


_SEGMENT = st.sampled_from(["a", "b", "ab", "", "+", "+a", "a+", "é"])
_PATTERN = st.builds(
    lambda segments, star: "/".join(segments) + star,
    st.lists(_SEGMENT, min_size=1, max_size=4),
    st.sampled_from(["", "*"]),
).filter(lambda path: "+*" not in path)
_ASKED = st.lists(st.sampled_from(["a", "b", "ab", "abb", "", "+", "é", "aé"]), min_size=1, max_size=4).map("/".join)


def fits(pattern: str, path: str) -> bool:
    segments, glob = pattern.removesuffix("*").split("/"), pattern.endswith("*")
    if pattern != "+" and "/+" not in pattern and not pattern.startswith("+/"):
        return path.startswith(pattern[:-1]) if glob else path == pattern
    parts = path.split("/")
    if len(parts) < len(segments) or (len(parts) > len(segments) and not glob):
        return False
    for index, (segment, part) in enumerate(zip(segments, parts, strict=False)):
        last = glob and index == len(segments) - 1
        if segment not in {"+", part} and not (last and part.startswith(segment)):
            return False
    return True


def rank(pattern: str) -> tuple[object, ...]:
    """As Vault's page has it, exact paths before all."""
    wild = pattern == "+" or "/+" in pattern or pattern.startswith("+/")
    text = pattern.removesuffix("*") if wild or pattern.endswith("*") else pattern
    if not wild and not pattern.endswith("*"):
        return (2,)
    first = pattern.encode().index(b"+") if wild else len(text.encode())
    return 1, first, not pattern.endswith("*"), -text.split("/").count("+") if wild else 0, len(text.encode()), text


@given(st.lists(_PATTERN, max_size=10, unique=True), st.lists(_ASKED, min_size=1, max_size=8))
def test_the_rule_of_the_highest_rank_speaks(patterns: list[str], asked: list[str]) -> None:
    patterns = list({pattern.lstrip("/"): None for pattern in patterns})  # one slash is taken off
    compiled = acl(*((pattern, "read") for pattern in patterns))
    for path in (*asked, *asked):
        best = max((pattern for pattern in patterns if fits(pattern, path)), key=rank, default=None)
        assert found(compiled, path) == best


_INSIDE = st.builds(
    lambda names, extra: f"capabilities = {json.dumps(names)} {extra}",
    st.lists(st.sampled_from(CAPABILITIES), max_size=3),
    st.sampled_from(
        [
            "",
            'allowed_parameters = { a = ["x", "y*"] }',
            "allowed_parameters = { a = [], b = [] }",
            'allowed_parameters = { "*" = [] }',
            'denied_parameters = { a = ["x"] }',
            'denied_parameters = { "*" = [] }',
            'required_parameters = ["a"]',
            'required_parameters = ["b", "a"]',
            "min_wrapping_ttl = 5 max_wrapping_ttl = 50",
            "max_wrapping_ttl = 20",
            "pagination_limit = 7",
        ]
    ),
)
_PATHS = st.sampled_from(["a", "a/b", "a/*", "*", "a/+", "+/b", "a/b*"])
_POLICY = st.lists(st.tuples(_PATHS, _INSIDE), max_size=4)
_SENT = st.dictionaries(st.sampled_from(["a", "b", "A"]), st.sampled_from(["x", "yz", 1, None]), max_size=2)
_WHERE = ["a", "a/b", "a/", "a/b/", "a/c", "c/b", "d"]


def decided(compiled: Acl, path: str, sent: dict[str, object]) -> object:
    rule = compiled.rule(path, listing=True)
    if rule is None:
        return None
    return rule.shown, *_checks(rule, sent)


def _checks(rule: Rule, sent: dict[str, object]) -> tuple[object, ...]:
    answers: list[object] = [rule.limited(sent)] if not rule.required_parameters else []
    for check in (partial(rule.check_parameters, sent), *(partial(rule.check_wrapping, ttl) for ttl in _TTLS)):
        try:
            check()
        except PermissionDenied:
            answers.append(PermissionDenied)
        else:
            answers.append(None)
    return tuple(answers)


_TTLS = (None, 1, 10, 30, 60)


@given(st.lists(_POLICY, max_size=3), _SENT)
def test_the_order_of_policies_does_not_matter(
    contents: list[list[tuple[str, str]]], sent: dict[str, object]
) -> None:
    policies = [policy(f"p{index}", *rules) for index, rules in enumerate(contents)]
    expected = [decided(compile_acl(policies), path, sent) for path in _WHERE]
    for order in permutations(policies):
        assert [decided(compile_acl(order), path, sent) for path in _WHERE] == expected


@given(st.lists(_POLICY, max_size=2), _PATHS)
def test_a_deny_never_widens(contents: list[list[tuple[str, str]]], denied: str) -> None:
    policies = [policy(f"p{index}", *rules) for index, rules in enumerate(contents)]
    before = compile_acl(policies)
    after = compile_acl([*policies, policy("deny", (denied, 'capabilities = ["deny"]'))])
    for path in _WHERE:
        for listing in (False, True):
            given_before, given_after = before.rule(path, listing=listing), after.rule(path, listing=listing)
            if given_after is not None and not given_after.empty:
                assert given_before is not None
                assert given_after.capabilities <= given_before.capabilities


def test_rules_for_one_path_come_together() -> None:
    compiled = compile_acl(
        [
            policy("a", ("x", 'capabilities = ["read"] allowed_parameters = { a = ["1"], b = ["1"] }')),
            policy("b", ("x", 'capabilities = ["update", "scan"] allowed_parameters = { a = ["2"], b = [] }')),
            policy("c", ("x", 'capabilities = [] required_parameters = ["a"]')),
        ]
    )
    rule = compiled.rule("x")
    assert rule is not None
    assert rule.shown == ["read", "scan", "update"]
    assert rule.allowed_parameters == {"a": ("1", "2"), "b": ()}
    assert rule.required_parameters == ("a",)


def test_a_restriction_of_one_policy_is_not_lifted_by_another_without() -> None:
    """As in Vault: what bounds the use of a path bounds it for all policies on that path."""
    compiled = compile_acl(
        [
            policy("a", ("x", 'capabilities = ["update"] denied_parameters = { a = [] }')),
            policy("b", ("x", 'capabilities = ["update"]')),
        ]
    )
    rule = compiled.rule("x")
    assert rule is not None
    assert rule.denied_parameters == {"a": ()}


def test_wrapping_bounds_are_the_smaller_of_each() -> None:
    compiled = compile_acl(
        [
            policy("a", ("x", "min_wrapping_ttl = 10 max_wrapping_ttl = 100")),
            policy("b", ("x", "min_wrapping_ttl = 5 max_wrapping_ttl = 200")),
        ]
    )
    rule = compiled.rule("x")
    assert rule is not None
    assert (rule.min_wrapping_ttl, rule.max_wrapping_ttl) == (5 * 10**9, 100 * 10**9)


def test_root_alone_may_do_all_and_with_others_nothing() -> None:
    root = Policy("root")
    assert compile_acl([root]).is_root
    assert compile_acl([root]).touches("secret/")
    assert compile_acl([root]).resultant() == {"root": True}
    mixed = compile_acl([root, policy("a", ("*", 'capabilities = ["read"]'))])
    assert not mixed.is_root
    assert mixed.rule("x") is None


@pytest.mark.parametrize(
    ("path", "what", "touched"),
    [
        ("secret/data/a", "read", True),
        ("secret/*", "read", True),
        ("secret/data/*", "read", True),
        ("*", "read", True),
        ("sec*", "read", True),
        ("secret", "read", True),
        ("+/data/a", "read", True),
        ("secret/+/a", "read", True),
        ("secret/+", "deny", False),
        ("+/data/*", "deny", False),
        ("secret/*", "deny", False),
        ("*", "deny", False),
        ("other/*", "read", False),
        ("secretive/*", "read", False),
        ("other/+/a", "read", False),
        ("secret/data/a", "deny", False),
    ],
)
def test_whether_anything_may_be_done_below_a_mount(path: str, what: str, touched: bool) -> None:
    compiled = acl((path, what), ("+/x/y/z", "deny"), ("zzz", "read"))
    assert compiled.touches("secret/") is touched
    assert compiled.touches("secret/") is touched  # from memory


def test_what_is_remembered_is_bounded() -> None:
    compiled = acl(("a/*", "read"))
    size = compiled.size
    for number in range(10 * KEPT):
        assert found(compiled, f"a/{number}") == "a/*"
        assert found(compiled, f"b/{number}", listing=True) is None
        compiled.touches(f"{number}/")
    assert found(compiled, "a/" + "x" * 10_000) == "a/*"
    assert len(compiled._kept) <= KEPT
    assert len(compiled._listed) <= KEPT
    assert len(compiled._touched) <= KEPT
    assert max(map(len, compiled._kept)) < 300
    assert compiled.size == size


def test_rules_end() -> None:
    rules = policy(
        "p",
        ("a", 'capabilities = ["read"] expiration = "100"'),
        ("b", 'capabilities = ["read"] expiration = "200"'),
        ("c", 'capabilities = ["read"]'),
    )
    compiled = compile_acl([rules], now=50)
    assert compiled.ends_at == 100
    assert found(compiled, "a") == "a"
    compiled = compile_acl([rules], now=100)
    assert compiled.ends_at == 200
    assert found(compiled, "a") is None
    assert compile_acl([rules], now=300).ends_at is None


def test_the_resultant_acl_shows_rules_as_they_are() -> None:
    compiled = compile_acl(
        [
            policy(
                "p",
                ("a", 'capabilities = ["read"] min_wrapping_ttl = 5 allowed_parameters = { x = ["1"] }'),
                ("b/*", 'capabilities = ["deny"]'),
                ("c/+", 'capabilities = ["read"]'),
            )
        ]
    )
    assert compiled.resultant() == {
        "root": False,
        "exact_paths": {"a": {"capabilities": ["read"], "min_wrapping_ttl": 5, "allowed_parameters": {"x": ("1",)}}},
        "glob_paths": {"b/": {"capabilities": ["deny"]}},
    }


@pytest.mark.parametrize("name", builtin.BUILTIN)
def test_built_in_policies_are_read(name: str) -> None:
    parse(name, builtin.BUILTIN[name])


def test_default_gives_what_the_token_itself_is_about() -> None:
    compiled = compile_acl([parse("default", builtin.BUILTIN["default"])])
    for path, capability in [
        ("auth/token/lookup-self", C.READ),
        ("auth/token/renew-self", C.UPDATE),
        ("sys/tools/hash/sha2-256", C.UPDATE),
        ("cubbyhole/x", C.CREATE),
        ("identity/oidc/provider/x/authorize", C.READ),
    ]:
        rule = compiled.rule(path)
        assert rule is not None
        assert rule.permits(capability)
    assert compiled.rule("secret/data/a") is None
    assert compiled.rule("identity/entity/id/x") is None


def test_an_acl_is_what_principals_ask() -> None:
    asked: principal.Acl = acl(("a", "read"))
    rule = asked.rule("a")
    assert rule is not None
    assert rule.capabilities == {C.READ}
