"""KV and Transit under faults of the store against models of them: no answer and no record may differ.

`make faults` takes many more steps. A failure tells the seed that replays it.
"""

from __future__ import annotations

import itertools
from contextlib import closing

from kms_actors.keyring.keyring import Keyring
from kms_actors.runtime import Threads
from kms_actors.store.api import Store
from tests.actors import kv_tenant, transit_tenant
from tests.faults.kv_model import KvModel
from tests.faults.model import RATE, READ_RATE, SEED, STEPS, drive
from tests.faults.shim import Faults, FaultyStore
from tests.faults.transit_model import TransitModel


def drawn_faults() -> Faults:
    return Faults(seed=SEED, rate=RATE, read_rate=READ_RATE)


async def test_kv_under_faults_is_as_its_model(store: Store) -> None:
    faults, keyring = drawn_faults(), Keyring.generate(0.0)
    await kv_tenant.mounted(store, keyring)
    faulty = kv_tenant.Tenant(FaultyStore(store, faults), keyring)  # type: ignore[arg-type]
    plain = kv_tenant.Tenant(store, keyring)  # type: ignore[arg-type]
    await drive(KvModel(), faulty.ask, plain.ask, faults)
    assert len(faults.met) > STEPS // 50


async def test_transit_under_faults_is_as_its_model(store: Store) -> None:
    faults, keyring = drawn_faults(), Keyring.generate(0.0)
    await transit_tenant.mounted(store, keyring)
    with closing(Threads()) as threads:
        references = [
            transit_tenant.Tenant.start(each, keyring, threads) for each in (FaultyStore(store, faults), store)
        ]
        faulty, plain = [reference._actor_weakref() for reference in references]
        assert faulty is not None
        assert plain is not None
        try:
            await drive(TransitModel(), faulty.ask, plain.ask, faults)
        finally:
            for reference in references:
                await reference.stop(block=False)
    assert len(faults.met) > STEPS // 50


async def test_a_seed_gives_the_same_faults_again() -> None:
    first, second = (Faults(seed=7, rate=0.5) for _ in range(2))
    drawn = [faults.fate() for faults in (first, second) for _ in itertools.repeat(None, 100)]
    assert drawn[:100] == drawn[100:]
