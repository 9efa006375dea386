"""The metric by transit key: how many series it has at most, and that nothing is lost past that."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from kms_actors.observe.families import (
    Sum,
    families,
)
from kms_actors.observe.key_metrics import KeyOperations


def shown(registry: CollectorRegistry) -> dict[tuple[str, ...], float]:
    total = Sum()
    total.add("1", families(registry, {}))
    (metric,) = total.collect()
    return {tuple(s.labels.values()): s.value for s in metric.samples if s.name.endswith("_total")}


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


def test_series_are_told_apart_by_all_their_labels(registry: CollectorRegistry) -> None:
    operations = KeyOperations(registry, 10)
    one, other = ("v", "transit/", "k", "1", "encrypt"), ("v", "transit/", "k", "2", "encrypt")
    for labels, number in ((one, 3), (other, 4), (one, 5)):
        operations.count(labels, number)
    assert shown(registry) == {one: 8, other: 4}


def test_what_comes_past_the_limit_is_counted_by_operation(registry: CollectorRegistry) -> None:
    operations = KeyOperations(registry, 2)
    for number in range(50):
        for operation in ("encrypt", "sign"):
            operations.count(("v", "transit/", f"k{number}", "1", operation), 2)
    assert shown(registry) == {
        ("v", "transit/", "k0", "1", "encrypt"): 2,
        ("v", "transit/", "k0", "1", "sign"): 2,
        ("", "", "", "", "encrypt"): 98,
        ("", "", "", "", "sign"): 98,
    }


def test_without_series_no_name_is_shown(registry: CollectorRegistry) -> None:
    KeyOperations(registry, 0).count(("vault", "transit/", "secret-name", "1", "encrypt"), 1)
    assert shown(registry) == {("", "", "", "", "encrypt"): 1}
