"""Chunks against a model: with a chunk of a few bytes, any value may be long. On every engine."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kms_actors.errors import FormatError
from kms_actors.store.api import Store
from kms_actors.store.foundationdb import values as foundationdb_values
from kms_actors.store.foundationdb.values import (
    chunks_between,
    chunks_of,
)
from tests.faults.shim import Faults, FaultyStore
from tests.store.access import clear, get, get_all, put
from tests.store.model import DELTAS, KEYS, check_against_model

CHUNK = 20
MARK = foundationdb_values._MARK

VALUES = st.one_of(
    st.binary(max_size=30),
    st.integers(CHUNK - 1, 5 * CHUNK + 1).map(lambda length: bytes(range(length))),
    st.binary(max_size=40).map(lambda tail: bytes(8) + MARK + tail),  # looks like a header
)
INITIAL = st.dictionaries(KEYS, VALUES, max_size=8)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("set"), KEYS, VALUES),
        st.tuples(st.just("clear"), KEYS),
        st.tuples(st.just("clear_range"), KEYS, KEYS),
        st.tuples(st.just("add"), KEYS, DELTAS),
        st.tuples(st.just("get"), KEYS),
        st.tuples(st.just("get_range"), KEYS, KEYS, st.integers(0, 5), st.booleans()),
    ),
    max_size=15,
)


@pytest.fixture
def chunked(store: Store, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Return the store as the FoundationDB engine sees it, with small chunks."""
    monkeypatch.setattr(foundationdb_values, "CHUNK_BYTES", CHUNK)
    return FaultyStore(store, Faults())


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(initial=INITIAL, steps=STEPS)
async def test_chunks_are_never_seen(
    chunked: Store, initial: dict[bytes, bytes], steps: list[tuple[Any, ...]]
) -> None:
    await check_against_model(chunked, initial, steps)


async def test_a_value_that_looks_like_a_header_is_a_value(chunked: Store) -> None:
    value = bytes(8) + MARK + bytes(24)
    await put(chunked, (b"key", value))
    assert await get(chunked, b"key") == value
    assert await get_all(chunked) == [(b"key", value)]


async def test_a_missing_chunk_is_an_error(chunked: Store, store: Store) -> None:
    await put(chunked, (b"key", bytes(3 * CHUNK)))
    await clear(store, chunks_of(b"key")[0] + (1).to_bytes(4, "big"))
    with pytest.raises(FormatError, match="chunks"):
        await get(chunked, b"key")


@given(first=KEYS, second=KEYS)
def test_chunks_of_a_key_lie_in_its_place(first: bytes, second: bytes) -> None:
    (begin, end), (other_begin, other_end) = chunks_of(first), chunks_of(second)
    assert begin < end
    if first < second:
        assert end <= other_begin
        place_begin, place_end = chunks_between(first, second)
        assert place_begin <= begin
        assert end <= place_end <= other_begin < other_end
