"""What a tenant's keys are used for is written when it sleeps, is sealed, or its node stops; and metrics are told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from kms_actors.actors.node.directory import TenantHandle
from kms_actors.actors.node.service import NodeService
from kms_actors.check.walk import check
from kms_actors.config import Transit
from kms_actors.messages import (
    DisableMount,
    EnableMount,
    Grants,
    Seal,
)
from kms_actors.store import schema
from kms_actors.store.api import Store
from kms_actors.transit import messages as m
from kms_actors.transit.items import EncryptItem
from tests.store.conftest import open_store, place, store
from tests.support.backups import backup, restore
from tests.support.vaults import configuration, filled, master_of, transit_mount

__all__ = ["open_store", "place", "store"]

OpenStore = Callable[[], Awaitable[Store]]
VAULT, OTHER = "vault_a", "vault_b"


class Observed:
    """What metrics were told."""

    def __init__(self) -> None:
        self.total: dict[tuple[str, ...], int] = {}

    def __call__(self, labels: tuple[str, str, str, str, str], number: int) -> None:
        self.total[labels] = self.total.get(labels, 0) + number


@asynccontextmanager
async def running(
    *stores: Store, directory: Path, seconds: float = 3600.0, observed: Any = None, **tenants: Any
) -> AsyncIterator[list[NodeService]]:
    """Run a node on each of the stores of one cluster."""
    settings = msgspec.structs.replace(
        configuration(directory, **tenants), transit=Transit(usage_flush_seconds=seconds)
    )
    await schema.initialise(stores[0])
    async with AsyncExitStack() as stack:
        services = []
        for each in stores:
            service = NodeService(settings, each, observe_uses=observed or Observed())
            await service.start()
            stack.push_async_callback(service.stop)
            services.append(service)
        yield services


async def encrypt(tenant: TenantHandle, times: int = 1, name: str = "k", mount: str = "transit/") -> None:
    found = tenant.mounts.get(mount)
    assert found is not None
    message = m.Encrypt(found, name, [EncryptItem(b"x")] * times, Grants(), False, "aes256-gcm96", convergent=False)
    await tenant.ask(message)


async def counted(service: NodeService, name: str = "k") -> int:
    tenant = await service.tenant(VAULT)
    info: m.KeyInfo = await tenant.ask(m.ReadKey(transit_mount(tenant), name))
    return info.usage[1]["encrypt"].count if info.usage else 0


async def assert_clean(store: Store, directory: Path) -> None:
    report = await check(store, await master_of(store, directory), lambda *_: None)
    assert list(report.findings) == []


async def soon(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(5):
        while not await holds():  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.01)


async def test_what_a_node_counted_outlives_its_stop(store: Store, tmp_path: Path) -> None:
    async with running(store, directory=tmp_path) as (service,):
        vault = await filled(service, VAULT)
        await encrypt(await service.tenant(VAULT), 3)
    async with running(store, directory=tmp_path) as (service,):
        await vault.unsealed(service)
        assert await counted(service) == 3
        await encrypt(await service.tenant(VAULT))
        assert await counted(service) == 4
    await assert_clean(store, tmp_path)


async def test_what_a_tenant_counted_outlives_its_sleep(store: Store, tmp_path: Path) -> None:
    async with running(store, directory=tmp_path, max_active=1) as (service,):
        await filled(service, VAULT)
        first = await service.tenant(VAULT)
        await encrypt(first, 2)
        await service.tenant(OTHER)  # puts the first to sleep
        second = await service.tenant(VAULT)
        assert second is not first

        async def written() -> bool:
            return await counted(service) == 2

        await soon(written)


async def test_a_seal_writes_before_the_keys_are_gone(store: Store, tmp_path: Path) -> None:
    async with running(store, directory=tmp_path) as (service,):
        vault = await filled(service, VAULT)
        tenant = await service.tenant(VAULT)
        await encrypt(tenant, 2)
        await tenant.ask(Seal())
        assert tenant.sealed
        await vault.unsealed(service)
        assert await counted(service) == 2


async def test_a_seal_elsewhere_writes_too(open_store: OpenStore, tmp_path: Path) -> None:
    async with running(await open_store(), await open_store(), directory=tmp_path) as (here, there):
        vault = await filled(here, VAULT)
        tenant = await there.tenant(VAULT)
        await encrypt(tenant, 2)
        await (await here.tenant(VAULT)).ask(Seal())

        async def sealed() -> bool:
            return tenant.sealed

        await soon(sealed)
        await vault.unsealed(here)

        async def written() -> bool:
            return await counted(here) == 2

        await soon(written)


async def test_an_actor_that_sleeps_keeps_nothing(store: Store, tmp_path: Path) -> None:
    async with running(store, directory=tmp_path) as (service,):
        await filled(service, VAULT)
        tenant = await service.tenant(VAULT)
        await encrypt(tenant)
        actor = tenant.ref._actor_weakref()
        assert actor is not None
        usage = actor._counting.usage
        assert usage is not None
        await tenant.ref.stop(block=False)
        assert actor._counting.usage is None
        assert usage._writer is None
        assert usage._unwritten == {}


async def test_the_configured_time_passes_before_it_is_written(open_store: OpenStore, tmp_path: Path) -> None:
    async with running(await open_store(), await open_store(), directory=tmp_path, seconds=0.05) as (here, there):
        await filled(here, VAULT)
        await encrypt(await here.tenant(VAULT), 5)

        async def heard() -> bool:
            return await counted(there) == 5

        await soon(heard)


async def test_a_mount_that_is_gone_takes_its_counters_along(store: Store, tmp_path: Path) -> None:
    async with running(store, directory=tmp_path) as (service,):
        await filled(service, VAULT)
        tenant = await service.tenant(VAULT)
        await tenant.ask(EnableMount("more/", "transit", "", {}))
        await encrypt(tenant, mount="more/")
        await tenant.ask(DisableMount("more/"))
        await encrypt(tenant)
    await assert_clean(store, tmp_path)


async def test_metrics_are_told_vault_mount_key_version_and_operation(store: Store, tmp_path: Path) -> None:
    observed = Observed()
    async with running(store, directory=tmp_path, observed=observed) as (service,):
        await filled(service, VAULT)  # encrypts with two versions of `orders`
        tenant = await service.tenant(VAULT)
        await tenant.ask(EnableMount("more/", "transit", "", {}))
        await encrypt(tenant, 3, mount="more/")
        await counted(service, "orders")
        await encrypt(tenant, 4, mount="more/")
    assert observed.total == {
        (VAULT, "transit/", "orders", "1", "encrypt"): 1,
        (VAULT, "transit/", "orders", "2", "encrypt"): 1,
        (VAULT, "more/", "k", "1", "encrypt"): 7,
    }


async def test_a_backup_of_a_vault_takes_its_counters_along(open_store: OpenStore, tmp_path: Path) -> None:
    store = await open_store()
    async with running(store, directory=tmp_path) as (service,):
        vault = await filled(service, VAULT)
        await encrypt(await service.tenant(VAULT), 3)
    taken = await backup(store, VAULT)
    async with running(store, directory=tmp_path) as (service,):
        await vault.unsealed(service)
        await encrypt(await service.tenant(VAULT), 2)
        await service.stop()
        await restore(store, taken, replace=True)
    async with running(store, directory=tmp_path) as (service,):
        await vault.unsealed(service)
        assert await counted(service) == 3
    await assert_clean(store, tmp_path)
