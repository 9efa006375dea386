from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kms_actors.errors import InvalidRequest
from kms_actors.login.pairs import MAX_BYTES, MAX_PAIRS, parse

FORMAT = "failed to parse metadata: failed to parse the input: invalid <key,value> format"
PAIR = "failed to parse metadata: failed to parse the input: invalid <key,value> pair"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", {}),
        ("{}", {}),
        ('{"b":"c","a":"é"}', {"a": "é", "b": "c"}),
        (base64.b64encode(b'{"x":"y"}').decode(), {"x": "y"}),
        ("a=b, c = d ,,", {"a": "b", "c": "d"}),
    ],
)
def test_all_forms_are_read(text: str, found: dict[str, str]) -> None:
    assert parse("metadata", text) == found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x", FORMAT),
        ("[]", FORMAT),
        ('{"a":1}', FORMAT),
        ("a=b=c", FORMAT),
        ("a=", PAIR),
        ("=b", PAIR),
        ('{"a":null}', "failed to parse metadata: invalid value for a key"),
    ],
)
def test_what_is_none_of_them_is_told_and_not_shown(text: str, said: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse("metadata", text)
    assert str(refused.value) == said


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({str(number): "x" for number in range(MAX_PAIRS + 1)}),
        json.dumps({"x" * 129: "y"}),
        json.dumps({"x": "y" * 513}),
        json.dumps({str(number): "é" * 500 for number in range(10)}),
        "x" * 70_000,
    ],
)
def test_there_are_bounds(text: str) -> None:
    with pytest.raises(InvalidRequest, match="metadata: at most"):
        parse("metadata", text)


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        found = parse("metadata", text)
    except InvalidRequest:
        return
    assert sum(len(name.encode()) + len(value.encode()) for name, value in found.items()) <= MAX_BYTES
