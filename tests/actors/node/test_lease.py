"""What a node remembers serves nobody past its lease, whoever asks.

The kind: an answer from memory (a vault's keys and rights, an operator's revocations) that no lease bounds, or a
lease that stands still while the machine is suspended. The way to anything remembered asks for the lease, and one
clock measures it, which tests move.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from kms_actors import clock
from kms_actors.actors.node.service import NodeService
from kms_actors.auth.service_token import proof_digest
from kms_actors.errors import StoreUnavailable, Unavailable
from kms_actors.kv.messages import ReadSecret, WriteSecret
from kms_actors.store.api import Body, Priority, Store, T
from tests.actors.node_service import VAULT, configuration, unseal_node, unseal_tenant
from tests.store.conftest import open_store, place, store

__all__ = ["open_store", "place", "store"]

LEASE = 60.0


class Suspended:
    """A store that cannot be reached, on a machine whose clock jumps."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.watch = store.watch
        self.close = store.close
        self.cut = False
        self.jump = 0.0

    def elapsed(self) -> float:
        return clock.elapsed() + self.jump

    async def run(
        self, body: Body[T], *, idempotency_key: bytes | None = None, priority: Priority = Priority.REQUEST
    ) -> T:
        if self.cut:
            raise StoreUnavailable("cut off")
        return await self._store.run(body, idempotency_key=idempotency_key, priority=priority)


@pytest.fixture
def machine(store: Store) -> Suspended:
    return Suspended(store)


@pytest_asyncio.fixture
async def node(machine: Suspended) -> AsyncIterator[NodeService]:
    service = NodeService(configuration(lease_seconds=LEASE), machine, elapsed=machine.elapsed)
    await service.start()
    await unseal_node(service)
    await unseal_tenant(service)
    yield service
    machine.cut = False
    await service.stop()


def test_the_clock_counts_suspension_where_there_is_one_that_does() -> None:
    if not hasattr(time, "CLOCK_BOOTTIME"):
        pytest.skip("this system has no CLOCK_BOOTTIME")
    before = time.clock_gettime(time.CLOCK_BOOTTIME)
    assert before <= clock.elapsed() <= time.clock_gettime(time.CLOCK_BOOTTIME)


async def test_a_node_that_wakes_from_a_suspension_serves_nothing_from_before(
    machine: Suspended, node: NodeService
) -> None:
    tenant = await node.tenant(VAULT)
    await tenant.ask(WriteSecret(1, "a", b"{}"))
    machine.cut, machine.jump = True, LEASE + 1
    assert node.lease_age > LEASE
    with pytest.raises(Unavailable):
        await tenant.ask(ReadSecret(1, "a"))
    with pytest.raises(Unavailable):
        node.awake(VAULT)
    with pytest.raises(Unavailable):
        await node.tenant(VAULT)
    with pytest.raises(Unavailable):
        await node.tenant_by_token(1, proof_digest("hvs.000001" + "a" * 18))


async def test_an_operator_is_not_believed_past_the_lease(machine: Suspended, node: NodeService) -> None:
    """The operator's token was revoked elsewhere, and this node cannot have heard of it."""
    assert not node.node_revoked(("id",))
    machine.cut, machine.jump = True, LEASE + 1
    with pytest.raises(Unavailable):
        node.node_revoked(("id",))


async def test_the_lease_begins_anew_once_the_store_is_read(machine: Suspended, node: NodeService) -> None:
    machine.jump = LEASE + 1
    with pytest.raises(Unavailable):
        node.awake(VAULT)
    await node.catch_up()
    assert node.awake(VAULT) is not None
    assert not node.node_revoked(("id",))
