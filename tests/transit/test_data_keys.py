"""Data keys that are kept close together are those that were put there."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kms_actors.transit.data_keys import DataKeys
from kms_actors.transit.messages import DataKey

MADE = st.builds(
    DataKey,
    st.tuples(st.text(st.characters(codec="ascii"), max_size=30), st.integers(1, 2**40)),
    st.binary(max_size=70),
)


@given(st.lists(st.lists(MADE, max_size=5), min_size=1, max_size=5))
def test_they_come_out_as_they_went_in(slices: list[list[DataKey]]) -> None:
    kept = DataKeys()
    for made in slices:
        kept += made
    whole = [each for made in slices for each in made]
    assert list(kept) == list(kept) == whole
    assert len(kept) == len(whole)
    if whole:
        assert kept.version == whole[0].encrypted[1]


def test_none_is_shown() -> None:
    kept = DataKeys()
    kept += [DataKey(("vault:v1:abc", 1), b"in the clear")]
    assert repr(kept) == "<DataKeys: 1>"
