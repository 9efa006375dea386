"""Prometheus metrics of a process, and how those of a node are told."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from prometheus_client import CollectorRegistry, Gauge, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from kms_actors.errors import StoreError
from kms_actors.observe.families import (
    Across,
    Family,
    Sum,
    families,
)
from kms_actors.observe.histograms import (
    Counted,
    CountedByLabels,
    Counts,
    Latencies,
)
from kms_actors.store.api import Body, Priority, Store, T

_BOUNDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)


class Metrics:
    """All metrics of one process. Labels are routes and codes, never what a caller sent; see `KeyOperations`, too."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self._requests = Counts("kms_requests", "Requests by route and status", ("route", "code"), self.registry)
        self._latency = Latencies(
            "kms_request_seconds", "Time to answer by route", ("route",), _BOUNDS, self.registry
        )
        self._store = Latencies("kms_store_seconds", "Time of store transactions", (), _BOUNDS, self.registry)
        self._store_errors = Counts(
            "kms_store_errors", "Store transactions that failed, by error", ("error",), self.registry
        )
        self._gauges: dict[str, Across] = {}

    def observe_request(self, route: str, code: int, seconds: float) -> None:
        """Count one answered request."""
        self._requests.add((route, code))
        self._latency.add((route,), seconds)

    def gauge(self, name: str, text: str, value: Callable[[], float], across: Across = "sum") -> None:
        """Expose `value()` at each scrape; `across` says what the node's value is when it has several processes."""
        Gauge(name, text, registry=self.registry).set_function(value)
        self._gauges[name] = across

    def counter(self, name: str, text: str, value: Callable[[], int]) -> None:
        """Expose what another counts since the start of the process; `_total` is added to `name`."""
        Counted(name, text, value, self.registry)

    def counters(self, name: str, text: str, labels: Sequence[str], counts: Mapping[tuple[str, ...], int]) -> None:
        """Expose what another counts by these labels, likewise."""
        CountedByLabels(name, text, labels, counts, self.registry)

    def families(self) -> list[Family]:
        """Return all metrics as they are now."""
        return families(self.registry, self._gauges)

    def metered(self, store: Store) -> Store:
        """Return `store` with its transactions timed."""
        return _MeteredStore(store, self._store, self._store_errors)


class _MeteredStore:
    def __init__(self, store: Store, seconds: Latencies, errors: Counts) -> None:
        self._inner = store
        self._seconds = seconds
        self._errors = errors
        self.watch = store.watch
        self.close = store.close

    async def run(
        self, body: Body[T], *, idempotency_key: bytes | None = None, priority: Priority = Priority.REQUEST
    ) -> T:
        started = time.perf_counter()
        try:
            return await self._inner.run(body, idempotency_key=idempotency_key, priority=priority)
        except StoreError as error:
            self._errors.add((type(error).__name__,))
            raise
        finally:
            self._seconds.add((), time.perf_counter() - started)


#: Returns the metrics of a node, all its processes together.
Collect = Callable[[], Awaitable[Sum]]


def exposition(found: Sum) -> bytes:
    """Return metrics as Prometheus reads them."""
    registry = CollectorRegistry()
    registry.register(found)
    return generate_latest(registry)


def as_vault(found: Sum, timestamp: str) -> dict[str, Any]:
    """Return metrics as Vault's `sys/metrics` has them.

    What is not known of a histogram, such as its largest value, is absent.
    """
    gauges, counters, samples = [], [], []
    for metric in found.collect():
        for series, of in _series(metric).items():
            labels = dict(series)
            if metric.type == "histogram":
                count, total = of.get("_count", 0.0), of.get("_sum", 0.0)
                mean = total / count if count else 0.0
                figures = {"Count": int(count), "Sum": total, "Mean": mean}
                samples.append({"Name": metric.name, **figures, "Labels": labels})
            elif metric.type == "counter":
                count = of.get("_total", of.get("", 0.0))
                counters.append({"Name": metric.name, "Count": int(count), "Sum": count, "Labels": labels})
            else:
                gauges.append({"Name": metric.name, "Value": of.get("", 0.0), "Labels": labels})
    return {"Timestamp": timestamp, "Gauges": gauges, "Points": [], "Counters": counters, "Samples": samples}


def _series(metric: Metric) -> dict[tuple[tuple[str, str], ...], dict[str, float]]:
    """Return the samples of a metric by their labels, each by what its name ends with; buckets are left out."""
    found: dict[tuple[tuple[str, str], ...], dict[str, float]] = {}
    for sample in metric.samples:
        suffix = sample.name.removeprefix(metric.name)
        if suffix not in {"_bucket", "_created"}:
            found.setdefault(tuple(sample.labels.items()), {})[suffix] = sample.value
    return found
