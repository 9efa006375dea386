"""Counts in windows, by a clock that tests set: what passes is never more than is said, and never less."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kms_actors.quota.records import TOGETHER, RateLimit
from kms_actors.quota.windows import MOST_COUNTS, Windows, share_of

TWICE = RateLimit("a", 2.0, interval=5)


def test_a_window_begins_with_the_first_request_after_the_last_ones_end() -> None:
    windows = Windows(1)
    verdicts = [windows.take(TWICE, "", at) for at in (100.0, 100.2, 100.4, 104.9, 107.0, 111.9)]
    assert [verdict.allowed for verdict in verdicts] == [True, True, False, False, True, True]
    assert [verdict.remaining for verdict in verdicts] == [1, 0, 0, 0, 1, 0]
    assert [verdict.reset for verdict in verdicts] == [5, 5, 5, 1, 5, 1]
    assert [verdict.retry_after for verdict in verdicts] == [0, 0, 5, 1, 0, 0]


def test_who_waits_as_long_as_was_said_is_served() -> None:
    windows, at = Windows(1), 7.3
    for _ in range(50):
        verdict = windows.take(TWICE, "", at)
        at += verdict.retry_after if not verdict.allowed else 0.001
        if not verdict.allowed:
            assert windows.take(TWICE, "", at).allowed


def test_who_is_blocked_stays_so_for_the_whole_time_however_often_he_asks() -> None:
    rule = RateLimit("a", 1.0, interval=1, block_interval=4)
    windows = Windows(1)
    assert windows.take(rule, "", 0.0).allowed
    assert windows.take(rule, "", 0.5) == (False, 1, 0, 1, 4, False, False)
    assert [windows.take(rule, "", at).retry_after for at in (1.5, 3.0, 4.4)] == [3, 2, 1]
    assert windows.take(rule, "", 4.5).allowed


def test_addresses_are_counted_each_by_itself_or_all_together() -> None:
    windows = Windows(1)
    alone, together = RateLimit("a", 1.0), RateLimit("b", 1.0, group_by=TOGETHER)
    assert [windows.take(alone, address, 0.0).allowed for address in ("x", "y", "x")] == [True, True, False]
    assert [windows.take(together, address, 0.0).allowed for address in ("x", "y")] == [True, False]


def test_as_many_counts_as_there_are_addresses_are_not_kept() -> None:
    windows = Windows(1)
    for number in range(MOST_COUNTS + 100):
        windows.take(TWICE, f"10.{number}", 0.0)
    assert len(windows._counts) == MOST_COUNTS


@pytest.mark.parametrize(("rate", "workers", "share"), [(10, 1, 10), (10, 4, 3), (1, 8, 1), (0.5, 1, 1), (8, 8, 1)])
def test_a_workers_share_is_rounded_up_so_that_none_refuses_all(rate: float, workers: int, share: int) -> None:
    assert share_of(rate, workers) == share


@given(
    rate=st.floats(0.1, 50),
    interval=st.integers(1, 30),
    workers=st.integers(1, 8),
    steps=st.lists(st.tuples(st.floats(0, 10), st.integers(0, 7)), max_size=300),
)
def test_no_more_passes_in_an_interval_than_is_promised(
    rate: float, interval: int, workers: int, steps: list[tuple[float, int]]
) -> None:
    """All workers together, in any time as long as an interval: less than twice `rate + workers`."""
    rule = RateLimit("a", rate, interval=interval)
    each = [Windows(workers) for _ in range(workers)]
    now, passed = 1000.0, []
    for step, worker in steps:
        now += step
        if each[worker % workers].take(rule, "", now).allowed:
            passed.append(now)
    for start in passed:
        count = sum(start <= at < start + interval for at in passed)
        assert count <= 2 * workers * share_of(rate, workers) < 2 * (math.ceil(rate) + workers)


@given(st.lists(st.floats(0.05, 3), min_size=1, max_size=200), st.integers(1, 20), st.integers(1, 5))
def test_who_asks_no_more_than_he_may_is_never_refused(gaps: list[float], rate: int, interval: int) -> None:
    """At most `rate` requests in any interval: each passes."""
    rule, windows, now = RateLimit("a", float(rate), interval=interval), Windows(1), 0.0
    passed: list[float] = []
    for gap in gaps:
        now += gap
        if sum(at > now - interval for at in passed) < rate:
            assert windows.take(rule, "", now).allowed
            passed.append(now)


@pytest.mark.parametrize("start", [0.1, 1234.567, 987654.321, 3e7 + 0.7])
def test_a_whole_interval_is_told_as_such_whenever_it_begins(start: float) -> None:
    """Not as a second more, for a sum that floating point rounded up."""
    for number in range(200):
        assert Windows(1).take(RateLimit("a", 1.0, interval=3600), "", start + number / 7).reset == 3600
