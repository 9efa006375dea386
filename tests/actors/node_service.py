"""A node's actors on the embedded store, without HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from kms_actors import config
from kms_actors.actors.node.directory import TenantHandle
from kms_actors.actors.node.service import NodeService
from kms_actors.messages import (
    Initialization,
    Initialize,
    SealStatus,
    Unseal,
)
from kms_actors.store.sqlite.engine import SqliteStore

VAULT = "vault_one"
OTHER = "vault_two"


def configuration(**tenants: Any) -> config.Configuration:
    return config.Configuration(
        master_keyring_provider=config.MasterKeyringProvider(namespace="kms-test", node_name="n1"),
        authenticator=config.Authenticator(
            provider=config.BiscuitProvider(keys=(("a1" * 32, "b2" * 32),), service="test")
        ),
        tenants=config.Tenants(**tenants),
    )


def with_check_value(settings: config.Configuration, value: str) -> config.Configuration:
    master = msgspec.structs.replace(settings.master_keyring_provider, key_check_value=value)
    return msgspec.structs.replace(settings, master_keyring_provider=master)


@asynccontextmanager
async def started(directory: Path, settings: config.Configuration | None = None) -> AsyncIterator[NodeService]:
    store = await SqliteStore.open(directory / "kms.sqlite")
    service = NodeService(settings or configuration(), store)
    try:
        await service.start()
        yield service
        await service.stop()
    finally:
        await store.close()


async def unseal_node(service: NodeService, shares: tuple[bytes, ...] | None = None) -> tuple[bytes, ...]:
    """Initialise at need and unseal; return the shares."""
    if shares is None:
        made: Initialization = await service.ask_node(Initialize(5, 3))
        shares = made.shares
    for share in shares[:3]:
        status: SealStatus = await service.ask_node(Unseal(share))
    assert not status.sealed
    return shares


async def unseal_tenant(service: NodeService, vault_id: str = VAULT) -> tuple[TenantHandle, Initialization]:
    """Initialise a tenant and unseal it."""
    tenant = await service.tenant(vault_id)
    made: Initialization = await tenant.ask(Initialize(5, 3))
    for share in made.shares[:3]:
        await tenant.ask(Unseal(share))
    assert not tenant.sealed
    return tenant, made
