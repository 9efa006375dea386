"""Results as a picture: how many times better ours is, case by case, with the spread and the targets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import click

from tests.bench.results import HALF_LOAD, REFERENCE, Results, Row, Spread, advantage
from tests.bench.targets import TARGETS

#: The measures that have a panel, and what is written above it.
_PANELS: Final = {"throughput": "throughput", "cpu": "CPU a request", "p99": "p99 at half the reference's load"}
_MOST: Final = 6.0  # where bars are cut off, so that one case does not flatten the others
#: Of bars that reach their target, or 1 without one, and of those that do not.
_COLOURS: Final = {True: "#2a78b5", False: "#c4622d"}


class Bar(NamedTuple):
    """One case in one panel."""

    label: str
    ratio: Spread
    target: float | None


def bars(results: Results, measure: str) -> list[Bar]:
    """Return what a panel shows, in the order of the run."""
    made = []
    for row in results.rows():
        mine, other = results.find(row, measure), results.find(row, measure, REFERENCE)
        fits = row.case.endswith(HALF_LOAD) == (measure == "p99")
        if mine is not None and other is not None and fits:
            made.append(Bar(_label(row, results), advantage(mine, other), _target(row, measure, results)))
    return made


def _label(row: Row, results: Results) -> str:
    further = [f"{row.connections} conn."] if row.connections not in {16, 64} else []
    further += ["FoundationDB"] if row.store == "foundationdb" else []
    further += [f"{row.workers} worker"] if row.workers != results.workers else []
    return ", ".join([row.case.removesuffix(HALF_LOAD), *further])


def _target(row: Row, measure: str, results: Results) -> float | None:
    workers = {True: 1, False: results.workers}
    for target in TARGETS:
        place = (target.case, target.measure, target.connections, workers[target.one_worker])
        if target.times and place == (row.case, measure, row.connections, row.workers) and row.store in target.stores:
            return target.times
    return None


def draw(results: Results, path: Path) -> None:
    """Write a picture whose kind the path's suffix names (.svg or .png); say so where that cannot be."""
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415 - an extra: benches run without it
    except ImportError:
        click.echo(
            "NO PLOT: matplotlib is missing; pip install --editable '.[bench]', then draw it with tests.bench.report",
            err=True,
        )
        return
    panels = {title: found for measure, title in _PANELS.items() if (found := bars(results, measure))}
    if not panels:
        click.echo("NO PLOT: without a reference server there are no ratios", err=True)
        return
    height = max(map(len, panels.values()))
    figure = Figure(figsize=(6.5 * len(panels), 2.0 + 0.24 * height), layout="constrained")
    for axes, (title, found) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True):
        _panel(axes, title, found, height)
    figure.suptitle(f"Times better than the reference, medians with least and most\n{_about(results)}", fontsize=10)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    click.echo(f"plot: {path}")


def _about(results: Results) -> str:
    return ", ".join(results.about[name] for name in ("reference", "machine", "date") if name in results.about)


def _panel(axes: Any, title: str, found: Sequence[Bar], height: int) -> None:
    places = range(len(found))
    ratios = [bar.ratio for bar in found]
    axes.barh(
        places,
        [min(ratio.median, _MOST) for ratio in ratios],
        xerr=[
            [min(r.median, _MOST) - min(r.least, _MOST) for r in ratios],
            [min(r.most, _MOST) - min(r.median, _MOST) for r in ratios],
        ],
        color=[_COLOURS[bar.ratio.median >= (bar.target or 1)] for bar in found],
        error_kw={"elinewidth": 0.8, "capsize": 2},
        height=0.65,
    )
    for place, bar in zip(places, found, strict=True):
        axes.text(0.03, place, f"{bar.ratio.median:.2f}", va="center", fontsize=7, color="white")
        if bar.target is not None:
            axes.vlines(bar.target, place - 0.48, place + 0.48, color="black", linewidth=2)
    axes.axvline(1, color="grey", linewidth=0.8, linestyle=":")
    axes.set(title=f"{title} (black: target)", xlim=(0, _MOST), ylim=(height - 0.4, -0.6))
    axes.set_yticks(places, [bar.label for bar in found], fontsize=8)
