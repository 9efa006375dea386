"""Metrics of several processes put together."""

from __future__ import annotations

import msgspec
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest

from kms_actors.observe.families import (
    Family,
    Sum,
)
from kms_actors.observe.metrics import Metrics


def worker(requests: int, sealed: float, depth: float) -> list[Family]:
    """Return a worker's metrics as they come over the link."""
    metrics = Metrics()
    for _ in range(requests):
        metrics.observe_request("route", 200, 0.002)
    metrics.gauge("kms_node_sealed", "text", lambda: sealed, "max")
    metrics.gauge("kms_mailbox_depth", "text", lambda: depth)
    return msgspec.msgpack.decode(msgspec.msgpack.encode(metrics.families()), type=list[Family])


def shown(total: Sum) -> dict[str, float]:
    registry = CollectorRegistry()
    registry.register(total)
    lines = generate_latest(registry).decode().splitlines()
    return {
        name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if not line.startswith("#"))
    }


def test_counters_and_histograms_add_up() -> None:
    total = Sum()
    total.add("1", worker(2, 0, 0))
    total.add("2", worker(3, 0, 0))
    found = shown(total)
    assert found['kms_requests_total{code="200",route="route"}'] == 5
    assert found['kms_request_seconds_count{route="route"}'] == 5
    assert found['kms_request_seconds_bucket{le="0.001",route="route"}'] == 0
    assert found['kms_request_seconds_bucket{le="0.0025",route="route"}'] == 5


def test_gauges_add_up_or_show_the_highest() -> None:
    total = Sum()
    total.add("1", worker(0, 1, 4))
    total.add("2", worker(0, 0, 5))
    found = shown(total)
    assert found["kms_node_sealed"] == 1
    assert found["kms_mailbox_depth"] == 9


def test_metrics_of_processes_stay_apart() -> None:
    total = Sum()
    total.add("1", worker(0, 0, 0))
    total.add("2", worker(0, 0, 0))
    found = shown(total)
    assert found['process_resident_memory_bytes{worker="1"}'] > 0
    assert found['process_cpu_seconds_total{worker="2"}'] > 0


def test_what_an_ended_worker_counted_stays_and_its_gauges_go() -> None:
    total = Sum()
    total.retire(worker(2, 1, 4))
    total.add("1", worker(3, 0, 5))
    found = shown(total)
    assert found['kms_requests_total{code="200",route="route"}'] == 5
    assert found["kms_node_sealed"] == 0
    assert found["kms_mailbox_depth"] == 5


def test_a_copy_leaves_the_original_alone() -> None:
    retired = Sum()
    retired.retire(worker(1, 0, 0))
    for _ in range(2):
        total = retired.copy()
        total.add("1", worker(1, 0, 0))
        assert shown(total)['kms_requests_total{code="200",route="route"}'] == 2
