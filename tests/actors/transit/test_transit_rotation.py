"""Keys that rotate by themselves: at a use past their time, once, whichever node sees it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kms_actors.actors.transit.storage import TransitRecords
from kms_actors.messages import Grants
from kms_actors.store.api import Transaction
from kms_actors.transit import messages as m
from kms_actors.transit.items import EncryptItem
from kms_actors.transit.policy import KeyOptions
from kms_actors.transit.records import KeyPolicy
from tests.actors.transit_tenant import MOUNT, Tenant, opened

HOUR = 3600 * 10**9


@pytest.fixture
async def tenants(tmp_path: Path) -> AsyncIterator[list[Tenant]]:
    async with opened(tmp_path, actors=2) as (_, actors):
        yield actors


async def create(tenant: Tenant, age: int, **changes: Any) -> None:
    """Make a key that rotates every two hours, as it is when its version is `age` nanoseconds old."""
    await tenant.ask(m.CreateKey(MOUNT, "k", KeyOptions(auto_rotate_period=2 * HOUR)))
    records = TransitRecords(tenant.context.keys, tenant.context.keyring)

    async def body(tr: Transaction) -> None:
        policy = await records.policy(tr, MOUNT.number, "k")
        assert isinstance(policy, KeyPolicy)
        records.put_policy(tr, MOUNT.number, msgspec.structs.replace(policy, **changes))
        version = (await records.versions(tr, MOUNT.number, policy))[1]
        aged = msgspec.structs.replace(version, created=time.time_ns() - age)
        records.put_version(tr, MOUNT.number, "k", 1, aged)

    await tenant.context.store.change(body, mount=MOUNT.number)


async def encrypt(tenant: Tenant) -> int:
    """Use the key; return the version that was used."""
    message = m.Encrypt(MOUNT, "k", [EncryptItem(b"x")], Grants(), False, "aes256-gcm96", False)
    [(_, version)] = await tenant.ask(message)
    assert isinstance(version, int)
    return version


async def latest(tenant: Tenant) -> int:
    info = await tenant.ask(m.ReadKey(MOUNT, "k"))
    version: int = info.policy.latest_version
    return version


async def rotated(tenant: Tenant) -> None:
    for _ in range(1000):
        if await encrypt(tenant) == 2:
            return
        await asyncio.sleep(0.01)
    pytest.fail("the key was not rotated")


async def settled() -> None:
    """Wait until no rotation is under way."""
    for _ in range(1000):
        if not any("_rotate_due" in repr(task) for task in asyncio.all_tasks()):
            return
        await asyncio.sleep(0.01)
    pytest.fail("a rotation does not end")


async def test_a_key_past_its_time_is_rotated_by_its_use(tenants: list[Tenant]) -> None:
    await create(tenants[0], 3 * HOUR)
    assert await encrypt(tenants[0]) == 1
    await rotated(tenants[0])
    await settled()
    assert await latest(tenants[0]) == 2


async def test_a_cached_key_is_rotated_too(tenants: list[Tenant]) -> None:
    await create(tenants[0], HOUR)
    assert await encrypt(tenants[0]) == 1
    assert await encrypt(tenants[0]) == 1
    object.__setattr__(tenants[0].context, "clock", lambda: time.time_ns() + HOUR)
    assert await encrypt(tenants[0]) == 1
    await rotated(tenants[0])


async def test_it_is_rotated_once_though_several_nodes_see_it(tenants: list[Tenant]) -> None:
    await create(tenants[0], 30 * HOUR)
    await asyncio.gather(*(encrypt(tenant) for tenant in tenants for _ in range(5)))
    await settled()
    assert [await latest(tenant) for tenant in tenants] == [2, 2]
    await asyncio.gather(*(rotated(tenant) for tenant in tenants))
    await settled()
    assert await latest(tenants[0]) == 2


@pytest.mark.parametrize("changes", [{"auto_rotate_period": 0}, {"allow_rotation": False, "imported": True}])
async def test_other_keys_stay_as_they_are(tenants: list[Tenant], changes: dict[str, Any]) -> None:
    await create(tenants[0], 30 * HOUR, **changes)
    for _ in range(2):
        assert await encrypt(tenants[0]) == 1
        await settled()
    assert await latest(tenants[0]) == 1


async def test_a_key_is_not_rotated_before_its_time(tenants: list[Tenant]) -> None:
    await create(tenants[0], HOUR)
    for _ in range(2):
        assert await encrypt(tenants[0]) == 1
        await settled()
    assert await latest(tenants[0]) == 1
