"""Supervision: one tenant's failure is its own, and heals."""

import asyncio
import gc
import weakref
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kms_actors import config, request_context
from kms_actors.actors.node.directory import TenantHandle
from kms_actors.actors.node.service import NodeService
from kms_actors.actors.tenant.records import TenantRecords, TenantState, own_spans
from kms_actors.errors import DeadlinePassed, Overloaded, TenantFaulted, UnsupportedOperation
from kms_actors.messages import (
    Query,
    ReadSealStatus,
)
from kms_actors.runtime import ActorFailed, RequestFailed
from kms_actors.store import keyspace
from tests.actors.node_service import OTHER, VAULT, configuration, started, unseal_node, unseal_tenant
from tests.support import vaults


class Panic(BaseException):
    """As native libraries raise."""


class Probe(Query, frozen=True):
    """A message whose handler a test supplies."""


def handle_probe(tenant: TenantHandle, handler: Any) -> None:
    actor = tenant.ref._actor_weakref()
    assert actor is not None
    actor._handlers = {**actor._handlers, Probe: handler}


async def fail(service: NodeService, vault_id: str = VAULT) -> None:
    tenant = await service.tenant(vault_id)

    def panic(_: Probe) -> None:
        raise Panic("canary")

    handle_probe(tenant, panic)
    with pytest.raises(ActorFailed) as caught:
        await tenant.ask(Probe())
    assert "canary" not in str(caught.value)


async def test_a_failed_tenant_is_made_anew_and_others_do_not_notice(tmp_path: Path) -> None:
    async with started(tmp_path) as service:
        await unseal_node(service)
        await unseal_tenant(service)
        other, _ = await unseal_tenant(service, OTHER)
        await fail(service)
        assert not (await service.tenant(VAULT)).sealed
        assert not (await other.ask(ReadSealStatus())).sealed


async def test_a_tenant_that_fails_too_often_rests_alone(tmp_path: Path) -> None:
    async with started(tmp_path, configuration(failure_limit=3, failure_seconds=60.0)) as service:
        await unseal_node(service)
        for _ in range(3):
            await fail(service)
        with pytest.raises(TenantFaulted):
            await service.tenant(VAULT)
        assert (await service.tenant(OTHER)).sealed


async def test_failures_of_the_work_for_requests_never_make_a_tenant_rest(tmp_path: Path) -> None:
    async with started(tmp_path, configuration(failure_limit=1, failure_seconds=60.0)) as service:
        await unseal_node(service)
        tenant = await service.tenant(VAULT)

        async def work() -> None:
            raise Panic("canary")

        actor = tenant.ref._actor_weakref()
        assert actor is not None
        handle_probe(tenant, lambda _: actor.spawn(work()))
        for _ in range(5):
            with pytest.raises(RequestFailed, match="internal error"):
                await tenant.ask(Probe())
        assert await service.tenant(VAULT) is tenant


async def test_a_rested_tenant_is_served_again(tmp_path: Path) -> None:
    async with started(tmp_path, configuration(failure_limit=1, failure_seconds=0.05)) as service:
        await unseal_node(service)
        await fail(service)
        await asyncio.sleep(0.06)
        assert (await service.tenant(VAULT)).sealed


async def test_concurrent_first_requests_make_one_actor(tmp_path: Path) -> None:
    async with started(tmp_path) as service:
        await unseal_node(service)
        handles = await asyncio.gather(*(service.tenant(VAULT) for _ in range(20)))
        assert len({handle.ref.actor_urn for handle in handles}) == 1
        assert service.active_tenants == 1


