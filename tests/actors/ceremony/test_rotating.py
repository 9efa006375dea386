"""Keyrings that are rotated: what was sealed before opens, on every node, and what is sealed after is of the new one.

The kind: a node that does not know the version yet meets a record of it, and answers an error; or goes on sealing by
the old one for ever.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest

from kms_actors.actors.node.master import MasterScope
from kms_actors.actors.node.service import NodeService
from kms_actors.actors.tenant import master
from kms_actors.actors.tenant.sealed import TOGETHER
from kms_actors.backup.format import ALL
from kms_actors.ceremony.messages import (
    ConfigureRotation,
    KeyStatus,
    ReadKeyStatus,
    ReadRotateConfig,
    RotateKeyring,
    RotateKeyringIfDue,
)
from kms_actors.ceremony.rotation import LEAST_INTERVAL, LEAST_OPERATIONS, RotateConfig
from kms_actors.errors import InvalidRequest, Sealed
from kms_actors.keyring.keyring import MOST_VERSIONS, Keyring
from kms_actors.keyring.record import version_of
from kms_actors.kv.messages import ReadSecret, WriteSecret
from kms_actors.messages import Seal
from kms_actors.secret import SecretBytes
from kms_actors.store import keyspace
from kms_actors.store.api import Store, Transaction
from kms_actors.store.keyspace import TenantKeys
from tests.actors.node.test_schedule_sweep import Clock, assert_clean, cluster, sweep
from tests.store.access import clear, get, get_all, put
from tests.store.conftest import open_store, place, store
from tests.support.backups import backup, restore
from tests.support.faulty_store import ConflictingStore
from tests.support.vaults import filled, node

__all__ = ["open_store", "place", "store"]

OpenStore = Callable[[], Awaitable[Store]]
KEYS = TenantKeys(1)


async def _nothing() -> None: ...


def _itself(keyring: Keyring) -> Keyring:
    return keyring


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def write(service: NodeService, path: str, vault: str = "vault_a") -> None:
    await (await service.tenant(vault)).ask(WriteSecret(1, path, b"{}"))


async def read(service: NodeService, path: str, vault: str = "vault_a") -> bytes:
    found: bytes = (await (await service.tenant(vault)).ask(ReadSecret(1, path))).data
    return found


async def version_at(store: Store, *parts: object) -> int:
    return version_of(await get(store, KEYS.key(*parts)) or b"")


async def test_after_a_rotation_old_records_open_and_new_ones_are_of_the_new_version(
    open_store: OpenStore, store: Store, tmp_path: Path, clock: Clock
) -> None:
    async with cluster(open_store, tmp_path, clock, 1) as (service,):
        vault = await filled(service, "vault_a")
        tenant = await service.tenant("vault_a")
        status = await tenant.ask(RotateKeyring())
        assert (status.term, status.encryptions) == (2, 0)
        await vault.check(service)
        await write(service, "new")
        assert await version_at(store, "kv", 1, "meta", "new") == 2
        assert await version_at(store, "kv", 1, "meta", "app/one") == 1
    async with cluster(open_store, tmp_path, clock, 1) as (again,):
        await vault.check(again)
        assert await read(again, "new") == b"{}"
        assert (await (await again.tenant("vault_a")).ask(ReadKeyStatus())).term == 2
    await assert_clean(store, tmp_path)


async def test_another_node_reads_what_is_sealed_by_a_version_that_it_has_not_heard_of(
    open_store: OpenStore, store: Store, tmp_path: Path, clock: Clock
) -> None:
    async with cluster(open_store, tmp_path, clock, 2) as (first, second):
        vault = await filled(first, "vault_a")
        await vault.check(second)
        for number in range(5):
            await (await first.tenant("vault_a")).ask(RotateKeyring())
            await write(first, f"s{number}")
            assert await read(second, f"s{number}") == b"{}"
            await write(second, f"s{number}")
            assert await version_at(store, "kv", 1, "meta", f"s{number}") == number + 2


async def test_two_nodes_that_rotate_at_once_add_two_versions(
    open_store: OpenStore, store: Store, tmp_path: Path, clock: Clock
) -> None:
    async with cluster(open_store, tmp_path, clock, 2) as services:
        await filled(services[0], "vault_a")
        tenants = [await service.tenant("vault_a") for service in services]
        made = await asyncio.gather(*(tenant.ask(RotateKeyring()) for tenant in tenants for _ in range(3)))
        assert sorted(status.term for status in made) == [2, 3, 4, 5, 6, 7]
        assert [(await tenant.ask(ReadKeyStatus())).term for tenant in tenants] == [7, 7]
    await assert_clean(store, tmp_path)


async def test_records_are_counted_of_all_nodes(open_store: OpenStore, tmp_path: Path, clock: Clock) -> None:
    async with cluster(open_store, tmp_path, clock, 2) as (first, second):
        await filled(first, "vault_a")
        await (await first.tenant("vault_a")).ask(RotateKeyring())
        for service in (first, second):
            for number in range(TOGETHER):
                await write(service, f"n{number % 7}")
        status: KeyStatus = await (await second.tenant("vault_a")).ask(ReadKeyStatus())
        assert status.encryptions >= 2 * TOGETHER


async def test_a_keyring_is_rotated_when_it_has_sealed_as_many_records_as_it_may(
    open_store: OpenStore, store: Store, tmp_path: Path, clock: Clock
) -> None:
    async with cluster(open_store, tmp_path, clock, 1) as (service,):
        await filled(service, "vault_a")
        tenant = await service.tenant("vault_a")
        await tenant.ask(ConfigureRotation(max_operations=LEAST_OPERATIONS))
        await put(store, (KEYS.key("sealed", 1), (LEAST_OPERATIONS - 200).to_bytes(8, "little")))
        assert await tenant.ask(RotateKeyringIfDue()) is False
        for number in range(TOGETHER + 1):
            await write(service, f"n{number}")
        async with asyncio.timeout(10):
            while (await tenant.ask(ReadKeyStatus())).term == 1:  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0.01)


async def test_a_keyring_is_rotated_by_time_by_the_clusters_schedule_once(
    open_store: OpenStore, store: Store, tmp_path: Path, clock: Clock
) -> None:
    async with cluster(open_store, tmp_path, clock, 2) as (first, second):
        await filled(first, "vault_a")
        tenant = await first.tenant("vault_a")
        await tenant.ask(ConfigureRotation(interval=LEAST_INTERVAL))
        await sweep(first)
        assert (await tenant.ask(ReadKeyStatus())).term == 1
        clock.ahead += LEAST_INTERVAL + 10**9
        await asyncio.gather(sweep(first), sweep(second))
        assert (await tenant.ask(ReadKeyStatus())).term == 2
        await asyncio.gather(sweep(first), sweep(second))
        assert (await tenant.ask(ReadKeyStatus())).term == 2
        clock.ahead += LEAST_INTERVAL + 10**9
        await sweep(second)
        assert (await tenant.ask(ReadKeyStatus())).term == 3
        await tenant.ask(ConfigureRotation(interval=0))
        clock.ahead += 2 * LEAST_INTERVAL
        await sweep(second)
        assert (await tenant.ask(ReadKeyStatus())).term == 3
        assert await get(store, KEYS.key("keyring-due")) is None
    await assert_clean(store, tmp_path)


@pytest.mark.parametrize("scope", ["cluster", "node"])
async def test_a_vault_that_was_sealed_when_its_keyring_was_due_is_rotated_once_it_is_unsealed(
    store: Store, tmp_path: Path, clock: Clock, scope: str
) -> None:
    """Also where the commit of the unsealing has to be tried again."""
    async with node(ConflictingStore(store), tmp_path, clock, unseal_scope=scope, lease_seconds=60.0) as service:
        vault = await filled(service, "vault_a")
        tenant = await service.tenant("vault_a")
        await tenant.ask(ConfigureRotation(interval=LEAST_INTERVAL))
        await tenant.ask(Seal())
        clock.ahead += 2 * LEAST_INTERVAL
        await sweep(service)
        tenant = await vault.unsealed(service)
        await sweep(service)
        assert (await tenant.ask(ReadKeyStatus())).term == 2


async def test_the_configuration_is_kept_and_a_wrong_one_is_refused(
    open_store: OpenStore, tmp_path: Path, clock: Clock
) -> None:
    async with cluster(open_store, tmp_path, clock, 2) as (first, second):
        await filled(first, "vault_a")
        tenant = await first.tenant("vault_a")
        assert await tenant.ask(ReadRotateConfig()) == RotateConfig()
        await tenant.ask(ConfigureRotation(LEAST_OPERATIONS, LEAST_INTERVAL, enabled=False))
        with pytest.raises(InvalidRequest):
            await tenant.ask(ConfigureRotation(interval=1))
        kept = await (await second.tenant("vault_a")).ask(ReadRotateConfig())
        assert kept == RotateConfig(LEAST_OPERATIONS, LEAST_INTERVAL, enabled=False)
        assert await first.ask_node(ReadRotateConfig()) == RotateConfig()


async def test_a_keyring_has_no_more_versions_than_it_may(
    open_store: OpenStore, tmp_path: Path, clock: Clock
) -> None:
    async with cluster(open_store, tmp_path, clock, 1) as (service,):
        await filled(service, "vault_a")
        tenant = await service.tenant("vault_a")
        for _ in range(MOST_VERSIONS - 1):
            await tenant.ask(RotateKeyring())
        with pytest.raises(InvalidRequest, match=str(MOST_VERSIONS)):
            await tenant.ask(RotateKeyring())


async def test_a_backup_of_a_rotated_vault_opens(
    open_store: OpenStore, store: Store, tmp_path: Path, clock: Clock
) -> None:
    async with cluster(open_store, tmp_path, clock, 1) as (service,):
        vault = await filled(service, "vault_a")
        await (await service.tenant("vault_a")).ask(RotateKeyring())
        await service.ask_node(RotateKeyring())
        await write(service, "new")
        kept = await backup(store, ALL)
        await restore(store, kept, replace=True)
        await service.catch_up()
        tenant = await vault.unsealed(service)
        assert not tenant.sealed
        await vault.check(service)
        assert await read(service, "new") == b"{}"
    await assert_clean(store, tmp_path)


class TestMasterKeyring:
    async def test_every_node_goes_on_by_the_new_version(
        self, open_store: OpenStore, store: Store, tmp_path: Path, clock: Clock
    ) -> None:
        async with cluster(open_store, tmp_path, clock, 3) as services:
            for number, service in enumerate(services):
                assert (await service.ask_node(RotateKeyring())).term == number + 2
                vault = await filled(service, f"vault_{number}")
                for other in services:
                    await vault.check(other)
            unsealed = [await get(store, TenantKeys(number).key("unsealed")) for number in (1, 2, 3)]
            assert [version_of(record or b"") for record in unsealed] == [2, 3, 4]
            for service in services:
                status = await service.ask_node(ReadKeyStatus())
                assert (status.term, status.encryptions > 0) == (4, True)
        await assert_clean(store, tmp_path)
        async with cluster(open_store, tmp_path, clock, 1) as (again,):
            assert (await again.ask_node(ReadKeyStatus())).term == 4
            assert not (await again.tenant("vault_0")).sealed

    async def test_what_followed_is_left_for_a_while_and_a_node_that_missed_it_seals_itself(
        self, open_store: OpenStore, store: Store, tmp_path: Path, clock: Clock
    ) -> None:
        async with cluster(open_store, tmp_path, clock, 2) as (first, second):
            await first.ask_node(RotateKeyring())
            upgrade = keyspace.node("kms-c1", master.UPGRADE, 1)
            await first._look_after_cluster()
            assert await get(store, upgrade) is not None
            await second.catch_up()
            await second._feed.stop()
            await first.ask_node(RotateKeyring())
            await clear(store, keyspace.node("kms-c1", master.UPGRADE, 2))
            await second._renew_master()
            assert [service.node_sealed for service in (first, second)] == [False, True]

    async def test_all_who_follow_several_rotations_at_once_arrive(self, store: Store) -> None:
        """What one has taken in while another one read it is no end: the node would take itself for left behind."""
        versions = [Keyring.generate(1.0, owner="kms-c1")]
        for _ in range(3):
            versions.append(versions[-1].rotated(2.0))
        place = master.place_of("kms-c1")

        async def rotate(tr: Transaction) -> None:
            for before, after in pairwise(versions):
                master.leave_upgrade(tr, place, before, after)
            master.keep_master_key(tr, place, versions[-1], SecretBytes(bytes(range(32))))

        await store.run(rotate)
        for _ in range(5):
            keyring = Keyring.load(versions[0].dump())
            scope = MasterScope(store, "kms-c1", partial(_itself, keyring), _nothing, time.time_ns)
            found = await asyncio.gather(*(scope.follow() for _ in range(3)))
            assert [kept.behind for kept in found] == [False] * 3
            assert keyring.active_version == 4

    async def test_a_master_keyring_that_is_due_is_rotated_once(
        self, open_store: OpenStore, store: Store, tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with cluster(open_store, tmp_path, clock, 2) as services:
            first = services[0]
            await first.ask_node(ConfigureRotation(max_operations=LEAST_OPERATIONS))
            counter = keyspace.node("kms-c1", master.SEALED, 1)
            await put(store, (counter, LEAST_OPERATIONS.to_bytes(8, "little")))
            await asyncio.gather(*(service._look_after_cluster() for service in services))
            assert (await first.ask_node(ReadKeyStatus())).term == 2
            monkeypatch.setattr("kms_actors.actors.node.master.UPGRADE_SECONDS", 0.0)
            await first._look_after_cluster()
            left = [key for key, _ in await get_all(store) if key.startswith(keyspace.node("kms-c1", master.UPGRADE))]
            assert left == []

    async def test_neither_a_clock_ahead_nor_a_rotation_a_moment_ago_has_others_lose_their_way(
        self, store: Store
    ) -> None:
        elapsed = [0.0]
        keyring = Keyring.generate(1.0, owner="kms-c1")
        scope = MasterScope(store, "kms-c1", lambda: keyring, _nothing, time.time_ns, elapsed=lambda: elapsed[0])
        for version in (1, 2):  # one that led here, and one that leads on
            await put(store, (keyspace.node("kms-c1", master.UPGRADE, version), b"x"))
        keyring.adopt(keyring.rotated(2.0))
        begin = keyspace.node("kms-c1", master.UPGRADE)
        for passed, left in ((0.0, [1, 2]), (599.0, [1, 2]), (601.0, [2])):
            elapsed[0] = passed
            await scope.drop_upgrades()
            found = [key for key, _ in await get_all(store) if key.startswith(begin)]
            assert found == [keyspace.node("kms-c1", master.UPGRADE, version) for version in left]

    async def test_a_sealed_node_rotates_nothing(self, open_store: OpenStore, tmp_path: Path, clock: Clock) -> None:
        async with cluster(open_store, tmp_path, clock, 1) as (service,):
            await service.ask_node(Seal())
            with pytest.raises(Sealed):
                await service.ask_node(RotateKeyring())
