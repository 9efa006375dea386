"""Filters of audit devices: what they let through, and what they refuse."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kms_actors.audit import filters
from kms_actors.errors import InvalidRequest

FACTS = {
    "mount_point": "secret/",
    "mount_type": "kv",
    "namespace": "vault_1",
    "operation": "update",
    "path": "secret/data/app/db",
}


@pytest.mark.parametrize(
    ("text", "through"),
    [
        ("operation == update", True),
        ('operation == "read"', False),
        ("operation != read", True),
        ('"secret/data/" in path', True),
        ('"other" not in path', True),
        ("path contains app", True),
        ("path not contains app", False),
        ("mount_type == kv and operation == read", False),
        ("mount_type == kv and operation == read or namespace == vault_1", True),
        ("mount_type == kv and (operation == read or namespace == vault_1)", True),
        ("not operation == update", False),
        ("not (operation == read)", True),
        ("mount_point is empty", False),
        ("mount_point is not empty", True),
        ("path == `secret/data/app/db`", True),
        (r'path == "secret\\data"', False),
    ],
)
def test_lets_through_what_it_says(text: str, through: bool) -> None:
    assert filters.parse(text)(FACTS) is through


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "ends too early"),
        ("path", "no comparison"),
        ("path ==", "ends too early"),
        ("path matches ^secret", "`matches` is not supported"),
        ("user == me", "no selector"),
        ('"path" == x', "no selector"),
        ("x in nowhere", "no selector"),
        ("(path == x", "not closed"),
        ("path == x)", "one too many"),
        ("path == x path == y", "one too many"),
        ("path not == x", "`not` stands before"),
        ('path == "x', "not understood"),
        ("and path == x", "expected"),
        ("path == x" + " or path == x" * 64, "more than 64"),
        ("not " * 17 + "path == x", "nested deeper"),
        ("(" * 17 + "path == x" + ")" * 17, "nested deeper"),
        ("path == " + "x" * 2048, "longer than"),
    ],
)
def test_is_refused_with_a_reason(text: str, why: str) -> None:
    with pytest.raises(InvalidRequest, match="invalid filter") as refused:
        filters.parse(text)
    assert why in str(refused.value)


WORDS = st.sampled_from(
    [*filters.SELECTORS, "and", "or", "not", "(", ")", "==", "!=", "in", "is", "empty", '"x"', "y"]
)


@given(st.lists(WORDS, max_size=20).map(" ".join) | st.text(max_size=60))
def test_any_text_is_a_filter_or_refused(text: str) -> None:
    try:
        found = filters.parse(text)
    except InvalidRequest:
        return
    assert found(FACTS) in (True, False)
