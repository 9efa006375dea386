"""Quotas in the store, on either engine: what is written is read, reaches the other node, and goes with its mount."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from kms_actors.actors.node.directory import TenantHandle
from kms_actors.actors.node.service import NodeService
from kms_actors.check.walk import check
from kms_actors.errors import InvalidRequest, NotFound
from kms_actors.messages import DisableMount, EnableMount, Seal
from kms_actors.quota.messages import (
    DeleteRateLimit,
    ListRateLimits,
    ReadQuotaConfig,
    ReadRateLimit,
    WriteQuotaConfig,
    WriteRateLimit,
)
from kms_actors.quota.records import QuotaConfig, RateLimit
from kms_actors.store.api import Store
from tests.store.conftest import open_store, place, store
from tests.support.vaults import Vault, filled, master_of, node

__all__ = ["open_store", "place", "store"]

OpenStore = Callable[[], Awaitable[Store]]
VAULT = "vault_a"


@pytest.fixture
async def nodes(
    store: Store, open_store: OpenStore, tmp_path: Path
) -> AsyncIterator[tuple[NodeService, NodeService]]:
    async with node(store, tmp_path) as first, node(await open_store(), tmp_path) as second:
        yield first, second


@pytest.fixture
async def vault(nodes: tuple[NodeService, NodeService]) -> Vault:
    return await filled(nodes[0], VAULT)


@pytest.fixture
async def tenant(nodes: tuple[NodeService, NodeService], vault: Vault) -> TenantHandle:
    return await nodes[0].tenant(VAULT)


async def write(tenant: TenantHandle, name: str, path: str = "", rate: float = 1.0, interval: int = 3600) -> None:
    await tenant.ask(WriteRateLimit(RateLimit(name, rate, interval), path))


def admits(tenant: TenantHandle, path: str = "secret/data/a", mount: str = "secret/") -> bool:
    if tenant.limiter is None:
        return True
    verdict = tenant.limiter.admit(path, mount, "127.0.0.1")
    return verdict is None or verdict.allowed


async def test_what_is_written_is_read_listed_and_deleted(tenant: TenantHandle) -> None:
    await write(tenant, "b", "secret/data/x*")
    await write(tenant, "a", rate=2.0)
    rule, path = await tenant.ask(ReadRateLimit("b"))
    assert (rule.name, path) == ("b", "secret/data/x*")
    assert await tenant.ask(ListRateLimits()) == ["a", "b"]
    await tenant.ask(DeleteRateLimit("b"))
    await tenant.ask(DeleteRateLimit("b"))
    assert await tenant.ask(ListRateLimits()) == ["a"]
    with pytest.raises(NotFound):
        await tenant.ask(ReadRateLimit("b"))
    config = QuotaConfig(("sys/mounts",), response_headers=True)
    assert await tenant.ask(ReadQuotaConfig()) == QuotaConfig()
    await tenant.ask(WriteQuotaConfig(config))
    assert await tenant.ask(ReadQuotaConfig()) == config
    assert await tenant.ask(ListRateLimits()) == ["a"]


async def test_a_wrong_one_changes_nothing(tenant: TenantHandle) -> None:
    await write(tenant, "a", "secret/")
    for name, path, rate in (("b", "secret", 1.0), ("b", "none/", 1.0), ("b", "", 0.0)):
        with pytest.raises(InvalidRequest):
            await write(tenant, name, path, rate)
    assert await tenant.ask(ListRateLimits()) == ["a"]


async def test_a_quota_holds_at_once_here_and_there(
    nodes: tuple[NodeService, NodeService], tenant: TenantHandle
) -> None:
    there = await nodes[1].tenant(VAULT)
    assert [admits(tenant), admits(there)] == [True, True]
    await write(tenant, "a", "secret/")
    assert [admits(tenant), admits(tenant)] == [True, False]
    await nodes[1].catch_up()
    assert [admits(there), admits(there)] == [True, False]
    await there.ask(DeleteRateLimit("a"))
    assert there.limiter is None
    await nodes[0].catch_up()
    assert tenant.limiter is None
    assert nodes[0].refused == {"vault": 1, "operator": 0}


async def test_counts_go_on_when_something_else_changes(tenant: TenantHandle) -> None:
    await write(tenant, "a", "secret/")
    assert [admits(tenant), admits(tenant)] == [True, False]
    await tenant.ask(EnableMount("more/", "kv-v2", "", {}))
    await write(tenant, "b", "transit/")
    assert not admits(tenant)


async def test_a_vault_that_wakes_has_its_quotas(
    nodes: tuple[NodeService, NodeService], tenant: TenantHandle, vault: Vault
) -> None:
    await write(tenant, "a", "secret/")
    await tenant.ask(Seal())
    assert tenant.limiter is None
    woken = await vault.unsealed(nodes[1])
    assert [admits(woken), admits(woken)] == [True, False]


async def test_a_quota_ends_with_its_mount(tenant: TenantHandle) -> None:
    await write(tenant, "a", "secret/")
    await write(tenant, "b", "transit/")
    await tenant.ask(DisableMount("secret/"))
    assert await tenant.ask(ListRateLimits()) == ["b"]
    await tenant.ask(EnableMount("secret/", "kv-v2", "", {}))
    assert await tenant.ask(ListRateLimits()) == ["b"]
    assert [admits(tenant), admits(tenant)] == [True, True]
    await write(tenant, "c", "secret/")
    assert await tenant.ask(ListRateLimits()) == ["b", "c"]


async def test_the_record_is_one_that_a_check_knows(tenant: TenantHandle, store: Store, tmp_path: Path) -> None:
    await write(tenant, "a", "secret/")
    report = await check(store, await master_of(store, tmp_path), lambda *_: None)
    assert not report.findings
