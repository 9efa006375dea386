"""Metrics of several processes as those of one node: how they travel, and how they are put together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, Literal

import msgspec
from prometheus_client import CollectorRegistry, Metric

_OF_PROCESSES: Final = "process_"
_EARLIEST: Final = "_created"

#: What to do with the same sample of several processes: `each` keeps them apart by a label `worker`.
Across = Literal["sum", "max", "each"]

Labels = tuple[tuple[str, str], ...]


class Family(msgspec.Struct, frozen=True, array_like=True):
    """One metric with all its samples: name, labels, value."""

    name: str
    kind: str
    text: str
    across: Across
    samples: list[tuple[str, dict[str, str], float]]

    @property
    def lasting(self) -> bool:
        """True for what counts on when its process has ended."""
        return self.across == "sum" and self.kind in {"counter", "histogram"}


def families(registry: CollectorRegistry, gauges: Mapping[str, Across]) -> list[Family]:
    """Return what is in `registry`; `gauges` says what to do with each gauge. Those of processes are kept apart."""
    return [
        Family(
            metric.name,
            metric.type,
            metric.documentation,
            _across(metric, gauges),
            [(sample.name, sample.labels, float(sample.value)) for sample in metric.samples],
        )
        for metric in registry.collect()
    ]


def _across(metric: Metric, gauges: Mapping[str, Across]) -> Across:
    if metric.name in gauges:
        return gauges[metric.name]
    return "sum" if metric.type in {"counter", "histogram"} and not metric.name.startswith(_OF_PROCESSES) else "each"


class Sum:
    """Adds up the metrics of processes. A collector, for `prometheus_client.generate_latest`."""

    def __init__(self) -> None:
        self._families: dict[str, Family] = {}
        self._values: dict[str, dict[tuple[str, Labels], float]] = {}

    def add(self, worker: str, found: Iterable[Family]) -> None:
        """Add the metrics of the process called `worker`."""
        for family in found:
            self._families.setdefault(family.name, family)
            values = self._values.setdefault(family.name, {})
            own = (("worker", worker),) if family.across == "each" else ()
            for name, labels, value in family.samples:
                key = name, own + tuple(labels.items())
                values[key] = _joined(family, name, values[key], value) if key in values else value

    def retire(self, found: Iterable[Family]) -> None:
        """Add what lasts of a process that has ended."""
        self.add("", (family for family in found if family.lasting))

    def copy(self) -> Sum:
        """Return another that starts from this one."""
        other = Sum()
        other._families = dict(self._families)
        other._values = {name: dict(values) for name, values in self._values.items()}
        return other

    def families(self) -> list[Family]:
        """Return the same as what another process can add to a sum of its own, once."""
        return [
            Family(
                name,
                family.kind,
                family.text,
                "sum",
                [(sample, dict(labels), value) for (sample, labels), value in self._values[name].items()],
            )
            for name, family in self._families.items()
        ]

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics of the node."""
        for name, family in self._families.items():
            metric = Metric(name, family.text, family.kind)
            for (sample, labels), value in self._values[name].items():
                metric.add_sample(sample, dict(labels), value)
            yield metric


def _joined(family: Family, sample: str, one: float, other: float) -> float:
    if sample.endswith(_EARLIEST):
        return min(one, other)
    return max(one, other) if family.across == "max" else one + other
