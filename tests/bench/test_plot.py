from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench import plot
from tests.bench.plot import Bar, bars
from tests.bench.results import HALF_LOAD, REFERENCE, Results, Row, Series, Spread

ROW = Row("hmac", "sqlite", 2, 16)
HALF = Row(f"hmac{HALF_LOAD}", "sqlite", 2, 64)
ALONE = Row("sign ml-dsa 44", "sqlite", 2, 16)
ONE_WORKER = Row("kv get", "foundationdb", 1, 128)

RESULTS = Results(
    2,
    [
        series
        for row in (ROW, HALF, ONE_WORKER)
        for measure, ours in (("throughput", 30.0), ("p99", 5.0))
        for series in (Series(row, measure, [ours]), Series(row, measure, [10.0], REFERENCE))
    ]
    + [Series(ALONE, "throughput", [5.0])],
)


def test_a_panel_has_what_both_servers_did_with_its_target() -> None:
    three = Spread(3.0, 3.0, 3.0)
    assert bars(RESULTS, "throughput") == [
        Bar("hmac", three, 2.0),
        Bar("kv get, 128 conn., FoundationDB, 1 worker", three, None),
    ]


def test_tails_are_compared_at_equal_load_only() -> None:
    assert bars(RESULTS, "p99") == [Bar("hmac", Spread(2.0, 2.0, 2.0), 1.0)]


def test_a_picture_is_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is absent: pip install --editable '.[bench]'")
    plot.draw(RESULTS, tmp_path / "new" / "results.svg")
    assert "<svg" in (tmp_path / "new" / "results.svg").read_text(encoding="utf-8")


def test_without_a_reference_it_is_said_that_there_is_nothing_to_draw(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is absent: pip install --editable '.[bench]'")
    plot.draw(Results(2, [Series(ALONE, "throughput", [5.0])]), tmp_path / "results.svg")
    assert "NO PLOT" in capsys.readouterr().err
