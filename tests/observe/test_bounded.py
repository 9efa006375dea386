"""Log lines that callers cause.

The kind: a caller repeats what makes a line, and the log is full of it. All such lines go through a `BoundedLog`.
"""

from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from kms_actors.observe import bounded
from kms_actors.observe.bounded import BoundedLog


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_so_many_lines_of_a_kind_are_written_in_a_second_and_the_others_counted() -> None:
    clock = Clock()
    lines = BoundedLog("test", 3, clock)
    with capture_logs() as logs:
        for _ in range(8):
            lines.info("refused", "why", reason="why")
        assert [entry["event"] for entry in logs] == ["refused"] * 3
        clock.now += 1
        lines.info("refused", "why", reason="why")
    assert logs[3:] == [
        {"event": "left out of the log", "log_level": "warning", "lines": 5, "of": "refused", "about": "why"},
        {"event": "refused", "log_level": "info", "reason": "why"},
    ]


def test_kinds_are_bounded_apart() -> None:
    lines = BoundedLog("test", 1, Clock())
    with capture_logs() as logs:
        for about in ("a", "b", "a", "b"):
            lines.warning("refused", about, reason=about)
    assert [entry["reason"] for entry in logs] == ["a", "b"]


def test_as_many_kinds_as_there_may_be_take_no_more_room() -> None:
    lines = BoundedLog("test", 1, Clock())
    with capture_logs():
        for number in range(3000):
            lines.info("refused", str(number))
    assert len(lines._windows) <= bounded._KINDS


async def test_what_was_left_out_is_said_though_nothing_follows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded, "_SECOND", 0.05)
    lines = BoundedLog("test", 1)
    with capture_logs() as logs:
        for _ in range(5):
            lines.info("refused", "why")
        await asyncio.sleep(0.1)
    assert [entry["event"] for entry in logs] == ["refused", "left out of the log"]
    assert logs[1]["lines"] == 4
