"""Bounds before parsing, exact numbers, and what counts as JSON."""

from __future__ import annotations

import contextlib
import json
import time
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kms_actors.errors import InvalidRequest
from kms_http.wire import json_codec
from kms_http.wire.json_codec import (
    MAX_DEPTH,
    RawJson,
    check,
    dumps,
    loads,
)

awkward = st.text(st.sampled_from('"\\[]{},:x'), max_size=8)
values = st.recursive(
    st.none() | st.integers() | awkward,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(awkward, inner, max_size=3),
)


def depth(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(depth, inner), default=0)


def elements(value: Any) -> int:
    """Commas and opening brackets."""
    if not isinstance(value, dict | list):
        return 0
    inner = list(value.values()) if isinstance(value, dict) else value
    return 1 + max(0, len(inner) - 1) + sum(map(elements, inner))


@given(values, st.integers(1, 4))
@example({"a": '["', "b": [[]]}, 1)
@example(['"', "[", "\\"], 1)
@example(["[", "[", "]", [["]"]]], 2)
def test_depth_is_bounded_exactly_whatever_strings_hold(value: Any, most: int) -> None:
    body = json.dumps(value).encode()
    if depth(value) <= most:
        check(body, max_depth=most)
    else:
        with pytest.raises(InvalidRequest, match=f"JSON input is nested deeper than {most} levels"):
            check(body, max_depth=most)


@given(values, st.integers(1, 8))
def test_elements_are_bounded_exactly_whatever_strings_hold(value: Any, most: int) -> None:
    body = json.dumps(value).encode()
    if elements(value) <= most:
        check(body, max_elements=most)
    else:
        with pytest.raises(InvalidRequest, match=f"JSON input holds more than {most} elements"):
            check(body, max_elements=most)


@given(values)
def test_what_is_written_is_read_back(value: Any) -> None:
    assert loads(dumps(value)) == value
    assert loads(b" \n" + json.dumps(value, indent=1).encode()) == value


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_nesting_stops_at_the_bound(opening: bytes) -> None:
    closing = b"]" if opening == b"[" else b"1}"
    assert depth(loads(opening * MAX_DEPTH + closing + closing[-1:] * (MAX_DEPTH - 1))) == MAX_DEPTH
    for levels in (MAX_DEPTH + 1, 10_000, 1_000_000):
        with pytest.raises(InvalidRequest, match=r"nested deeper|elements"):
            loads(opening * levels + closing + closing[-1:] * (levels - 1))
        with pytest.raises(InvalidRequest):
            loads(opening * levels)


def test_a_large_batch_passes() -> None:
    batch = {"batch_input": [{"plaintext": "QUJD", "context": "eA=="} for _ in range(10_000)]}
    assert loads(json.dumps(batch).encode()) == batch


@pytest.mark.parametrize(
    "body",
    [b"[" * 2**22, b"[]," * 2**20, b'"\\"' * 2**20, b'["' + b"\\" * 2**22, b'{"a":"' + b"[{," * 2**20 + b'"}'],
    ids=["open", "empty", "quotes", "backslashes", "inside"],
)
def test_hostile_bodies_cost_little(body: bytes) -> None:
    started = time.process_time()
    with contextlib.suppress(InvalidRequest):
        loads(body)
    assert time.process_time() - started < 0.4


@pytest.mark.parametrize("number", [2**53 + 1, 2**63, 2**64, -(2**63) - 1, 12345678901234567890123, 10**4000])
def test_whole_numbers_survive_both_ways(number: int) -> None:
    assert loads(b'{"n":%d}' % number) == {"n": number}
    assert dumps({"n": number}) == b'{"n":%d}' % number


def test_the_last_of_equal_keys_wins() -> None:
    assert loads(b'{"a":1,"a":2}') == {"a": 2}


@pytest.mark.parametrize("tail", [b"x", b" {}", b"}", b"\n\n", b"\xc3\xa9", b"NaN"])
def test_bytes_after_the_first_value_are_ignored(tail: bytes) -> None:
    assert loads(b'{"a":18446744073709551617}' + tail) == {"a": 18446744073709551617}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b'{"a":-Infinity}x',
        b'{"a":1e400}',
        b"[1e400]x",
        b'{"a":01}',
        b"{'a':1}",
        b'{"a":"\xff"}',
        b'{"a":"\\ud800"}',
        b"\xef\xbb\xbf{}",
        b"9" * 5000,
        b"x",
        b'{"a":[}',
    ],
)
def test_what_is_not_json_is_refused_without_echo(body: bytes) -> None:
    with pytest.raises(InvalidRequest) as raised:
        loads(body)
    assert str(raised.value) == "error parsing JSON"
    assert raised.value.__cause__ is None


def test_raw_json_is_written_as_it_is_and_not_shown() -> None:
    raw = RawJson(b'{"b":18446744073709551617, "a":1.0}')
    assert dumps({"data": raw}) == b'{"data":{"b":18446744073709551617, "a":1.0}}'
    assert dumps({"data": raw, "n": 2**64}).startswith(b'{"data":{"b":18446744073709551617, "a":1.0},')
    assert dumps(RawJson(b"")) == b""
    assert repr(raw) == "<RawJson of 35 bytes>"


@pytest.mark.parametrize("value", [object(), {"a": b"bytes"}, [{1, 2}]])
def test_what_is_no_json_is_not_written(value: Any) -> None:
    with pytest.raises(TypeError, match=r"is not JSON serializable|is no JSON"):
        json_codec.dumps(value)


LONG_NUMBER = b"9" * 4000


def test_a_large_body_of_long_numbers_is_refused_before_they_are_parsed() -> None:
    body = b'{"a":[%b]}' % b",".join([LONG_NUMBER] * 1000)
    with pytest.raises(InvalidRequest, match="numbers that are too long"):
        json_codec.loads(body)


def test_long_numbers_that_take_no_time_are_exact() -> None:
    body = b'{"a":%b,"b":"%b"}' % (LONG_NUMBER, b"AAAA" * (1 << 20))
    assert json_codec.loads(body)["a"] == int(LONG_NUMBER)
    few = b'{"a":[%b]}' % b",".join([LONG_NUMBER] * 60)
    assert len(json_codec.loads(few)["a"]) == 60


def test_a_large_body_of_text_and_short_numbers_passes() -> None:
    numbers = b",".join([b"1234567890123456789"] * 150_000)
    assert len(json_codec.loads(b"[%b]" % numbers)) == 150_000


def test_behind_the_first_value_of_a_large_body_nothing_may_stand() -> None:
    assert json_codec.loads(b'{"a":1} x') == {"a": 1}
    with pytest.raises(InvalidRequest, match="error parsing JSON"):
        json_codec.loads(b'{"a":"%b"} x' % (b"A" * json_codec.MAX_FIRST_VALUE))
