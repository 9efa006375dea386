"""Uses of key versions: how they add up, and which version a text names."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kms_actors.transit.usage import Use, added, plus, total, version_of

uses = st.dictionaries(
    st.sampled_from(["encrypt", "decrypt", "sign"]), st.builds(Use, st.integers(1, 10**12), st.integers(0, 2**33))
)


def test_counts_add_up_and_the_last_time_stays() -> None:
    one = {"encrypt": Use(2, 100), "sign": Use(1, 5)}
    other = {"encrypt": Use(3, 90), "verify": Use(7, 200)}
    assert plus(one, other) == {"encrypt": Use(5, 100), "sign": Use(1, 5), "verify": Use(7, 200)}
    assert one == {"encrypt": Use(2, 100), "sign": Use(1, 5)}


@given(st.lists(st.tuples(st.integers(1, 4), uses), max_size=4))
def test_the_order_of_the_parts_does_not_matter(parts: list[tuple[int, dict[str, Use]]]) -> None:
    first = total(parts)
    assert list(first) == sorted(first)
    assert all(total(order) == first for order in permutations(parts))
    for version, found in first.items():
        for operation, use in found.items():
            same = [part[operation] for number, part in parts if number == version and operation in part]
            assert use == Use(sum(one.count for one in same), max(one.last for one in same))


@pytest.mark.parametrize(
    ("text", "version"),
    [("vault:v1:AAAA", 1), ("vault:v12:", 12), ("vault:v0:AAAA", 1), ("vault:v+3:AA:AA", 3), ("vault:v007:x", 7)],
)
def test_texts_name_their_version(text: str, version: int) -> None:
    assert version_of(text) == version


def test_a_time_that_a_clock_far_ahead_counted_heals_with_the_next_use() -> None:
    known = {"encrypt": Use(5, 2_000_000), "sign": Use(1, 2_000_000)}
    assert added(known, {"encrypt": Use(2, 1_000_000)}) == {"encrypt": Use(7, 1_000_000), "sign": Use(1, 2_000_000)}
    assert added(known, {"encrypt": Use(2, 2_000_000 - 3600)}) == {**known, "encrypt": Use(7, 2_000_000)}
    assert added(known, {"encrypt": Use(2, 3_000_000)}) == {**known, "encrypt": Use(7, 3_000_000)}
