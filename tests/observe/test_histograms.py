"""Our counts and latencies read as the library's own metrics would."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from kms_actors.observe.histograms import (
    Counts,
    Latencies,
)

BOUNDS = (0.001, 0.01, 0.1, 1.0)


def shown(registry: CollectorRegistry) -> list[str]:
    """Return what is exposed, without the time at which a series began, which ours do not tell."""
    return sorted(line for line in generate_latest(registry).decode().splitlines() if "_created" not in line)


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from([*BOUNDS, 0.0, 0.005, 0.5, 7.0]))))
def test_latencies_read_as_a_histogram_of_the_library(seen: list[tuple[str, float]]) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    latencies = Latencies("seconds", "Time", ("route",), BOUNDS, ours)
    histogram = Histogram("seconds", "Time", ["route"], registry=theirs, buckets=BOUNDS)
    for route, seconds in seen:
        latencies.add((route,), seconds)
        histogram.labels(route).observe(seconds)
    assert shown(ours) == shown(theirs)


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from([200, 404]))))
def test_counts_read_as_a_counter_of_the_library(seen: list[tuple[str, int]]) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    counts = Counts("requests", "Requests", ("route", "code"), ours)
    counter = Counter("requests", "Requests", ["route", "code"], registry=theirs)
    for route, code in seen:
        counts.add((route, code))
        counter.labels(route, str(code)).inc()
    assert shown(ours) == shown(theirs)
