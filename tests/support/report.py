"""Figures that a test prints although it passes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

Report = Callable[[str], None]


def reporting(capsys: pytest.CaptureFixture[str], subject: str) -> Report:
    """Return a function that prints a figure about `subject`, whatever pytest does with output."""

    def report(text: str) -> None:
        with capsys.disabled():
            print(f"\n  {subject}: {text}")

    return report
