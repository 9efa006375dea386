"""Levels by name, what lies below a name, and the lines that are kept for those who follow."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from kms_actors.config import Log
from kms_actors.observe import log
from kms_actors.observe.levels import Levels, levels
from kms_actors.observe.recent import MOST_CHARACTERS, MOST_LINES, Recent


def test_a_level_holds_for_what_is_below_a_name_and_has_no_other() -> None:
    levels = Levels(logging.INFO)
    for name in ("kms_actors.a", "kms_actors.a.b", "kms_actors.c"):
        levels.know(name)
    assert levels.set(logging.ERROR, "kms_actors.a")
    assert levels.set(logging.DEBUG, "kms_actors.a.b")
    assert [levels.least(name) for name in ("kms_actors.a.x", "kms_actors.a.b.y", "kms_actors.c")] == [40, 10, 20]
    assert levels.set(None, "kms_actors.a.b")
    assert levels.least("kms_actors.a.b.y") == 40
    assert levels.set(logging.WARNING)
    assert levels.least("kms_actors.a") == 30
    assert levels.set(None)
    assert levels.least("kms_actors.a") == 20
    assert not levels.set(logging.ERROR, "kms_actors.none")


def test_all_modules_that_log_are_listed() -> None:
    import kms_http.handler  # noqa: F401, PLC0415

    assert {"kms_actors", "kms_http", "kms_http.handler"} <= set(Levels().names())


def test_lines_are_kept_within_bounds_and_by_level() -> None:
    now = 100.0
    recent = Recent(lambda: now)
    for number in range(MOST_LINES + 10):
        now += 1
        recent.keep(logging.INFO, {"event": f"e{number}", "value": "x" * 10_000, "timestamp": "t"})
    found = recent.between(0, now, logging.INFO)
    assert len(found) == MOST_LINES
    assert all(len(line.text) <= MOST_CHARACTERS and len(line.json) <= MOST_CHARACTERS for line in found)
    assert [line.text[:15] for line in recent.between(now - 1, now, logging.INFO)] == [
        f"t [INFO] e{MOST_LINES + 9}: "[:15]
    ]
    assert recent.between(0, now, logging.WARNING) == []
    assert recent.wants(logging.INFO)
    now += 10
    assert not recent.wants(logging.INFO)


@pytest.fixture
def configured() -> Iterator[None]:
    """Logs as a node has them; the tests' own way is given back afterwards."""
    before = structlog.get_config()
    log.configure(Log())
    yield
    levels.set(None)
    structlog.configure(**before)


@pytest.mark.usefixtures("configured")
def test_a_level_that_is_set_decides_what_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    logger = structlog.get_logger("kms_actors.test_levels")
    logger.info("first")
    levels.set(logging.ERROR, "kms_actors.test_levels")
    logger.warning("second")
    levels.set(None, "kms_actors.test_levels")
    logger.warning("third")
    written = capsys.readouterr().err
    assert "first" in written
    assert "second" not in written
    assert "third" in written


@pytest.mark.usefixtures("configured")
def test_a_line_that_cannot_be_written_fails_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kind: a node that ends, or a request that fails, since the disk of its log is full or nobody reads it."""
    full = Path("/dev/full").open("w", encoding="utf-8")  # noqa: SIM115 - to close it is to fail
    monkeypatch.setattr(sys, "stderr", full)
    logger = structlog.get_logger("kms_actors.test_full")
    for write in (logger.info, logger.warning, logger.error):
        write("nowhere")
    with contextlib.suppress(OSError):
        full.close()
