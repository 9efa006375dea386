from __future__ import annotations

from contextlib import nullcontext, suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kms_actors.errors import InvalidRequest
from kms_actors.login.jwt_claims import (
    MAX_GROUPS,
    Expected,
    check_bound,
    check_registered,
    find_claim,
    groups_of,
    mapped,
    user_of,
)

NOW = 1_000_000.5


def refused(claims: dict[str, Any], expected: Expected = Expected()) -> str:  # noqa: B008 - immutable
    try:
        check_registered(claims, expected, NOW)
    except InvalidRequest as error:
        return str(error)
    return ""


EARLY = "invalid not before (nbf) claim: token not yet valid"
LATE = "invalid expiration time (exp) claim: token is expired"
FUTURE = "invalid issued at (iat) claim: token issued in the future"
OTHERS = "invalid audience (aud) claim: audience claim does not match any expected audience"
NO_AUDIENCE = "invalid audience (aud) claim: neither a string nor a list of strings"
NO_TIMES = "no issued at (iat), not before (nbf), or expiration time (exp) claims in token"


@pytest.mark.parametrize(
    ("times", "text"),
    [
        ({}, NO_TIMES),
        ({"exp": None}, NO_TIMES),
        ({"iat": 1_000_000, "exp": 1_000_100}, ""),
        ({"iat": 1_000_000, "exp": 999_941}, ""),
        ({"iat": 1_000_000, "exp": 999_940}, LATE),
        ({"iat": 1_000_000, "exp": 0}, LATE),
        ({"iat": 1_000_000, "exp": -5}, LATE),
        ({"iat": 1_000_000, "nbf": 1_000_060, "exp": 1_000_100}, ""),
        ({"nbf": 1_000_061, "exp": 1_000_100}, EARLY),
        ({"iat": 1_000_061, "nbf": 1_000_000, "exp": 1_000_100}, FUTURE),
        ({"iat": 1_000_061}, EARLY),
        # Without an end, it ends 150 seconds after its beginning.
        ({"iat": 999_800}, ""),
        ({"iat": 999_700}, LATE),
        ({"nbf": 999_800}, ""),
        # Without a beginning, it begins 150 seconds before its end.
        ({"exp": 1_000_200}, ""),
        ({"exp": 1_000_211}, EARLY),
        ({"exp": 1_000_200.9}, ""),
        ({"exp": "1000100"}, "claim exp is not a number of seconds"),
        ({"exp": True}, "claim exp is not a number of seconds"),
        ({"iat": [1]}, "claim iat is not a number of seconds"),
    ],
)
def test_times(times: dict[str, Any], text: str) -> None:
    assert refused(times) == text


def test_leeways_are_what_a_role_says_and_none_below_zero() -> None:
    assert refused({"iat": 1_000_000, "exp": 1_000_000}, Expected(clock_skew_leeway=-1)) == LATE
    assert refused({"iat": 999_000}, Expected(expiration_leeway=2000)) == ""
    assert refused({"iat": 1_000_000}, Expected(expiration_leeway=-1, clock_skew_leeway=-1)) == LATE
    assert refused({"exp": 1_001_000}, Expected(not_before_leeway=2000)) == ""
    assert refused({"exp": 1_000_010}, Expected(not_before_leeway=-1, clock_skew_leeway=-1)) == EARLY


def test_times_may_be_missing_where_another_program_looks_at_them() -> None:
    assert refused({}, Expected(times_needed=False)) == ""
    assert refused({"exp": 1, "iat": 0}, Expected(times_needed=False)) == LATE


@pytest.mark.parametrize(
    ("claims", "expected", "text"),
    [
        ({"iss": "a"}, Expected(issuer="a"), ""),
        ({"iss": "b"}, Expected(issuer="a"), "invalid issuer (iss) claim"),
        ({"iss": "ab"}, Expected(issuer="abc"), "invalid issuer (iss) claim"),  # CVE-2024-53861
        ({"iss": ["a"]}, Expected(), "claim iss is not a string"),
        ({"jti": 1}, Expected(), "claim jti is not a string"),
        ({"iss": None}, Expected(), ""),
        ({}, Expected(issuer="a"), "invalid issuer (iss) claim"),
        ({"sub": "a"}, Expected(subject="a"), ""),
        ({"sub": "b"}, Expected(subject="a"), "invalid subject (sub) claim"),
        ({"sub": 1}, Expected(subject="1"), "claim sub is not a string"),
        ({"aud": "a"}, Expected(audiences=("x", "a")), ""),
        ({"aud": ["b", "a"]}, Expected(audiences=("x", "a")), ""),
        ({"aud": "ab"}, Expected(audiences=("a",)), OTHERS),
        ({}, Expected(audiences=("a",)), OTHERS),
        ({"aud": []}, Expected(audiences=("a",)), OTHERS),
        ({"aud": ["a", 1]}, Expected(audiences=("a",)), NO_AUDIENCE),
        ({"aud": 3}, Expected(), NO_AUDIENCE),
    ],
)
def test_registered_claims(claims: dict[str, Any], expected: Expected, text: str) -> None:
    assert refused({"iat": 1_000_000, **claims}, expected) == text


