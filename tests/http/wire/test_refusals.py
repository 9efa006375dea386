"""Who is sent away is counted each time, and told now and then."""

from __future__ import annotations

import pytest
import structlog

from kms_http.wire.refusals import REASONS, Refusals


def test_each_is_counted_and_the_first_of_a_kind_told_again_after_a_quiet_minute() -> None:
    now = [1000.0]
    refusals = Refusals(lambda: now[0])
    with structlog.testing.capture_logs() as logs:
        for _ in range(100):
            refusals.add("overload")
            now[0] += 1
        refusals.add("slow head")
        now[0] += 61
        refusals.add("overload")
    assert [entry["reason"] for entry in logs] == ["overload", "slow head", "overload"]
    assert refusals.counts[("overload",)] == 101
    assert refusals.counts[("bodies",)] == 0


def test_a_reason_that_nobody_knows_is_a_mistake_of_ours() -> None:
    with pytest.raises(KeyError):
        Refusals().add("because")
    assert all(REASONS.values())
