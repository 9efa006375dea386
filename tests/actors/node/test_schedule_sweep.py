"""Keys with an `auto_rotate_period` get versions without a use: once in the cluster, and nobody else is woken."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from kms_actors.actors.cluster.schedule import (
    CLAIM,
    Claim,
    encode_time,
)
from kms_actors.actors.cluster.timekeeping import TIME, Kept, Standing
from kms_actors.actors.node.directory import TenantHandle
from kms_actors.actors.node.service import NodeService
from kms_actors.actors.transit.schedule import (
    RETRY,
    RotateDue,
)
from kms_actors.auth.principal import Right
from kms_actors.check.walk import check
from kms_actors.errors import KmsError, StoreUnavailable
from kms_actors.keyring import stored
from kms_actors.messages import (
    DisableMount,
    EnableMount,
    Initialize,
    Seal,
)
from kms_actors.store import keyspace
from kms_actors.store.api import Store
from kms_actors.store.keyspace import TenantKeys
from kms_actors.token.making import Maker, Wanted
from kms_actors.token.messages import CreateToken
from kms_actors.token.spec import Issued
from kms_actors.transit import messages as m
from kms_actors.transit.items import EncryptItem
from kms_actors.transit.policy import KeyChanges, KeyOptions
from tests.store.access import get, get_all, put
from tests.store.conftest import open_store, place, store
from tests.support.backups import backup, restore
from tests.support.faulty_store import CountingStore
from tests.support.vaults import Vault, filled, master_of, node, opened, transit_mount

__all__ = ["open_store", "place", "store"]

HOUR = 3600 * 10**9
OpenStore = Callable[[], Awaitable[Store]]


class Clock:
    """The time, set forward."""

    def __init__(self) -> None:
        self.ahead = 0

    def __call__(self) -> int:
        return time.time_ns() + self.ahead


@pytest.fixture
def clock() -> Clock:
    return Clock()


@asynccontextmanager
async def cluster(
    open_store: OpenStore, directory: Path, clock: Clock, nodes: int, **tenants: Any
) -> AsyncIterator[list[NodeService]]:
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(node(await open_store(), directory, clock, **tenants))
            for _ in range(nodes)
        ]


@pytest.fixture
async def service(store: Store, tmp_path: Path, clock: Clock) -> AsyncIterator[NodeService]:
    async with node(store, tmp_path, clock) as service:
        yield service


async def trust(service: NodeService) -> None:
    """Have the cluster's time be that of the node's clock: what is off is for the tests of timekeeping."""
    await put(service._store, (TIME, stored.encode(Kept(service._clock(), 1))))
    assert await service.timekeeper.look()


async def sweep(service: NodeService) -> int:
    await trust(service)
    assert service._sweep is not None
    return await service._sweep.sweep()


async def rotating(service: NodeService, vault_id: str = "vault_a", *names: str, hours: int = 2) -> Vault:
    """Make a vault with keys that rotate every two hours, or those of `names`."""
    vault = await filled(service, vault_id)
    tenant = await service.tenant(vault_id)
    for name in names or ("k",):
        options = KeyOptions(auto_rotate_period=hours * HOUR)
        await tenant.ask(m.CreateKey(transit_mount(tenant), name, options))
    return vault


async def latest(service: NodeService, vault_id: str = "vault_a", name: str = "k") -> int:
    tenant = await service.tenant(vault_id)
    version: int = (await tenant.ask(m.ReadKey(transit_mount(tenant), name))).policy.latest_version
    return version


async def index(store: Store) -> list[tuple[Any, ...]]:
    """Return the entries of the index: time and tenant."""
    return [keyspace.unpack(key)[1:] for key, _ in await get_all(store) if key.startswith(keyspace.DUE)]


async def scheduled(store: Store, tenant: int = 1) -> set[tuple[Any, ...]]:
    """Return mount and name of the keys that are in the schedule of a tenant."""
    keys = TenantKeys(tenant)
    begin = keys.key("due")
    return {keys.parts(key)[1:] for key, _ in await get_all(store) if key.startswith(begin) and key != begin}


async def assert_clean(store: Store, directory: Path) -> None:
    report = await check(store, await master_of(store, directory), lambda *_: None)
    assert list(report.findings) == []


async def test_a_key_is_rotated_without_being_used(
    open_store: OpenStore, store: Store, tmp_path: Path, clock: Clock
) -> None:
    async with cluster(open_store, tmp_path, clock, 1) as (first,):
        await rotating(first)
    clock.ahead += 3 * HOUR
    async with cluster(open_store, tmp_path, clock, 1) as (second,):
        assert await sweep(second) == 1
        assert await latest(second) == 2
        assert await sweep(second) == 0
        clock.ahead += 3 * HOUR
        assert await sweep(second) == 1
        assert await latest(second) == 3
        await assert_clean(store, tmp_path)


async def test_before_its_time_a_key_stays_as_it_is(service: NodeService, clock: Clock) -> None:
    await rotating(service)
    clock.ahead += HOUR
    assert await sweep(service) == 0
    assert await latest(service) == 1


async def test_three_nodes_at_once_rotate_it_once(open_store: OpenStore, tmp_path: Path, clock: Clock) -> None:
    async with cluster(open_store, tmp_path, clock, 3) as nodes:
        await rotating(nodes[0], "vault_a", "k", "l", "m")
        clock.ahead += 3 * HOUR
        assert sum(await asyncio.gather(*map(sweep, nodes))) == 3
        for name in ("k", "l", "m"):
            assert [await latest(service, name=name) for service in nodes] == [2, 2, 2]


async def test_nodes_that_visit_the_same_vault_at_once_rotate_its_keys_once(
    open_store: OpenStore, tmp_path: Path, clock: Clock
) -> None:
    async with cluster(open_store, tmp_path, clock, 3) as nodes:
        await rotating(nodes[0], "vault_a", "k", "l")
        clock.ahead += 3 * HOUR
        tenants = [await service.tenant("vault_a") for service in nodes]
        for service in nodes:
            await trust(service)
        assert sum(await asyncio.gather(*(tenant.ask(RotateDue()) for tenant in tenants))) == 2
        assert [await latest(nodes[0], name=name) for name in ("k", "l")] == [2, 2]


async def test_what_was_rotated_shows_on_every_node(open_store: OpenStore, tmp_path: Path, clock: Clock) -> None:
    async with cluster(open_store, tmp_path, clock, 2) as (first, second):
        await rotating(first)
        assert await latest(second) == 1
        clock.ahead += 3 * HOUR
        await sweep(first)
        await second.catch_up()
        tenant = await second.tenant("vault_a")
        [made] = await tenant.ask(m.MakeDataKey(transit_mount(tenant), "k", 32, EncryptItem(b"")))
        assert made.encrypted[1] == 2


async def test_only_vaults_with_due_keys_are_woken(open_store: OpenStore, tmp_path: Path, clock: Clock) -> None:
    async with cluster(open_store, tmp_path, clock, 1) as (first,):
        for number in range(4):
            await rotating(first, f"vault_{number}", hours=2 if number == 2 else 50)
        await sweep(first)  # each was unsealed a moment ago
    clock.ahead += 3 * HOUR
    async with cluster(open_store, tmp_path, clock, 1) as (second,):
        assert await sweep(second) == 1
        assert second.active_tenants == 1


async def test_a_sweep_is_one_transaction_however_many_vaults_there_are(
    store: Store, tmp_path: Path, clock: Clock
) -> None:
    later = clock() + HOUR
    places = [keyspace.due(later + number, number) for number in range(2000)]
    await put(store, *((place, b"") for place in places))
    counting = CountingStore(store)
    async with node(counting, tmp_path, clock) as service:
        async with asyncio.timeout(10):
            while service.timekeeper.standing is Standing.UNKNOWN:  # noqa: ASYNC110 - there is no event to wait for
                await asyncio.sleep(0.005)
        counting.runs = 0
        assert service._sweep is not None
        assert await service._sweep.sweep() == 0
        assert counting.runs == 1
        assert service.active_tenants == 0


async def test_it_happens_by_itself(store: Store, tmp_path: Path, clock: Clock) -> None:
    async with node(store, tmp_path, clock, rotation_check_seconds=0.01) as service:
        await rotating(service)
        clock.ahead += 3 * HOUR
        async with asyncio.timeout(10):
            while await latest(service) == 1:  # noqa: ASYNC110 - there is no event to wait for
                await asyncio.sleep(0.01)


# Sealed vaults.


async def test_a_sealed_vault_is_left_until_it_is_unsealed(
    service: NodeService, store: Store, tmp_path: Path, clock: Clock
) -> None:
    vault = await rotating(service)
    await (await service.tenant("vault_a")).ask(Seal())
    assert await index(store) == []
    clock.ahead += 3 * HOUR
    assert await sweep(service) == 0
    await vault.unsealed(service)
    assert await sweep(service) == 1
    assert await latest(service) == 2
    await assert_clean(store, tmp_path)


async def test_a_vault_without_such_keys_is_not_in_the_index(service: NodeService, store: Store) -> None:
    await filled(service, "vault_a")
    assert await index(store) == []


async def test_an_entry_that_is_too_early_moves_to_the_time_of_the_next_key(
    service: NodeService, store: Store, clock: Clock
) -> None:
    vault = await rotating(service)
    ((due, _),) = await index(store)
    tenant = await service.tenant("vault_a")
    await tenant.ask(Seal())
    await vault.unsealed(service)
    ((soon, _),) = await index(store)
    assert soon <= clock() < due
    assert await sweep(service) == 0
    assert await index(store) == [(due, 1)]


async def test_a_node_that_is_sealed_does_not_sweep(service: NodeService, clock: Clock) -> None:
    await rotating(service)
    clock.ahead += 3 * HOUR
    await service.ask_node(Seal())
    assert service._sweep is None


async def test_where_each_node_is_unsealed_for_itself_the_unsealed_one_does_it(
    open_store: OpenStore, tmp_path: Path, clock: Clock
) -> None:
    async with cluster(open_store, tmp_path, clock, 2, unseal_scope="node") as (first, second):
        await rotating(first)
        clock.ahead += 3 * HOUR
        assert await sweep(second) == 0
        assert await sweep(first) == 1


# What is in the index.


async def change(tenant: TenantHandle, **changes: Any) -> None:
    await tenant.ask(m.ConfigureKey(transit_mount(tenant), "k", KeyChanges(**changes)))


async def delete(tenant: TenantHandle) -> None:
    await change(tenant, deletion_allowed=True)
    await tenant.ask(m.DeleteKey(transit_mount(tenant), "k"))


async def trim(tenant: TenantHandle) -> None:
    await tenant.ask(m.RotateKey(transit_mount(tenant), "k"))
    await change(tenant, min_decryption_version=2, min_encryption_version=2)
    await tenant.ask(m.TrimKey(transit_mount(tenant), "k", 2))


async def soft_delete(tenant: TenantHandle, *, deleted: bool = True) -> None:
    await tenant.ask(m.SoftDeleteKey(transit_mount(tenant), "k", deleted))


async def replace(tenant: TenantHandle) -> None:
    """Delete the key, and restore it from its own backup."""
    await change(tenant, exportable=True, allow_plaintext_backup=True)
    data = await tenant.ask(m.BackUpKey(transit_mount(tenant), "k"))
    await delete(tenant)
    await tenant.ask(m.RestoreKey(transit_mount(tenant), "k", data, False))


async def come_back(tenant: TenantHandle) -> None:
    await soft_delete(tenant)
    await soft_delete(tenant, deleted=False)


@pytest.mark.parametrize(
    ("done", "stays"),
    [
        (lambda tenant: change(tenant, auto_rotate_period=0), False),
        (lambda tenant: change(tenant, auto_rotate_period=3 * HOUR), True),
        (delete, False),
        (trim, True),
        (soft_delete, False),
        (come_back, True),
        (replace, True),
    ],
    ids=["disabled", "postponed", "deleted", "trimmed", "soft-deleted", "back again", "restored"],
)
async def test_a_change_of_a_key_is_a_change_of_the_schedule(
    service: NodeService,
    store: Store,
    tmp_path: Path,
    clock: Clock,
    *,
    done: Callable[[TenantHandle], Awaitable[None]],
    stays: bool,
) -> None:
    await rotating(service)
    tenant = await service.tenant("vault_a")
    assert await scheduled(store) == {(2, "k")}
    await done(tenant)
    assert await scheduled(store) == ({(2, "k")} if stays else set())
    await assert_clean(store, tmp_path)
    clock.ahead += 4 * HOUR
    assert await sweep(service) == stays
    await assert_clean(store, tmp_path)


async def test_a_shorter_period_has_the_vault_looked_at_earlier(
    service: NodeService, store: Store, clock: Clock
) -> None:
    await rotating(service, hours=500)
    await sweep(service)
    ((before, _),) = await index(store)
    await change(await service.tenant("vault_a"), auto_rotate_period=2 * HOUR)
    ((after, _),) = await index(store)
    assert before - after == 498 * HOUR
    clock.ahead += 3 * HOUR
    assert await sweep(service) == 1


async def test_the_keys_of_a_mount_go_with_it(service: NodeService, store: Store, clock: Clock) -> None:
    await rotating(service)
    tenant = await service.tenant("vault_a")
    await tenant.ask(EnableMount("more/", "transit", "", {}))
    more = tenant.mounts.get("more/")
    assert more is not None
    await tenant.ask(m.CreateKey(more, "k", KeyOptions(auto_rotate_period=2 * HOUR)))
    assert await scheduled(store) == {(2, "k"), (3, "k")}
    await tenant.ask(DisableMount("more/"))
    assert await scheduled(store) == {(2, "k")}
    clock.ahead += 3 * HOUR
    assert await sweep(service) == 1


async def test_a_restored_vault_rotates_its_keys_once_unsealed(
    service: NodeService, store: Store, tmp_path: Path, clock: Clock
) -> None:
    vault = await rotating(service)
    data = await backup(store, "vault_a")
    (tmp_path / "target").mkdir()
    async with opened(tmp_path / "target") as target, node(target, tmp_path / "target", clock) as other:
        await restore(target, data)
        assert await scheduled(target) == {(2, "k")}
        assert await index(target) == []
        clock.ahead += 3 * HOUR
        assert await sweep(other) == 0
        await vault.unsealed(other)
        assert await sweep(other) == 1
        await assert_clean(target, tmp_path / "target")


async def test_a_vault_that_is_replaced_leaves_nothing_in_the_index(
    service: NodeService, store: Store, tmp_path: Path
) -> None:
    await rotating(service)
    await sweep(service)
    data = await backup(store, "vault_a")
    await restore(store, data, replace=True)
    assert await index(store) == []
    await assert_clean(store, tmp_path)


# What goes wrong.


async def test_a_vault_whose_key_is_damaged_keeps_no_other_from_its_rotation(
    service: NodeService, store: Store, clock: Clock
) -> None:
    await rotating(service, "vault_a", "k", "l")
    await rotating(service, "vault_b")
    place = TenantKeys(1).key("transit", 2, "version", "k", 1)
    await put(store, (place, (await get(store, place) or b"")[:-1] + b"?"))
    clock.ahead += 3 * HOUR
    assert await sweep(service) == 2
    assert await latest(service, "vault_a", "l") == await latest(service, "vault_b") == 2
    ((again, _), _) = await index(store)
    assert 0 < again - clock() <= RETRY


async def test_an_entry_of_nobody_is_removed(service: NodeService, store: Store, clock: Clock) -> None:
    await put(store, (keyspace.due(clock(), 77), b""))
    assert await sweep(service) == 0
    assert await index(store) == []
    assert service.active_tenants == 0


async def test_an_entry_of_a_sealed_vault_is_removed(service: NodeService, store: Store, clock: Clock) -> None:
    tenant = await service.tenant("vault_a")
    await tenant.ask(Initialize(1, 1))
    now = clock()
    await put(store, (keyspace.due(now, 1), b""), (TenantKeys(1).key("due"), encode_time(now)))
    assert await sweep(service) == 0
    assert await index(store) == []


@pytest.mark.parametrize(("seconds", "held"), [(30, True), (-1, False), (7200, False)])
async def test_what_another_has_claimed_is_left_to_it_for_a_while(
    service: NodeService, store: Store, clock: Clock, seconds: int, held: bool
) -> None:
    await rotating(service)
    clock.ahead += 3 * HOUR
    await put(store, (CLAIM, stored.encode(Claim("another", clock() + seconds * 10**9))))
    assert await sweep(service) == (not held)


async def test_a_damaged_claim_is_taken(service: NodeService, store: Store, clock: Clock) -> None:
    await rotating(service)
    clock.ahead += 3 * HOUR
    await put(store, (CLAIM, b"?"))
    assert await sweep(service) == 1


async def test_without_the_store_the_sweep_tries_again(tmp_path: Path, store: Store, clock: Clock) -> None:
    failures: list[KmsError] = []

    async def fail() -> None:
        failures.append(StoreUnavailable("gone"))
        raise failures[-1]

    counting = CountingStore(store, then=fail)
    async with node(counting, tmp_path, clock, rotation_check_seconds=0.01) as service:
        await rotating(service)
        counting.at = counting.runs
        clock.ahead += 3 * HOUR
        async with asyncio.timeout(10):
            while not failures or await latest(service) == 1:  # noqa: ASYNC110 - there is no event to wait for
                await asyncio.sleep(0.01)


class TestTokens:
    """The same index has records of tokens removed that are gone."""

    async def make(self, service: NodeService, **wanted: Any) -> Issued:
        root = Maker(right=Right.ROOT, policies=("root",), sudo=True)
        tenant = await service.tenant("vault_a")
        issued: Issued = await tenant.ask(
            CreateToken(wanted=Wanted(policies=("app",), **({"ttl": 60} | wanted)), maker=root)
        )
        return issued

    @staticmethod
    async def left(store: Store) -> set[str]:
        """Return the areas of records of tokens that there still are, but for the root token's."""
        keys = TenantKeys(1)
        areas = [keys.parts(key)[0] for key, _ in await get_all(store) if key.startswith(keys.prefix)]
        return {area for area in areas if area in {"token-end", "lease", "token-child", "token-revoking"}}

    async def test_that_have_ended_are_removed_without_a_use(
        self, service: NodeService, store: Store, clock: Clock, tmp_path: Path
    ) -> None:
        await filled(service, "vault_a")
        await self.make(service)
        assert len(await index(store)) == 1
        await sweep(service)
        assert await self.left(store) == {"token-end", "lease"}
        clock.ahead += 2 * HOUR
        await sweep(service)
        assert await self.left(store) == set()
        assert await index(store) == []
        await assert_clean(store, tmp_path)

    async def test_wait_for_the_vault_to_be_unsealed(
        self, service: NodeService, store: Store, clock: Clock, tmp_path: Path
    ) -> None:
        vault = await filled(service, "vault_a")
        await self.make(service)
        await (await service.tenant("vault_a")).ask(Seal())
        assert await index(store) == []
        clock.ahead += 2 * HOUR
        await sweep(service)
        assert await self.left(store) == {"token-end", "lease"}
        await vault.unsealed(service)
        assert len(await index(store)) == 1
        await sweep(service)
        assert await self.left(store) == set()
        await assert_clean(store, tmp_path)

    async def test_of_logins_go_with_their_mount(
        self, service: NodeService, store: Store, clock: Clock, tmp_path: Path
    ) -> None:
        await filled(service, "vault_a")
        tenant = await service.tenant("vault_a")
        await tenant.ask(EnableMount("auth/app/", "approle", "", {}))
        mount = tenant.mounts.get("auth/app/")
        assert mount is not None
        login = Maker(right=Right.POLICY, policies=("app",), sudo=True, mount=mount.number)
        for path in ("auth/app/login", "auth/token/create"):
            wanted = Wanted(policies=("app",), ttl=86_400, path=path)
            await tenant.ask(CreateToken(wanted=wanted, maker=login))
        await tenant.ask(DisableMount("auth/app/"))
        await sweep(service)
        # What these have made besides goes when it ends: it is dead, and has no lease below the mount.
        assert await self.left(store) == {"token-end", "lease"}
        await assert_clean(store, tmp_path)
        clock.ahead += 30 * HOUR
        await sweep(service)
        assert await self.left(store) == set()
        await assert_clean(store, tmp_path)

    async def test_share_a_visit_with_keys_that_are_due(
        self, service: NodeService, store: Store, clock: Clock
    ) -> None:
        vault = await rotating(service, "vault_a")
        assert vault.vault_id == "vault_a"
        await self.make(service, ttl=600)
        before = await index(store)
        clock.ahead += 3 * HOUR
        assert await sweep(service) == 1
        assert await self.left(store) == set()
        assert len(await index(store)) == len(before) == 1
