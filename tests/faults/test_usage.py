"""Uses of keys under faults of the store: none is lost, and none is counted twice where the outcome is known."""

from __future__ import annotations

import random
from contextlib import closing

import pytest

from kms_actors.keyring.keyring import Keyring
from kms_actors.messages import Grants
from kms_actors.runtime import Threads
from kms_actors.store.api import Store
from kms_actors.transit import messages as m
from kms_actors.transit.items import EncryptItem
from kms_actors.transit.policy import KeyOptions
from tests.actors.transit_tenant import MOUNT, Tenant, mounted
from tests.faults.shim import Faults, FaultyStore

ENCRYPT = m.Encrypt(MOUNT, "k", [EncryptItem(b"x")], Grants(), False, "aes256-gcm96", convergent=False)


@pytest.mark.parametrize("seed", range(8))
async def test_uses_survive_whatever_their_transactions_meet(store: Store, seed: int) -> None:
    chance, faults, keyring = random.Random(seed), Faults(seed=seed, rate=0.0), Keyring.generate(0.0)
    await mounted(store, keyring)
    with closing(Threads()) as threads:
        reference = Tenant.start(FaultyStore(store, faults), keyring, threads)
        tenant = reference._actor_weakref()
        assert tenant is not None
        await tenant.ask(m.CreateKey(MOUNT, "k", KeyOptions()))
        await tenant.ask(ENCRYPT)
        faults.rate, done, unclear = 0.5, 1, 0
        for _ in range(60):
            waiting = chance.randrange(3)
            for _ in range(waiting):
                await tenant.ask(ENCRYPT)
            done += waiting
            await tenant.controller.usage.flush()
            unclear += sum(
                use.count for versions in tenant.controller.usage._unwritten.values() for use in versions[1].values()
            )
        faults.rate = 0.0
        await faults.arrive()
        info: m.KeyInfo = await tenant.ask(m.ReadKey(MOUNT, "k"))
        assert done <= info.usage[1]["encrypt"].count <= done + unclear
        assert faults.met
        await reference.stop(block=False)
