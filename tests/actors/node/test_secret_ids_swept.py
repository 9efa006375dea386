"""Secret ids that have ended are removed by the cluster's sweep, and the vault leaves the schedule with the last."""

from __future__ import annotations

from kms_actors.actors.cluster.schedule import KEPT
from kms_actors.actors.node.service import NodeService
from kms_actors.login.approle_messages import ListSecretIds, NewSecretId, WriteRole
from kms_actors.messages import EnableMount
from kms_actors.store.api import Store
from kms_actors.store.keyspace import TenantKeys
from tests.actors.node.test_schedule_sweep import (
    Clock,
    clock,
    index,
    open_store,
    place,
    rotating,
    service,
    store,
    sweep,
)
from tests.store.access import get_all
from tests.support.vaults import filled

__all__ = ["clock", "open_store", "place", "service", "store"]

SECOND = 10**9


async def secret_ids(service: NodeService, store: Store, *ttls: int) -> int:
    """Make secret ids of these times to live; return how many records of them there are."""
    tenant = await service.tenant("vault_a")
    await tenant.ask(EnableMount("auth/approle/", "approle", "", {}))
    await tenant.ask(WriteRole(3, "app", {}))
    for ttl in ttls:
        await tenant.ask(NewSecretId(3, "app", {"ttl": ttl}))
    return await count(store)


async def count(store: Store) -> int:
    begin, end = TenantKeys(1).span("approle", 3, "secret-id")
    return sum(begin < key < end for key, _ in await get_all(store))


async def test_they_are_removed_when_they_have_ended(service: NodeService, store: Store, clock: Clock) -> None:
    await filled(service, "vault_a")
    assert await secret_ids(service, store, 60, 3600, 0) == 3
    clock.ahead = 60 * SECOND
    await sweep(service)
    assert await count(store) == 3  # not at once: clocks are not all the same
    clock.ahead = 61 * SECOND + KEPT
    await sweep(service)
    assert await count(store) == 2
    clock.ahead = 3601 * SECOND + KEPT
    await sweep(service)
    assert await count(store) == 1
    assert await index(store) == []
    tenant = await service.tenant("vault_a")
    assert len(await tenant.ask(ListSecretIds(3, "app"))) == 1


async def test_they_do_not_keep_keys_from_rotating(service: NodeService, store: Store, clock: Clock) -> None:
    await rotating(service)
    await secret_ids(service, store, 60)
    clock.ahead = 3 * 3600 * SECOND + KEPT
    assert await sweep(service) == 1
    await sweep(service)
    assert await count(store) == 0
    assert len(await index(store)) == 1
