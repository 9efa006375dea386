"""The account of skipped tests: a line a cause, ten lines at most, and no other list of them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.support.skips import MOST_LINES, skips_by_cause

ROOT = Path(__file__).parents[1]


def test_a_cause_is_one_line_with_its_count_the_most_frequent_first() -> None:
    assert skips_by_cause(["Skipped: no a", "Skipped: no b:\n get b", "Skipped: no b:\n get b"]) == [
        "    2 x no b: get b",
        "    1 x no a",
    ]
    assert skips_by_cause([]) == []


def test_whatever_the_number_of_causes_there_are_ten_lines() -> None:
    lines = skips_by_cause([f"Skipped: {number}" for number in range(40) for _ in range(40 - number)])
    assert len(lines) == MOST_LINES
    assert lines[-1] == f"{sum(range(1, 32)):5} x of 31 further causes"
    assert len(skips_by_cause(str(number) for number in range(MOST_LINES))) == MOST_LINES


def test_a_run_shows_the_account_and_ends_with_the_usual_line(tmp_path: Path) -> None:
    cause = '@pytest.mark.skip(reason="no database: install one")'
    test = f"@pytest.mark.parametrize('n', range(7))\n{cause}\ndef test(n): pass\n"
    (tmp_path / "test_some.py").write_text(f"import pytest\n\n{test}\ndef test_other(): pass\n", encoding="utf-8")
    options = ["-c", str(ROOT / "pyproject.toml"), "-p", "tests.conftest", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    *_, line, last = done.stdout.splitlines()
    assert line == "    7 x no database: install one"
    assert re.fullmatch(r"=+ 1 passed, 7 skipped in .* =+", last)
    assert "SKIPPED" not in done.stdout
