"""How much of a limit is used unseen: never more than is promised, by a clock that tests set."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kms_actors.actors.tenant.tallies import Tallies, limits_of
from kms_actors.config import Tenants
from kms_actors.errors import LimitReached
from kms_actors.store.api import Transaction
from kms_actors.store.keyspace import TenantKeys
from kms_actors.store.sqlite.engine import SqliteStore
from kms_actors.tenancy.records import Limits

KEYS = TenantKeys(3)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_limits_are_the_configurations_but_for_the_vaults_own() -> None:
    configured = Tenants(max_secrets=5, max_secret_bytes="2 kB", max_mounts=9)
    limits = limits_of(Limits(secrets=0, keys=7), configured)
    assert limits == {"secrets": 0, "keys": 7, "mounts": 9, "tokens": 0, "policies": 4096, "bytes": 2000}


@pytest.mark.parametrize("processes", [1, 3])
@given(
    most=st.integers(1, 3000),
    steps=st.lists(st.tuples(st.integers(0, 2), st.integers(1, 60), st.floats(0, 20)), max_size=60),
)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_a_limit_is_passed_by_no_more_than_is_promised(
    tmp_path_factory: pytest.TempPathFactory, processes: int, most: int, steps: list[tuple[int, int, float]]
) -> None:
    """By a 64th of it for each process, and not at all where that is less than one."""
    clock, store = Clock(), await SqliteStore.open(tmp_path_factory.mktemp("s") / "kms.sqlite")
    each = [Tallies(KEYS, {"secrets": most}, clock) for _ in range(processes)]
    made = 0
    try:
        for process, number, wait in steps:
            clock.now += wait
            for _ in range(number):

                async def body(tr: Transaction, tallies: Tallies = each[process % processes]) -> None:
                    await tallies.grow(tr, "secrets", 1)

                try:
                    await store.run(body)
                except LimitReached:
                    break
                made += 1
    finally:
        await store.close()
    assert made <= most + processes * min(100, most // 64)
    if sum(number for _, number, _ in steps) > most:
        assert made >= min(most, max(number for _, number, _ in steps))
