from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.bench.results import (
    OURS,
    REFERENCE,
    Results,
    Row,
    Series,
    Spread,
    advantage,
    load,
    percentile,
    save,
    series_of,
    spread,
)

ROW = Row("encrypt", "sqlite", 2, 16)
#: As many rounds for both servers; an odd number, as rounds are by default.
ROUNDS = st.sampled_from((1, 3, 5)).flatmap(
    lambda rounds: st.lists(st.tuples(*[st.floats(1, 1e6)] * 2), min_size=rounds, max_size=rounds)
)


def pair(measure: str, ours: list[float], reference: list[float]) -> tuple[Series, Series]:
    return Series(ROW, measure, ours), Series(ROW, measure, reference, REFERENCE)


def test_a_spread_is_the_median_and_the_ends() -> None:
    assert spread([5.0, 1.0, 9.0, 2.0, 3.0]) == Spread(3.0, 1.0, 9.0)
    assert spread([1.0, 2.0]) == Spread(1.5, 1.0, 2.0)


@pytest.mark.parametrize(
    ("measure", "ours", "reference", "expected"),
    [
        ("throughput", [20.0, 30.0, 40.0], [10.0, 10.0, 10.0], Spread(3.0, 2.0, 4.0)),
        ("cpu", [50.0, 100.0, 200.0], [200.0, 200.0, 200.0], Spread(2.0, 1.0, 4.0)),
        ("p99", [400.0], [100.0], Spread(0.25, 0.25, 0.25)),
    ],
)
def test_an_advantage_above_one_means_better_whatever_the_measure(
    measure: str, ours: list[float], reference: list[float], expected: Spread
) -> None:
    assert advantage(*pair(measure, ours, reference)) == expected


def test_rounds_are_compared_with_the_ones_beside_them() -> None:
    """A machine that was twice as fast in one round says nothing about the servers."""
    assert advantage(*pair("throughput", [10.0, 20.0, 10.0], [5.0, 10.0, 5.0])) == Spread(2.0, 2.0, 2.0)


@given(ROUNDS)
def test_the_ratio_of_the_medians_is_within_the_rounds(rounds: list[tuple[float, float]]) -> None:
    found = advantage(*pair("throughput", [ours for ours, _ in rounds], [other for _, other in rounds]))
    assert found.least <= found.median <= found.most


def test_a_cost_too_small_to_be_seen_is_no_error() -> None:
    assert advantage(*pair("cpu", [0.0], [10.0])).median == float("inf")


@pytest.mark.parametrize(("share", "expected"), [(0.5, 50), (0.99, 99), (0.991, 100), (1.0, 100), (0.0, 1)])
def test_a_percentile_is_the_value_that_so_many_do_not_exceed(share: float, expected: int) -> None:
    assert percentile([*range(100, 0, -1)], share) == expected


def test_a_percentile_of_one_value_is_that_value() -> None:
    assert percentile([7.0], 0.99) == 7.0


def test_samples_become_a_series_a_measure_and_server() -> None:
    made = series_of(ROW, {OURS: [{"cpu": 1.0, "p50": 2.0}, {"cpu": 3.0, "p50": 4.0}], REFERENCE: [{"cpu": 5.0}]})
    assert made == [
        Series(ROW, "cpu", [1.0, 3.0]),
        Series(ROW, "p50", [2.0, 4.0]),
        Series(ROW, "cpu", [5.0], REFERENCE),
    ]


def test_saved_results_are_read_back_and_the_last_file_wins(tmp_path: Path) -> None:
    first = Results(2, [Series(ROW, "cpu", [1.0]), Series(ROW, "p50", [2.0])], {"date": "first"})
    second = Results(2, [Series(ROW, "cpu", [3.0])], {"date": "second"})
    paths = tmp_path / "new" / "first.json", tmp_path / "second.json"
    save(first, paths[0])
    save(second, paths[1])
    assert load(paths[:1]) == first
    assert load(paths) == Results(2, [Series(ROW, "cpu", [3.0]), Series(ROW, "p50", [2.0])], {"date": "second"})
    assert load(paths).rows() == [ROW]
