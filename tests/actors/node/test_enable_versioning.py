"""From version 1 of a KV mount to version 2: each secret becomes its own first version, and nothing is lost."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from kms_actors.actors.node.directory import TenantHandle
from kms_actors.actors.node.service import NodeService
from kms_actors.errors import NotFound
from kms_actors.kv import messages as kv
from kms_actors.messages import EnableMount, TuneMount
from kms_actors.runtime.failure import RequestFailed
from kms_actors.store.api import Store
from kms_actors.store.keyspace import TenantKeys
from tests.store.conftest import open_store, place, store
from tests.support.faulty_store import CountingStore, Interrupted
from tests.support.vaults import LARGE, Vault, filled, node

__all__ = ["open_store", "place", "store"]

ENABLE = TuneMount("plain/", None, {"version": "2"})
SECRETS = {"a": b'{"n":1}', "folder/large": LARGE, "folder/b": b'{"big":12345678901234567890123}', "config": b"{}"}


async def unversioned(service: NodeService) -> tuple[Vault, int]:
    """Make a vault with some secrets of version 1; return it and the mount's number."""
    vault = await filled(service, "vault_a")
    tenant = await service.tenant("vault_a")
    await tenant.ask(EnableMount("plain/", "kv", "", {}))
    number = mount_number(tenant)
    for path, data in SECRETS.items():
        await tenant.ask(kv.WriteUnversioned(number, path, b'{"before":1}'))
        await tenant.ask(kv.WriteUnversioned(number, path, data))
    return vault, number


def mount_number(tenant: TenantHandle) -> int:
    mount = tenant.mounts.get("plain/")
    assert mount is not None
    return mount.number


async def check_all(tenant: TenantHandle, number: int) -> None:
    """Read all secrets, by whichever version the mount has."""
    mount = tenant.mounts.get("plain/")
    assert mount is not None
    for path, data in SECRETS.items():
        if mount.engine == "kv-v1":
            assert await tenant.ask(kv.ReadUnversioned(number, path)) == data
        else:
            found = await tenant.ask(kv.ReadSecret(number, path))
            assert (found.number, found.data) == (1, data)


async def test_each_secret_becomes_its_own_first_version(store: Store, tmp_path: Path) -> None:
    async with node(store, tmp_path) as service:
        _, number = await unversioned(service)
        tenant = await service.tenant("vault_a")
        before = await tenant.ask(kv.ReadMetadata(number, "a"))
        await tenant.ask(ENABLE)
        await check_all(tenant, number)
        assert await tenant.ask(kv.ReadMetadata(number, "a")) == before
        assert await tenant.ask(kv.ListSecrets(number, "")) == ["a", "config", "folder/"]
        assert (await tenant.ask(kv.WriteSecret(number, "folder/large", b"{}", 1))).number == 2
        assert (await tenant.ask(kv.ReadSecret(number, "folder/large", 1))).data == LARGE
        await tenant.ask(kv.DeleteMetadata(number, "a"))
        with pytest.raises(NotFound):
            await tenant.ask(kv.ReadSecret(number, "a"))
        await tenant.ask(ENABLE)


async def test_no_secret_is_written_for_it(store: Store, tmp_path: Path) -> None:
    """So it takes one short transaction, whether there are three secrets or 100,000."""
    async with node(store, tmp_path) as service:
        _, number = await unversioned(service)
        tenant = await service.tenant("vault_a")
        before = await records(store)
        await tenant.ask(ENABLE)
        assert await records(store) == before
        assert mount_number(tenant) == number


async def records(store: Store) -> dict[bytes, bytes]:
    return dict(await store.run(lambda tr: tr.get_range(*TenantKeys(1).span("kv"))))


@pytest.mark.parametrize("at", range(3))
async def test_a_node_that_ends_at_any_step_loses_nothing(store: Store, tmp_path: Path, at: int) -> None:
    async with node(store, tmp_path) as service:
        vault, number = await unversioned(service)
    counting = CountingStore(store)
    async with node(counting, tmp_path) as service:
        tenant = await service.tenant("vault_a")
        await vault.unsealed(service)
        counting.at = counting.runs + at
        with contextlib.suppress(Interrupted, RequestFailed):
            await tenant.ask(ENABLE)
        counting.at = -1
    async with node(store, tmp_path) as service:
        await vault.unsealed(service)
        tenant = await service.tenant("vault_a")
        await check_all(tenant, number)
        await tenant.ask(ENABLE)
        await check_all(tenant, number)
