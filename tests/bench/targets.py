"""What the figures should be, and whether they are."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Final, NamedTuple

from tests.bench.results import HALF_LOAD, MEASURES, OURS, REFERENCE, Results, Row, Spread, advantage, spread

#: Rounds that a median needs to count.
ROUNDS: Final = 5
BOTH_STORES: Final = ("sqlite", "foundationdb")


class Target(NamedTuple):
    """A bound of one measure of one case: `times` better than the reference, or `at_most` a value."""

    case: str
    measure: str
    times: float = 0.0
    at_most: float = 0.0
    one_worker: bool = False  # or as many as the run has where all cores count
    connections: int = 0
    stores: Sequence[str] = ("sqlite",)

    def __str__(self) -> str:
        return f"≥ {self.times:g} times" if self.times else f"≤ {self.at_most:g} {MEASURES[self.measure].unit}"


class Standing(enum.StrEnum):
    """How a target stands."""

    MET = "met"
    MISSED = "MISSED"
    NOT_MEASURED = "NOT MEASURED"


class Verdict(NamedTuple):
    """A target, and what was found."""

    target: Target
    row: Row
    standing: Standing
    found: Spread | None = None
    rounds: int = 0


def _against(case: str, times: float) -> Target:
    return Target(case, "throughput", times=times, connections=16)


def _half_load(case: str) -> Target:
    return Target(case + HALF_LOAD, "p99", times=1.0, connections=64)


def _node(case: str, measure: str, at_most: float) -> Target:
    return Target(case, measure, at_most=at_most, one_worker=True, stores=BOTH_STORES)


TARGETS: Final = (
    _against("encrypt 32 B", 2.5),
    Target("encrypt 32 B", "cpu", at_most=70.0, connections=16),
    Target("encrypt 32 B", "cpu", at_most=70.0, connections=16, one_worker=True),
    _against("encrypt batch of 400", 2.5),
    _against("hmac", 2.0),
    _against("sign ed25519", 2.0),
    _against("sign rsa-2048", 2.0),
    _against("kv get", 2.0),
    _against("kv put", 1.5),
    _against("approle login", 2.0),
    _against("approle login, batch token", 3.0),
    _against("encrypt 32 B, 100 policies", 2.5),
    _against("lookup-self, service token", 3.0),
    _against("encrypt 32 B, TLS", 2.5),
    _against("new connection, TLS", 1.0),
    Target("ACL decision, cold", "decision", at_most=5.0, one_worker=True, stores=("engine",)),
    Target("ACL decision, warm", "decision", at_most=1.0, one_worker=True, stores=("engine",)),
    _half_load("encrypt 32 B"),
    _half_load("encrypt batch of 400"),
    _half_load("hmac"),
    _half_load("sign ed25519"),
    _half_load("sign rsa-2048"),
    _half_load("kv get"),
    _half_load("kv put"),
    _node("start to first answer", "seconds", 1.0),
    Target("start to first answer", "seconds", at_most=1.0, stores=BOTH_STORES),
    Target("start to first answer, 100,000 tenants", "seconds", at_most=1.0, one_worker=True),
    _node("cold tenant, new token", "p99", 15_000.0),
    _node("idle, largest process", "megabytes", 90.0),
    Target("idle, largest process", "megabytes", at_most=90.0, stores=BOTH_STORES),
    _node("an awake tenant beside its keys", "kilobytes", 12.0),
)


def check(results: Results, targets: Sequence[Target] = TARGETS) -> list[Verdict]:
    """Judge every target for every store of the run that it names."""
    stores = dict.fromkeys(row.store for row in results.rows())
    return [_judge(results, target, store) for target in targets for store in stores if store in target.stores]


def _judge(results: Results, target: Target, store: str) -> Verdict:
    row = Row(target.case, store, 1 if target.one_worker else results.workers, target.connections)
    mine = results.find(row, target.measure, OURS)
    other = results.find(row, target.measure, REFERENCE)
    if mine is None or (target.times and other is None):
        return Verdict(target, row, Standing.NOT_MEASURED)
    if target.times and other is not None:
        found = advantage(mine, other)
        met = found.median >= target.times
    else:
        found = spread(mine.values)
        met = found.median <= target.at_most
    return Verdict(target, row, Standing.MET if met else Standing.MISSED, found, len(mine.values))
