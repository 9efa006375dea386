"""Counts and latencies as Prometheus metrics, kept by one thread.

The library's own metrics lock for every number they add to, and a request adds to five: more than its encryption
costs. These are plain numbers until they are asked for. `metrics` has what is counted.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

Labels = tuple[str, ...]


class Counts(Collector):
    """A counter with labels."""

    def __init__(self, name: str, text: str, labels: Sequence[str], registry: CollectorRegistry) -> None:
        self._about: Final = (name, text, labels)
        self._counts: Final[dict[tuple[object, ...], int]] = {}
        registry.register(self)

    def add(self, labels: tuple[object, ...]) -> None:
        """Count one; labels become texts when they are read."""
        self._counts[labels] = self._counts.get(labels, 0) + 1

    def collect(self) -> Iterable[CounterMetricFamily]:
        name, text, labels = self._about
        family = CounterMetricFamily(name, text, labels=labels)
        for values, count in self._counts.items():
            family.add_metric([str(value) for value in values], count)
        return [family]


class Counted(Collector):
    """A counter that another keeps."""

    def __init__(self, name: str, text: str, value: Callable[[], int], registry: CollectorRegistry) -> None:
        self._about: Final = (name, text)
        self._value: Final = value
        registry.register(self)

    def collect(self) -> Iterable[CounterMetricFamily]:
        family = CounterMetricFamily(*self._about)
        family.add_metric([], self._value())
        return [family]


class CountedByLabels(Collector):
    """A counter with labels that another keeps: by their values, how often."""

    def __init__(
        self,
        name: str,
        text: str,
        labels: Sequence[str],
        counts: Mapping[Labels, int],
        registry: CollectorRegistry,
    ) -> None:
        self._about: Final = (name, text, labels)
        self._counts: Final = counts
        registry.register(self)

    def collect(self) -> Iterable[CounterMetricFamily]:
        name, text, labels = self._about
        family = CounterMetricFamily(name, text, labels=labels)
        for values, count in sorted(self._counts.items()):
            family.add_metric(values, count)
        return [family]


class Latencies(Collector):
    """A histogram of seconds with labels; `bounds` are the upper bounds of its buckets, without infinity."""

    def __init__(
        self, name: str, text: str, labels: Sequence[str], bounds: Sequence[float], registry: CollectorRegistry
    ) -> None:
        self._about: Final = (name, text, labels)
        self._bounds: Final = bounds
        self._series: Final[dict[Labels, _Series]] = {}
        registry.register(self)

    def add(self, labels: Labels, seconds: float) -> None:
        """Count one that took `seconds`."""
        series = self._series.get(labels)
        if series is None:
            series = self._series[labels] = _Series(len(self._bounds) + 1)
        series.buckets[bisect_left(self._bounds, seconds)] += 1
        series.sum += seconds

    def collect(self) -> Iterable[HistogramMetricFamily]:
        name, text, labels = self._about
        family = HistogramMetricFamily(name, text, labels=labels)
        names = [*(str(float(bound)) for bound in self._bounds), "+Inf"]
        for values, series in self._series.items():
            family.add_metric(values, list(zip(names, accumulate(series.buckets), strict=True)), series.sum)
        return [family]


class _Series:
    __slots__ = ("buckets", "sum")

    def __init__(self, size: int) -> None:
        self.buckets = [0] * size
        self.sum = 0.0
