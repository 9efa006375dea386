"""A key that has encrypted nearly as much as one key should is told of, and followed by its next version.

The kind: a bound that is written down and watched by nobody. What is counted for operators is compared with the bound
by the process that counts, all processes together, and acted upon where the key allows it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from kms_actors.actors.tenant import sealed
from kms_actors.actors.tenant.limits import NearLimits
from kms_actors.actors.tenant.sealed import TOGETHER, SealedRecords
from kms_actors.errors import StoreUnavailable
from kms_actors.keyring.keyring import Keyring
from kms_actors.keyring.record import MOST_RECORDS
from kms_actors.kv.messages import WriteSecret
from kms_actors.store.api import Store
from kms_actors.store.keyspace import TenantKeys
from kms_actors.transit import messages as m
from kms_actors.transit.key import TransitKey
from kms_actors.transit.limits import NEAR, WORN
from kms_actors.transit.usage import ENCRYPT
from tests.actors.transit.test_transit_usage import Client, nodes
from tests.actors.transit_tenant import MOUNT
from tests.store.access import get, put
from tests.store.conftest import open_store, place, store
from tests.support.vaults import filled, node

__all__ = ["open_store", "place", "store"]

OpenStore = Callable[[], Awaitable[Store]]


@pytest_asyncio.fixture
async def client(store: Store) -> AsyncIterator[Client]:
    async with nodes(store) as (client,):
        yield client


async def encrypt_many(client: Client, number: int, version: int = 1) -> None:
    """Have a version used once, and counted as if it had encrypted `number` messages."""
    await client.encrypt()
    key = await client.actor.context.store.read(lambda tr: client.actor.controller._records.key(tr, 2, "k"))
    assert isinstance(key, TransitKey)
    client.usage.add(MOUNT.number, key, version, ENCRYPT, number - 1)
    await client.usage.flush()


async def settled(client: Client, version: int) -> int:
    """Return the latest version, once it is `version` or enough time has passed for it."""
    for _ in range(200):
        latest = (await client.info()).policy.latest_version
        if latest == version:
            break
        await asyncio.sleep(0.01)
    return latest


async def test_a_key_that_has_encrypted_enough_gets_its_next_version(client: Client) -> None:
    await client.create()
    await encrypt_many(client, WORN)
    assert await settled(client, 2) == 2
    ((_, version),) = await client.encrypt()
    assert version == 2
    assert client.actor.context.near_limits.keys == 0
    assert "version 1" in (await client.info()).warnings[0]


@pytest.mark.parametrize(("number", "warned"), [(NEAR - 1, 0), (NEAR, 1), (WORN - 1, 1)])
async def test_before_that_it_is_told_of_and_stays(client: Client, number: int, warned: int) -> None:
    await client.create()
    await encrypt_many(client, number)
    await asyncio.sleep(0.1)
    info = await client.info()
    assert (info.policy.latest_version, len(info.warnings)) == (1, warned)
    assert client.actor.context.near_limits.keys == warned


async def test_what_several_processes_counted_adds_up(open_store: OpenStore) -> None:
    async with nodes(await open_store(), await open_store()) as (first, second):
        await first.create()
        await encrypt_many(first, WORN // 2)
        assert await settled(first, 1) == 1
        await encrypt_many(second, WORN // 2 + 1)
        assert await settled(first, 2) == 2


async def test_processes_that_find_it_at_once_add_one_version(open_store: OpenStore) -> None:
    async with nodes(await open_store(), await open_store(), await open_store()) as clients:
        await clients[0].create()
        await asyncio.gather(*(encrypt_many(client, WORN) for client in clients))
        assert await settled(clients[0], 2) == 2
        await asyncio.sleep(0.1)
        assert (await clients[0].info()).policy.latest_version == 2


@pytest.mark.parametrize("options", [{"type": "xchacha20-poly1305"}, {"derived": True}])
async def test_keys_without_such_a_bound_are_left_alone(client: Client, options: dict[str, Any]) -> None:
    await client.create(**options)
    key = await client.actor.context.store.read(lambda tr: client.actor.controller._records.key(tr, 2, "k"))
    assert isinstance(key, TransitKey)
    client.usage.add(MOUNT.number, key, 1, ENCRYPT, WORN)
    await client.usage.flush()
    await asyncio.sleep(0.1)
    info = await client.info()
    assert (info.policy.latest_version, info.warnings) == (1, ())


async def test_a_key_that_may_not_be_used_gets_no_version(client: Client) -> None:
    await client.create()
    await client.encrypt()
    await client.ask(m.SoftDeleteKey(MOUNT, "k", True))
    key = await client.actor.context.store.read(lambda tr: client.actor.controller._records.key(tr, 2, "k"))
    assert isinstance(key, TransitKey)
    client.usage.add(MOUNT.number, key, 1, ENCRYPT, WORN)
    await client.usage.flush()
    assert await settled(client, 2) == 1
    assert client.actor.context.near_limits.keys == 1


async def test_a_version_is_measured_once_and_then_after_many_messages(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[int] = []

    async def measure(mount: int, name: str, version: int) -> int:
        measured.append(version)
        return 0

    monkeypatch.setattr(client.actor.controller._changes, "measure", measure)
    await client.create()
    for number in (1, 1000, 1 << 21, 1 << 21, 10):
        await encrypt_many(client, number)
    await asyncio.sleep(0.05)
    assert measured == [1, 1]


# Keyrings.

KEYS = TenantKeys(1)


async def sealed_records(store: Store, version: int = 1) -> int:
    return int.from_bytes(await get(store, KEYS.key("sealed", version)) or b"", "little")


async def test_records_that_a_keyring_seals_are_counted(store: Store, tmp_path: Path) -> None:
    async with node(store, tmp_path, lease_seconds=60.0) as service:
        await filled(service, "vault_a")
        tenant = await service.tenant("vault_a")
        for start in range(0, 1000, 50):
            some = range(start, start + 50)
            await asyncio.gather(*(tenant.ask(WriteSecret(1, f"s{number}", b"{}", None)) for number in some))
        counted = await sealed_records(store)
        assert 1000 - TOGETHER <= counted <= 1500
        assert service.near_limits.keyrings == 0


async def test_a_keyring_that_has_sealed_half_of_what_it_should_is_told_of(store: Store, tmp_path: Path) -> None:
    async with node(store, tmp_path, lease_seconds=60.0) as service:
        await filled(service, "vault_a")
        await put(store, (KEYS.key("sealed", 1), (MOST_RECORDS // 2).to_bytes(8, "little")))
        tenant = await service.tenant("vault_a")
        for number in range(TOGETHER + 1):
            await tenant.ask(WriteSecret(1, f"s{number}", b"{}", None))
        assert service.near_limits.keyrings == 1


async def test_what_could_not_be_added_is_added_later(store: Store) -> None:
    keyring = Keyring.generate(0.0)
    told: list[int] = []
    counter = SealedRecords(store, KEYS, keyring, told.append)
    for _ in range(TOGETHER - 1):
        keyring.seal(b"k", b"")
    assert counter.take() == 0
    keyring.seal(b"k", b"")
    assert (counter.take(), counter.take()) == (TOGETHER, 0)
    counter.give_back(TOGETHER)
    assert counter.take() == TOGETHER


async def test_a_counter_that_cannot_be_looked_at_fails_no_request(store: Store) -> None:
    class Away:
        async def run(self, *_: object) -> None:
            raise StoreUnavailable("away")

    counter = SealedRecords(Away(), KEYS, Keyring.generate(0.0), pytest.fail)  # type: ignore[arg-type]
    await counter.added()


def test_who_is_near_a_limit_is_remembered_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = NearLimits()
    for number in range(12_000):
        limits.note_key("v", 1, str(number), near=True)
    assert limits.keys == 10_000
    limits.note_key("v", 1, "0", near=False)
    assert limits.keys == 9_999
    limits.note_keyring("v", MOST_RECORDS)
    limits.note_keyring("v", 0)
    assert limits.keyrings == 0
    assert sealed.TOGETHER < 2**20