async def test_a_request_waits_for_a_vault_that_wakes_no_longer_than_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would wait for as many readings as changes have to be heard of meanwhile."""
    async with started(tmp_path) as service:
        await unseal_node(service)
        may_read = asyncio.Event()
        load = TenantRecords.load

        async def late(records: TenantRecords) -> TenantState:
            await may_read.wait()
            return await load(records)

        monkeypatch.setattr(TenantRecords, "load", late)
        monkeypatch.setattr(request_context, "REQUEST_SECONDS", 0.05)
        request_context.begin()
        with pytest.raises(DeadlinePassed):
            async with asyncio.timeout(20):
                await service.tenant(VAULT)
        may_read.set()
        monkeypatch.undo()
        request_context.begin()
        assert (await service.tenant(VAULT)).vault_id == VAULT


async def test_a_full_mailbox_refuses_at_once(tmp_path: Path) -> None:
    async with started(tmp_path, configuration(mailbox_limit=2)) as service:
        await unseal_node(service)
        tenant = await service.tenant(VAULT)
        release = asyncio.get_running_loop().create_future()
        handle_probe(tenant, lambda _: release)
        waiting = [asyncio.ensure_future(tenant.ask(Probe())) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(Overloaded):
            await tenant.ask(Probe())
        release.set_result("done")
        assert await asyncio.gather(*waiting) == ["done", "done"]


async def test_a_message_without_a_handler_is_refused(tmp_path: Path) -> None:
    async with started(tmp_path) as service:
        await unseal_node(service)
        tenant, _ = await unseal_tenant(service)
        with pytest.raises(UnsupportedOperation):
            await tenant.ask(Probe())


def with_room(size: str) -> config.Configuration:
    return msgspec.structs.replace(configuration(), cache=config.Cache(tenants=size, tenant_keys="1 kB"))


async def test_a_flood_of_tenants_stays_within_the_bytes_and_leaves_a_tenant_in_use_awake(tmp_path: Path) -> None:
    async with started(tmp_path, with_room("100 kB")) as service:
        await unseal_node(service)
        hot, _ = await unseal_tenant(service)
        for number in range(40):
            await service.tenant(f"vault_{number}")
            assert (await service.tenant(VAULT)).ref is hot.ref
            assert 0 < service.tenant_bytes <= 100_000
        assert 2 < service.active_tenants < 20


async def test_a_tenant_that_grows_puts_others_to_sleep(tmp_path: Path) -> None:
    async with started(tmp_path, with_room("100 kB")) as service:
        await unseal_node(service)
        for number in range(5):
            await service.tenant(f"vault_{number}")
        growing = await service.tenant("vault_0")
        growing._view.account.add(80_000)
        assert growing.ref.is_alive()
        assert service.active_tenants < 4
        assert service.tenant_bytes <= 100_000
        assert (await service.tenant("vault_0")).ref is growing.ref


async def test_a_tenant_at_work_is_not_put_to_sleep_for_room(tmp_path: Path) -> None:
    async with started(tmp_path, with_room("10 kB")) as service:
        await unseal_node(service)
        busy = await service.tenant(VAULT)
        release = asyncio.get_running_loop().create_future()
        handle_probe(busy, lambda _: release)
        answer = asyncio.ensure_future(busy.ask(Probe()))
        await asyncio.sleep(0)
        await service.tenant(OTHER)
        assert (await service.tenant(VAULT)).ref is busy.ref
        release.set_result("done")
        assert await answer == "done"


async def test_tenants_that_sleep_take_no_bytes(tmp_path: Path) -> None:
    async with started(tmp_path, configuration(idle_seconds=0.05)) as service:
        await unseal_node(service)
        await unseal_tenant(service)
        await fail(service, OTHER)
        await service.tenant(OTHER)
        assert service.tenant_bytes > 10_000
        for _ in range(500):
            if service.active_tenants == 0:
                break
            await asyncio.sleep(0.02)
        assert service.tenant_bytes == 0


async def test_a_wake_reads_what_a_tenant_is_and_none_of_its_data(tmp_path: Path) -> None:
    async with vaults.opened(tmp_path) as store, vaults.node(store, tmp_path) as service:
        await vaults.filled(service, VAULT)
        number = await store.run(lambda tr: tr.get(keyspace.vault(VAULT)))
        assert number is not None
        keys = keyspace.TenantKeys(int.from_bytes(number, "little"))
        areas = set()
        for begin, end in own_spans(keys):
            areas |= {keys.parts(key)[0] for key, _ in await store.run(lambda tr: tr.get_range(begin, end))}  # noqa: B023
        assert areas == {"epoch", "header", "keyring", "mount", "seal"}


async def test_the_keys_of_a_tenant_leave_memory_at_once_when_it_sleeps(tmp_path: Path) -> None:
    async with vaults.opened(tmp_path) as store, vaults.node(store, tmp_path) as service:
        vault = await vaults.filled(service, VAULT)
        tenant = await service.tenant(VAULT)
        await vault.check(service)
        actor = tenant.ref._actor_weakref()
        assert actor is not None
        held: list[weakref.ref[Any]] = [weakref.ref(actor), *map(weakref.ref, actor._controllers.values())]
        del actor
        gc.disable()
        try:
            await tenant.ref.stop(block=False)
            await asyncio.sleep(0)
            assert [found() for found in held] == [None] * 3
        finally:
            gc.enable()
