"""Documents: exact numbers, merge patches, subkeys."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kms_actors.errors import InvalidRequest
from kms_actors.kv import documents

leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
values = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=4)
)
objects = st.dictionaries(st.text(max_size=3), values, max_size=4)

# RFC 7396, appendix A, as far as target and patch are objects.
RFC_7396 = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]


@pytest.mark.parametrize(("target", "patch", "result"), RFC_7396)
def test_merge_follows_rfc_7396(target: Any, patch: Any, result: Any) -> None:
    merged = documents.merge(documents.pack(target), documents.pack(patch))
    assert json.loads(merged) == result


@given(objects)
def test_a_document_reads_back_as_it_was(value: dict[str, Any]) -> None:
    assert json.loads(documents.pack(value)) == value


@given(objects, objects)
def test_merging_twice_is_merging_once(target: dict[str, Any], patch: dict[str, Any]) -> None:
    packed = documents.pack(patch)
    once = documents.merge(documents.pack(target), packed)
    assert documents.merge(once, packed) == once


@pytest.mark.parametrize("number", [2**53 + 1, 2**64, -(2**63) - 1, 12345678901234567890, 10**300])
def test_whole_numbers_survive_packing_and_merging(number: int) -> None:
    merged = documents.merge(documents.pack({"a": number}), documents.pack({"b": -number}))
    assert merged == b'{"a":%d,"b":%d}' % (number, -number)


def test_keys_are_sorted_at_every_level() -> None:
    assert documents.pack({"b": {"d": 1, "c": 2}, "a": 3}) == b'{"a":3,"b":{"c":2,"d":1}}'


def test_too_large_a_document_is_refused_by_its_size_alone() -> None:
    edge = documents.MAX_DOCUMENT - len('{"a":""}')
    documents.pack({"a": "x" * edge})
    with pytest.raises(InvalidRequest, match="data must be at most 1048576 bytes of JSON"):
        documents.pack({"a": "x" * (edge + 1)})


@pytest.mark.parametrize(
    ("depth", "names"),
    [
        (0, {"a": None, "e": None, "l": None, "n": {"x": None, "y": {"z": None}}}),
        (1, {"a": None, "e": None, "l": None, "n": None}),
        (2, {"a": None, "e": None, "l": None, "n": {"x": None, "y": None}}),
        (9, {"a": None, "e": None, "l": None, "n": {"x": None, "y": {"z": None}}}),
    ],
)
def test_subkeys_show_names_and_no_values(depth: int, names: dict[str, Any]) -> None:
    document = documents.pack({"a": 1, "e": {}, "l": [{"in": 1}], "n": {"x": "s", "y": {"z": True}}})
    assert json.loads(documents.subkeys(document, depth)) == names