CLAIMS: dict[str, Any] = {
    "sub": "anna",
    "aud": "me",
    "a/b": 1,
    "a~b": 2,
    "deep": {"er": [{"name": "x"}, "y"], "": "empty"},
    "n": 7,
    "f": 7.9,
    "yes": True,
    "list": ["p", 7, False],
    "/odd": "plain",
}


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("sub", "anna"),
        ("aud", ["me"]),
        ("/sub", "anna"),
        ("/aud", "me"),
        ("/a~1b", 1),
        ("/a~0b", 2),
        ("/deep/er/0/name", "x"),
        ("/deep/er/1", "y"),
        ("/deep/", "empty"),
        ("/deep/er/2", None),
        ("/deep/er/-1", None),
        ("/deep/er/²", None),
        ("/sub/0", None),
        ("/odd", None),
        ("none", None),
    ],
)
def test_claims_are_found_by_name_and_by_pointer(name: str, found: Any) -> None:
    assert find_claim(CLAIMS, name) == found


@pytest.mark.parametrize(
    ("bound", "globs", "fits"),
    [
        ({}, False, True),
        ({"sub": "anna"}, False, True),
        ({"sub": ["bob", "anna"]}, False, True),
        ({"sub": "ann*"}, False, False),
        ({"sub": "ann*"}, True, True),
        ({"list": "p"}, False, True),
        ({"list": "*"}, True, True),
        ({"n": 7}, False, True),
        ({"n": "7"}, False, False),
        ({"n": "7"}, True, False),
        ({"f": 7}, False, True),
        ({"yes": True}, False, True),
        ({"yes": 1}, False, False),
        ({"n": True}, False, False),
        ({"deep": "x"}, False, False),
        ({"sub": "anna", "none": "x"}, False, False),
        ({"sub": "anna", "n": 8}, False, False),
        ({"sub": []}, False, False),
        ({"aud": "me"}, False, True),
    ],
)
def test_bound_claims(bound: dict[str, Any], globs: bool, fits: bool) -> None:
    with nullcontext() if fits else pytest.raises(InvalidRequest, match=r"^error validating claims") as refused:
        check_bound(CLAIMS, bound, globs=globs)
    assert refused is None or "anna" not in str(refused.value)


def test_the_user_is_a_text_of_some_length() -> None:
    assert user_of(CLAIMS, "sub", pointer=False) == "anna"
    assert user_of(CLAIMS, "/deep/er/1", pointer=True) == "y"
    assert user_of(CLAIMS, "/odd", pointer=False) == "plain"
    for name in ("n", "none", "deep"):
        with pytest.raises(InvalidRequest):
            user_of(CLAIMS, name, pointer=False)
    for text in ("", "x" * 1025):
        with pytest.raises(InvalidRequest):
            user_of({"sub": text}, "sub", pointer=False)


def test_groups_are_texts_each_once() -> None:
    assert groups_of({"g": ["b", "a", "", "b"]}, "g") == ("b", "a")
    assert groups_of({"g": "one"}, "g") == ("one",)
    assert groups_of({"x": {"g": ["a"]}}, "/x/g") == ("a",)
    for value in (None, 3, [3], {"a": 1}, ["a"] * (MAX_GROUPS + 1), ["a" * 2000]):
        with pytest.raises(InvalidRequest):
            groups_of({"g": value}, "g")


def test_mappings_take_texts_alone_and_leave_out_what_is_not_there() -> None:
    assert mapped(CLAIMS, {"sub": "user", "/deep/er/1": "y", "none": "z"}) == {"user": "anna", "y": "y"}
    for name in ("n", "list"):
        with pytest.raises(InvalidRequest, match="error converting claim"):
            mapped(CLAIMS, {name: "x"})


NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from(["exp", "nbf", "iat", "aud", "iss", "sub", "g"]), JSON), st.text(max_size=12))
def test_any_claims_are_taken_or_refused_in_words(claims: dict[str, Any], name: str) -> None:
    for look in (
        lambda: check_registered(claims, Expected(issuer="i", subject="s", audiences=("a",)), NOW),
        lambda: check_bound(claims, {name: "x", "g": "*"}, globs=True),
        lambda: groups_of(claims, name),
        lambda: user_of(claims, "/" + name, pointer=True),
        lambda: mapped(claims, {name: "x", "g": "y"}),
    ):
        with suppress(InvalidRequest):
            look()
