"""What stands for values in entries."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kms_actors.audit.masking import PREFIX, Masker, Steps, counted
from kms_actors.exact_json import RawJson

KEY = bytes(range(32))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=30,
)


def run(steps: Steps) -> Any:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def expected(text: str) -> str:
    raw = text.encode("utf-8", "surrogatepass")
    return "hmac-sha256:" + hmac.digest(KEY, raw, hashlib.sha256).hex()


def oracle(value: Any) -> Any:
    if isinstance(value, str):
        return expected(value)
    if isinstance(value, list):
        return [oracle(entry) for entry in value]
    if isinstance(value, dict):
        return {name: oracle(entry) for name, entry in value.items()}
    return value


def test_the_hmac_is_that_of_the_standard() -> None:
    """RFC 4231, test case 2."""
    made = Masker(b"Jefe").hmac("what do ya want for nothing?")
    assert made == PREFIX + "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"


def test_a_key_longer_than_a_block_is_hashed_first() -> None:
    """RFC 4231, test case 6."""
    made = Masker(b"\xaa" * 131).hmac("Test Using Larger Than Block-Size Key - Hash Key First")
    assert made == PREFIX + "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"


@given(VALUES)
def test_every_string_is_masked_wherever_it_stands(value: Any) -> None:
    masker = Masker(KEY)
    assert masker.value(value) == oracle(value)
    assert run(masker.fields_in_steps({"x": value}, frozenset())) == {"x": oracle(value)}


@given(VALUES)
def test_json_that_was_kept_as_it_came_is_masked_like_any_other(value: Any) -> None:
    raw = RawJson(json.dumps(value).encode("utf-8", "surrogatepass"))
    try:
        masked = Masker(KEY).value(raw)
    except ValueError:  # surrogates, which no JSON that was taken holds
        return
    assert masked == oracle(json.loads(raw.text))
    assert run(Masker(KEY).fields_in_steps({"x": [raw]}, frozenset())) == {"x": [masked]}


def test_named_fields_are_shown_however_deep_and_what_has_other_names_below_them_is_not() -> None:
    data = {"a": "x", "b": "x", "c": {"a": ["x", ["x"], {"b": "x"}]}, "raw": RawJson(b'{"a": "x", "b": "x"}')}
    hidden = expected("x")
    shown = {
        "a": "x",
        "b": hidden,
        "c": {"a": ["x", ["x"], {"b": hidden}]},
        "raw": {"a": "x", "b": hidden},
    }
    assert Masker(KEY).fields(data, frozenset({"a"})) == shown
    assert run(Masker(KEY).fields_in_steps(data, frozenset({"a"}))) == shown
    assert Masker(KEY).fields(data, frozenset({"c"}))["c"] == {"a": [hidden, [hidden], {"b": hidden}]}


@given(st.dictionaries(st.sampled_from("abc"), VALUES), st.frozensets(st.sampled_from("abc")))
def test_what_is_shown_in_steps_is_what_is_shown_at_once(data: dict[str, Any], shown: frozenset[str]) -> None:
    assert run(Masker(KEY).fields_in_steps(data, shown)) == Masker(KEY).fields(data, shown)


def test_many_values_and_long_ones_are_many_steps() -> None:
    steps = list(Masker(KEY).fields_in_steps({"many": ["x"] * 2_000, "long": "x" * (1 << 20)}, frozenset()))
    assert len(steps) >= 10 + 4
    assert run(Masker(KEY).fields_in_steps({"long": "x" * (1 << 20)}, frozenset()))["long"] == expected(
        "x" * (1 << 20)
    )


def test_a_raw_device_shows_values() -> None:
    masker = Masker(KEY, raw=True)
    assert (masker.text("x"), masker.value({"a": ["x"]})) == ("x", {"a": ["x"]})
    assert masker.hmac("x") == expected("x")


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        ({"keys": ["a", "b"], "key_info": {"a": {}}}, {"keys": 2, "key_info": 1}),
        ({"keys": "a", "other": [1]}, {"keys": "a", "other": [1]}),
        ({"keys": {"1": 5}}, {"keys": {"1": 5}}),
    ],
)
def test_lists_are_counted(data: dict[str, Any], shown: dict[str, Any]) -> None:
    assert counted(data) == shown
