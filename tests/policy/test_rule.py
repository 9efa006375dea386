"""What binds the use of a path: parameters, wrapping, the length of lists."""

from __future__ import annotations

from typing import Any

import pytest

from kms_actors.errors import PermissionDenied
from kms_actors.policy.parameters import matches, same
from kms_actors.policy.rule import Rule


def allows(rule: Rule, sent: dict[str, Any]) -> bool:
    try:
        rule.check_parameters(sent)
    except PermissionDenied:
        return False
    return True


@pytest.mark.parametrize(
    ("sent", "item", "fits"),
    [
        ("abc", "abc", True),
        ("abc", "ab*", True),
        ("abc", "*bc", True),
        ("abc", "*b*", True),
        ("abc", "*x*", False),
        ("abc", "a*c", False),
        ("*", "*", True),
        ("abc", "*", False),
        ("", "", True),
        ("abc", "**", True),
        (1, 1, True),
        (1.0, 1, True),
        (1, True, False),
        ("1", 1, False),
        (None, None, True),
        (["a"], ["a"], True),
        (["ab"], ["a*"], False),
        ({"a": [1]}, {"a": [1]}, True),
        ({"a": [1]}, {"a": [1], "b": 2}, False),
    ],
)
def test_values_fit(sent: Any, item: Any, fits: bool) -> None:
    assert matches(sent, item) is fits
    if not isinstance(item, str):
        assert same(sent, item) is fits


@pytest.mark.parametrize(
    ("allowed", "sent", "passes"),
    [
        (None, {"a": 1}, True),
        ({}, {"a": 1}, True),
        ({"*": ()}, {"a": 1}, True),
        ({"a": ()}, {"a": 1}, True),
        ({"a": ()}, {"A": 1}, True),
        ({"a": ()}, {"b": 1}, False),
        ({"a": ()}, {}, True),
        ({"a": ("x",)}, {"a": "y"}, False),
        ({"a": ("x",), "*": ()}, {"a": "y"}, False),
        ({"a": ("x",), "*": ()}, {"b": "y"}, True),
        ({"*": ("x",)}, {"b": "y"}, True),
        ({"a": (5,)}, {"a": "5"}, False),
    ],
)
def test_allowed(allowed: Any, sent: dict[str, Any], passes: bool) -> None:
    assert allows(Rule("x", allowed_parameters=allowed), sent) is passes


@pytest.mark.parametrize(
    ("denied", "sent", "passes"),
    [
        ({"a": ()}, {"a": 1}, False),
        ({"a": ()}, {"A": 1}, False),
        ({"a": ()}, {"b": 1}, True),
        ({"a": ("x", "y*")}, {"a": "yz"}, False),
        ({"a": ("x",)}, {"a": "z"}, True),
        ({"*": ()}, {"a": "z"}, False),
        ({"*": ()}, {}, True),
        ({"a": (5,)}, {"a": "5"}, False),  # an endpoint takes one for the other
        ({"a": ("5",)}, {"a": 5}, False),
        ({"a": ("true",)}, {"a": True}, False),
    ],
)
def test_denied_comes_before_allowed(denied: Any, sent: dict[str, Any], passes: bool) -> None:
    assert allows(Rule("x", denied_parameters=denied), sent) is passes
    if not passes:
        assert not allows(Rule("x", denied_parameters=denied, allowed_parameters={"*": ()}), sent)


def test_required_is_looked_for_in_lower_case_even_if_nothing_was_sent() -> None:
    rule = Rule("x", required_parameters=("Key",))
    assert allows(rule, {"key": None})
    assert not allows(rule, {"Key": 1})
    assert not allows(rule, {})


@pytest.mark.parametrize(
    ("least", "most", "ttl", "passes"),
    [
        (0, 0, None, True),
        (0, 0, 5, True),
        (5, 0, None, False),
        (5, 0, 4, False),
        (5, 0, 5, True),
        (0, 5, None, False),
        (0, 5, 6, False),
        (0, 5, 5, True),
        (9, 5, 6, False),
        (9, 5, 5, False),
    ],
)
def test_wrapping(least: int, most: int, ttl: int | None, passes: bool) -> None:
    rule = Rule("x", min_wrapping_ttl=least * 10**9, max_wrapping_ttl=most * 10**9)
    if passes:
        rule.check_wrapping(ttl)
    else:
        with pytest.raises(PermissionDenied):
            rule.check_wrapping(ttl)


@pytest.mark.parametrize(
    ("most", "sent", "limit"),
    [
        (0, {}, None),
        (0, {"limit": "5"}, "5"),
        (0, {"limit": "max"}, "0"),
        (10, {}, "10"),
        (10, {"limit": "max"}, "10"),
        (10, {"limit": "0"}, "10"),
        (10, {"limit": "7"}, "7"),
        (10, {"limit": 7}, 7),
        (10, {"limit": "11"}, PermissionDenied),
        (10, {"limit": "-1"}, PermissionDenied),
        (10, {"limit": "x"}, PermissionDenied),
        (10, {"limit": ["7"]}, PermissionDenied),
        (10, {"limit": "9" * 5000}, PermissionDenied),
    ],
)
def test_lists(most: int, sent: dict[str, Any], limit: Any) -> None:
    rule = Rule("x", pagination_limit=most)
    if limit is PermissionDenied:
        with pytest.raises(PermissionDenied):
            rule.limited(sent)
    else:
        assert rule.limited(sent).get("limit") == limit


def test_a_required_limit_is_not_filled_in() -> None:
    with pytest.raises(PermissionDenied):
        Rule("x", pagination_limit=10, required_parameters=("limit",)).limited({})
