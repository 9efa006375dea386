"""The log of writes and the set of ranges, apart from any database."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kms_actors.errors import TransactionTooLarge
from kms_actors.store.api import TRANSACTION_BYTES
from kms_actors.store.writes import Add, Clear, ClearRange, Ranges, Set, SetVersionstamped, Writes, plus

LETTERS = st.sampled_from([bytes([letter]) for letter in b"abcdefgh"])


@given(st.lists(st.tuples(LETTERS, LETTERS).filter(lambda pair: pair[0] < pair[1])))
def test_ranges_hold_exactly_the_keys_they_were_given(pairs: list[tuple[bytes, bytes]]) -> None:
    ranges = Ranges()
    for begin, end in pairs:
        ranges.add(begin, end)
    for key in (bytes([letter]) + tail for letter in b"abcdefgh" for tail in (b"", b"\0")):
        assert (key in ranges) == any(begin <= key < end for begin, end in pairs)
    assert ranges._begins == sorted(ranges._begins)
    assert all(end < begin for end, begin in zip(ranges._ends, ranges._begins[1:], strict=False))


def test_the_log_keeps_the_order_of_writes() -> None:
    writes = Writes()
    writes.set(b"a", b"1")
    writes.clear(b"a")
    writes.add(b"n", -1)
    writes.set_versionstamped(b"p", b"s", b"v")
    writes.set_versionstamped(b"p", b"s", b"v")
    writes.clear_range(b"a", b"z")
    assert writes.log == [
        Set(b"a", b"1"),
        Clear(b"a"),
        Add(b"n", -1),
        SetVersionstamped(b"p", b"\0\0s", b"v"),
        SetVersionstamped(b"p", b"\0\1s", b"v"),
        ClearRange(b"a", b"z"),
    ]


def test_clearing_an_empty_range_is_no_write() -> None:
    writes = Writes()
    writes.clear_range(b"b", b"a")
    assert writes.log == []


def test_a_sum_of_zero_still_makes_the_counter() -> None:
    writes = Writes()
    writes.add(b"n", 5)
    writes.add(b"n", -5)
    assert writes.reads_through(b"n")
    assert writes.view(b"n", None) == bytes(8)


def test_an_add_after_a_clear_starts_from_zero() -> None:
    writes = Writes()
    writes.clear_range(b"a", b"z")
    writes.add(b"n", 5)
    assert not writes.reads_through(b"n")
    assert writes.view(b"n", b"\xff" * 8) == b"\5" + bytes(7)


@pytest.mark.parametrize(
    ("value", "delta", "total"),
    [
        (None, 1, "0100000000000000"),
        (b"\xff", 1, "0001000000000000"),
        (b"\xff" * 8, 1, "0000000000000000"),
        (bytes(8), -1, "ffffffffffffffff"),
        (bytes(8) + b"more", 2, "0200000000000000"),
    ],
)
def test_counters_are_eight_bytes_and_wrap_around(value: bytes | None, delta: int, total: str) -> None:
    assert plus(value, delta).hex() == total


def test_the_bound_is_on_all_writes_together() -> None:
    writes = Writes()
    writes.set(b"", bytes(TRANSACTION_BYTES - 1))
    writes.clear(b"1")
    with pytest.raises(TransactionTooLarge, match=str(TRANSACTION_BYTES)):
        writes.clear(b"2")
