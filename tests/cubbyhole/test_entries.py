"""What a token may keep, and what a list of it shows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kms_actors.cubbyhole import entries
from kms_actors.cubbyhole.records import Held
from kms_actors.errors import InvalidRequest

PATHS = st.lists(st.text("ab/é!", min_size=1, max_size=6), max_size=12, unique=True)


def test_an_entry_counts_its_path_and_its_contents() -> None:
    assert entries.size_of("é/x", b'{"a":1}') == 4 + 7
    for path in ("x" * (entries.MAX_PATH + 1), "\ud800"):
        with pytest.raises(InvalidRequest):
            entries.size_of(path, b"{}")


def test_what_is_held_is_what_was_written_and_not_removed() -> None:
    held = entries.written(Held(), None, 10)
    held = entries.written(held, None, 5)
    assert held == Held(entries=2, bytes=15)
    held = entries.written(held, 10, 3)
    assert held == Held(entries=2, bytes=8)
    after = entries.removed(held, 5)
    assert after == Held(entries=1, bytes=3)
    assert entries.removed(after, 3) is None


def test_a_token_keeps_no_more_than_it_may() -> None:
    full = Held(entries=entries.MOST_ENTRIES, bytes=entries.MOST_BYTES)
    assert entries.written(full, 7, 7) == full
    with pytest.raises(InvalidRequest, match="entries"):
        entries.written(full, None, 1)
    with pytest.raises(InvalidRequest, match="bytes"):
        entries.written(full, 7, 8)


def test_names_of_a_level_are_told_once_and_folders_end_with_a_slash() -> None:
    assert entries.names(["B", "a", "a/b/c", "a/d"], "") == ["B", "a", "a/"]
    assert entries.names(["a/b/c", "a/d"], "a/") == ["b/", "d"]
    assert entries.names([], "") == []


@given(PATHS)
def test_names_are_those_of_all_paths(paths: list[str]) -> None:
    shown = entries.names(sorted(paths, key=str.encode), "")
    assert shown == sorted(set(shown), key=str.encode)
    assert set(shown) == {first + slash for first, slash, _ in (path.partition("/") for path in paths)}
