"""Results as lines of text: a row a case, and a line a target."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from tests.bench.results import MEASURES, OURS, REFERENCE, Row, Series, Spread, advantage, find, spread
from tests.bench.targets import ROUNDS, Standing, Verdict

_RATIOS: Final = ("throughput", "cpu", "p99")
_NAME: Final = 40


def show(found: Spread) -> str:
    """Return a median (least…most), with as many digits as the size of the value asks for."""
    digits = 0 if found.median >= 100 else 1 if found.median >= 10 else 2
    further = f" ({found.least:.{digits}f}…{found.most:.{digits}f})" if found.least < found.most else ""
    return f"{found.median:.{digits}f}{further}"


def _middle(found: Spread) -> str:
    return f"{found.median:.0f}"


class Column(NamedTuple):
    """How a measure of a case under load is shown."""

    title: str
    width: int
    text: Callable[[Spread], str] = show


#: A row has one of the two kinds of rate.
_COLUMNS: Final = {
    "offered": Column("", 22),
    "throughput": Column("requests/s", 22),
    "cpu": Column("CPU µs/request", 16),
    "p50": Column("p50 µs", 7, _middle),
    "p99": Column("p99 µs", 22),
}


def header() -> str:
    """Return the line above the rows of cases under load."""
    columns = " ".join(f"{column.title:>{column.width}}" for column in _COLUMNS.values() if column.title)
    return f"{'case':{_NAME}} {'store':12} {'wkr':>3} {'conn':>4} {columns}  times better than the reference"


def line(found: Sequence[Series]) -> str:
    """Return one row: medians (least…most) of ours, and how many times better it is."""
    row = found[0].row
    mine = {one.measure: one for one in found if one.server == OURS}
    if not row.connections:
        return f"{_label(row)}  " + ", ".join(_with_unit(one) for one in mine.values())
    cells = " ".join(
        f"{column.text(spread(mine[name].values)):>{column.width}}"
        for name, column in _COLUMNS.items()
        if name in mine
    )
    return f"{_label(row)} {row.connections:4d} {cells}  {'  '.join(_ratios(row, found))}".rstrip()


def _label(row: Row) -> str:
    return f"{row.case:{_NAME}} {row.store:12} {row.workers:3d}"


def _with_unit(series: Series) -> str:
    named = f"{series.measure} " if series.measure in {"p50", "p99"} else ""
    return f"{named}{show(spread(series.values))} {MEASURES[series.measure].unit}"


def _ratios(row: Row, found: Iterable[Series]) -> Iterator[str]:
    for measure in _RATIOS:
        mine, other = find(found, row, measure), find(found, row, measure, REFERENCE)
        if mine is not None and other is not None:
            yield f"{measure} {show(advantage(mine, other))}"


def verdicts(judged: Sequence[Verdict]) -> Iterator[str]:
    """Yield a line a target, and what to know of them all."""
    yield f"{'target':{_NAME}} {'store':12} {'wkr':>3} {'measure':10} {'bound':>28} {'found':>24}"
    for verdict in judged:
        found = show(verdict.found) if verdict.found else ""
        yield (
            f"{_label(verdict.row)} {verdict.target.measure:10} {verdict.target!s:>28} {found:>24}"
            f"  {verdict.standing}{_reserve(verdict)}"
        )
    counts = ", ".join(f"{sum(one.standing is each for one in judged)} {each.lower()}" for each in Standing)
    yield f"{len(judged)} targets: {counts}"


def _reserve(verdict: Verdict) -> str:
    few = verdict.found is not None and verdict.rounds < ROUNDS
    return f" (of {verdict.rounds} rounds only)" if few else ""
