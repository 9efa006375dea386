from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kms_actors.login.glob import any_matches, matches


@pytest.mark.parametrize(
    ("pattern", "text", "fits"),
    [
        ("", "", True),
        ("", "a", False),
        ("*", "", True),
        ("*", "anything", True),
        ("a*", "ab", True),
        ("a*", "ba", False),
        ("*a", "ba", True),
        ("a*a", "a", False),
        ("a*b*c", "a-b-c", True),
        ("a*b*c", "a-c-b", False),
        ("a?c", "abc", False),
        ("a.c", "abc", False),
        ("**", "x", True),
        ("*ab*", "aab", True),
    ],
)
def test_a_star_stands_for_any_text_and_nothing_else_does(pattern: str, text: str, fits: bool) -> None:
    assert matches(pattern, text) is fits


@given(st.text("ab*", max_size=8), st.text("ab", max_size=12))
def test_it_is_what_the_expression_says(pattern: str, text: str) -> None:
    expression = ".*".join(map(re.escape, pattern.split("*")))
    assert matches(pattern, text) is (re.fullmatch(expression, text) is not None)


def test_a_long_pattern_of_stars_takes_no_time() -> None:
    assert not matches("*a" * 500 + "b", "a" * 5000)


def test_any_of_several() -> None:
    assert any_matches(["x", "te*"], "team")
    assert not any_matches([], "team")
