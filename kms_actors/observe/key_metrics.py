"""The metric that counts operations by transit key: the one whose labels are names that users gave."""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter

_LABELS: Final = ("tenant", "mount", "key", "version", "operation")


class KeyOperations:
    """Counts up to `limit` series by themselves; what comes later is counted by operation alone."""

    def __init__(self, registry: CollectorRegistry, limit: int) -> None:
        self._counter = Counter(
            "kms_transit_key_operations",
            "Operations by version of transit key; without labels but the operation past the limit of series",
            _LABELS,
            registry=registry,
        )
        self._limit = limit
        self._series: dict[tuple[str, ...], Counter] = {}

    def count(self, labels: tuple[str, str, str, str, str], number: int) -> None:
        """Count `number` operations: of a vault, a mount, a key, a version of it, and of one kind."""
        series = self._series.get(labels)
        if series is None and len(self._series) < self._limit:
            series = self._series[labels] = self._counter.labels(*labels)
        if series is None:
            series = self._counter.labels("", "", "", "", labels[-1])
        series.inc(number)
