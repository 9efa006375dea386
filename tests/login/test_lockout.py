from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kms_actors.login.lockout import COUNTER_RESET, DURATION, THRESHOLD, Failures, LockoutRule
from kms_actors.mounts import LockoutConfig

NOW = 1_700_000_000.0
RULE = LockoutRule(threshold=3, duration=100, counter_reset=50)


def after(*times: float, rule: LockoutRule = RULE) -> Failures | None:
    failures = None
    for time in times:
        if not rule.locked(failures, time):
            failures = rule.failed(failures, "ann", time)
    return failures


def test_so_many_failures_within_a_time_lock_for_a_while() -> None:
    assert not RULE.locked(after(NOW, NOW + 10), NOW + 10)
    failures = after(NOW, NOW + 10, NOW + 20)
    assert RULE.locked(failures, NOW + 20)
    assert RULE.locked(failures, NOW + 119)
    assert not RULE.locked(failures, NOW + 120)


def test_old_failures_are_forgotten() -> None:
    failures = after(NOW, NOW + 49, NOW + 99)
    assert failures is not None
    assert failures.count == 1


def test_after_a_lock_counting_begins_anew() -> None:
    rule = LockoutRule(threshold=3, duration=10, counter_reset=1000)
    failures = after(NOW, NOW, NOW, NOW + 10, rule=rule)
    assert failures is not None
    assert failures.count == 1


def test_a_failure_far_in_the_future_counts_for_nothing() -> None:
    failures = Failures(alias="ann", count=9, last=NOW + 1000)
    assert not RULE.locked(failures, NOW)
    assert RULE.failed(failures, "ann", NOW).count == 1
    assert RULE.locked(Failures(alias="ann", count=9, last=NOW + 10), NOW)


def test_a_mount_may_say_otherwise() -> None:
    assert LockoutRule.of(None) == LockoutRule.of(LockoutConfig()) == (THRESHOLD, DURATION, COUNTER_RESET, False)
    assert LockoutRule.of(LockoutConfig(2, 3, 4, True)) == (2, 3, 4, True)
    assert not LockoutRule(disabled=True).locked(Failures(alias="ann", count=9, last=NOW), NOW)


@given(st.lists(st.floats(0, 400), min_size=1, max_size=40))
def test_within_any_lock_duration_no_more_than_the_threshold_are_tried(moments: list[float]) -> None:
    failures, tried = None, []
    for moment in sorted(moments):
        if not RULE.locked(failures, NOW + moment):
            tried.append(moment)
            failures = RULE.failed(failures, "ann", NOW + moment)
    for start in tried:
        within = [moment for moment in tried if start <= moment < start + RULE.counter_reset]
        assert len(within) <= 2 * RULE.threshold
