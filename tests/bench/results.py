"""What a run found, and its arithmetic: medians, spreads, and ratios between two servers."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

#: The two servers' names.
OURS: Final = "ours"
REFERENCE: Final = "reference"

#: What ends the name of a case at half the rate that the reference reaches.
HALF_LOAD: Final = ", half load"

#: The values of one run, by measure.
Sample = Mapping[str, float]


class Measure(NamedTuple):
    """What a value is."""

    unit: str
    more_is_better: bool = False


MEASURES: Final[Mapping[str, Measure]] = {
    "throughput": Measure("requests/s", more_is_better=True),
    "offered": Measure("requests/s", more_is_better=True),
    "cpu": Measure("µs of CPU a request"),
    "decision": Measure("µs of CPU"),
    "p50": Measure("µs"),
    "p99": Measure("µs"),
    "seconds": Measure("s"),
    "megabytes": Measure("MB"),
    "kilobytes": Measure("kB"),
}


class Row(NamedTuple):
    """What is compared: one case, under one load, on one kind of node."""

    case: str
    store: str = "sqlite"
    workers: int = 1
    connections: int = 0  # 0: not a matter of connections


class Spread(NamedTuple):
    """A median, the least and the most."""

    median: float
    least: float
    most: float


class Series(msgspec.Struct, frozen=True):
    """The values of one measure of one server, one a round, in the order of the rounds."""

    row: Row
    measure: str
    values: Sequence[float]
    server: str = OURS


class Results(msgspec.Struct, frozen=True):
    """A whole run. `workers` is the number that our node has where both cores count."""

    workers: int
    series: Sequence[Series]
    about: Mapping[str, str] = {}

    def find(self, row: Row, measure: str, server: str = OURS) -> Series | None:
        """Return one series, if it was measured."""
        return find(self.series, row, measure, server)

    def rows(self) -> list[Row]:
        """Return all rows in the order in which they were measured."""
        return list(dict.fromkeys(series.row for series in self.series))


def find(found: Iterable[Series], row: Row, measure: str, server: str = OURS) -> Series | None:
    """Return one of the series, if it is among them."""
    wanted = (row, measure, server)
    return next((series for series in found if (series.row, series.measure, series.server) == wanted), None)


def series_of(row: Row, samples: Mapping[str, Sequence[Sample]]) -> list[Series]:
    """Turn the samples of each server into a series a measure."""
    return [
        Series(row, measure, [run[measure] for run in runs], server)
        for server, runs in samples.items()
        for measure in runs[0]
    ]


def spread(values: Sequence[float]) -> Spread:
    """Return the median of some values, with the least and the most."""
    return Spread(statistics.median(values), min(values), max(values))


def advantage(ours: Series, reference: Series) -> Spread:
    """Return how many times better ours is: above 1 always means better, whatever the measure.

    The ratio of the medians; the least and the most are those of the rounds, each of which has both servers in turn.
    """
    assert (ours.row, ours.measure) == (reference.row, reference.measure)
    upper, lower = (ours, reference) if MEASURES[ours.measure].more_is_better else (reference, ours)
    pairs = [_ratio(above, below) for above, below in zip(upper.values, lower.values, strict=True)]
    return Spread(_ratio(statistics.median(upper.values), statistics.median(lower.values)), min(pairs), max(pairs))


def _ratio(above: float, below: float) -> float:
    """Divide; infinite where the divisor was too little to be seen, as CPU times in ticks may be."""
    return above / below if below else float("inf")


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that `share` (0…1) of the values do not exceed: the nearest rank."""
    ordered = sorted(values)
    return ordered[max(0, -int(-len(ordered) * share // 1) - 1)]


def save(results: Results, path: Path) -> None:
    """Write JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=1))


def load(paths: Sequence[Path]) -> Results:
    """Read the results of one or several runs; of what several measured, the last counts.

    Raises:
        msgspec.ValidationError: a file holds something else.

    """
    runs = [msgspec.json.decode(path.read_bytes(), type=Results) for path in paths]
    merged = {(one.row, one.measure, one.server): one for run in runs for one in run.series}
    about = {name: text for run in runs for name, text in run.about.items()}
    return Results(runs[-1].workers, list(merged.values()), about)
