"""Two nodes on one store: what one changes, the other knows."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from kms_actors.actors.node.directory import TenantHandle
from kms_actors.actors.node.service import NodeService
from kms_actors.actors.tenant.records import TenantRecords
from kms_actors.auth.service_token import ServicePrincipal, ServiceToken
from kms_actors.errors import AuthenticationFailed, InvalidRequest, Sealed, StoreUnavailable, Unavailable
from kms_actors.kv.messages import ReadSecret, WriteSecret
from kms_actors.messages import (
    AuthenticateToken,
    EnableMount,
    Grants,
    Initialization,
    Initialize,
    ReadSealStatus,
    RevokeToken,
    Seal,
    Unseal,
)
from kms_actors.mounts import Mount
from kms_actors.store.sqlite.engine import SqliteStore
from kms_actors.transit import messages as transit
from kms_actors.transit.items import DecryptItem, EncryptItem
from kms_actors.transit.policy import KeyOptions
from tests.actors.node_service import VAULT, configuration, started, unseal_node, unseal_tenant

Pair = tuple[NodeService, NodeService, Initialization]


@asynccontextmanager
async def pair(directory: Path, **tenants: Any) -> AsyncIterator[Pair]:
    settings = configuration(**tenants)
    async with started(directory, settings) as first, started(directory, settings) as second:
        await unseal_node(second, await unseal_node(first))
        _, made = await unseal_tenant(first)
        yield first, second, made


async def soon(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(5):
        while not await holds():  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.005)


def encrypt(mount: Mount, plaintext: bytes = b"x") -> transit.Encrypt:
    return transit.Encrypt(mount, "k", [EncryptItem(plaintext)], Grants(), False, "aes256-gcm96", False)


def transit_mount(tenant: TenantHandle) -> Mount:
    found = tenant.mounts.get("transit/")
    assert found is not None
    return found


async def test_a_tenant_unsealed_on_one_node_is_unsealed_on_the_other(tmp_path: Path) -> None:
    async with pair(tmp_path) as (first, second, _):
        await (await first.tenant(VAULT)).ask(WriteSecret(1, "a", b'{"n":1}'))
        assert (await (await second.tenant(VAULT)).ask(ReadSecret(1, "a"))).data == b'{"n":1}'


async def test_a_tenant_awake_and_sealed_elsewhere_learns_of_its_unsealing(tmp_path: Path) -> None:
    async with pair(tmp_path) as (first, second, made):
        tenant = await second.tenant(VAULT)
        await (await first.tenant(VAULT)).ask(Seal())

        async def sealed() -> bool:
            return tenant.sealed

        await soon(sealed)
        with pytest.raises(Sealed):
            await tenant.ask(ReadSecret(1, "a"))
        for share in made.shares[:3]:
            await (await first.tenant(VAULT)).ask(Unseal(share))

        async def unsealed() -> bool:
            return not tenant.sealed

        await soon(unsealed)


async def test_a_rotation_on_one_node_reaches_the_cache_of_the_other(tmp_path: Path) -> None:
    async with pair(tmp_path) as (first, second, _):
        here, there = await first.tenant(VAULT), await second.tenant(VAULT)
        mount = transit_mount(here)
        await here.ask(transit.CreateKey(mount, "k", KeyOptions()))

        async def version_there() -> int:
            ((_, version),) = await there.ask(encrypt(mount))
            return int(version)

        assert await version_there() == 1
        await here.ask(transit.RotateKey(mount, "k"))
        ((ciphertext, version),) = await here.ask(encrypt(mount, b"y"))
        assert version == 2
        # A ciphertext of a version the other node has not cached yet opens as soon as the change is heard.

        async def heard() -> bool:
            return await version_there() == 2

        await soon(heard)
        opened = await there.ask(transit.Decrypt(mount, "k", [DecryptItem(ciphertext)]))
        assert opened == [b"y"]


async def test_mounts_and_revocations_reach_the_other_node(tmp_path: Path) -> None:
    async with pair(tmp_path) as (first, second, made):
        here, there = await first.tenant(VAULT), await second.tenant(VAULT)
        principal = await there.ask(AuthenticateToken(made.root_token))
        await here.ask(EnableMount("more/", "kv-v2", "", {}))
        await here.ask(RevokeToken(principal, made.root_token))

        class Biscuit(ServicePrincipal):
            revocation_ids = ("id1", "id2")  # type: ignore[misc]

        await here.ask(RevokeToken(Biscuit(ServiceToken.root(0.0), VAULT), "t"))

        async def heard() -> bool:
            return there.mounts.get("more/") is not None and there.revoked(("id2",))

        await soon(heard)
        with pytest.raises(AuthenticationFailed):
            await there.ask(AuthenticateToken(made.root_token))


async def test_in_node_scope_each_node_is_unsealed_for_itself_and_a_seal_reaches_all(tmp_path: Path) -> None:
    async with pair(tmp_path, unseal_scope="node") as (first, second, made):
        here, there = await first.tenant(VAULT), await second.tenant(VAULT)
        assert (here.sealed, there.sealed) == (False, True)
        for share in made.shares[:3]:
            await there.ask(Unseal(share))
        assert not there.sealed
        await there.ask(Seal())

        async def sealed() -> bool:
            return here.sealed

        await soon(sealed)
        assert (await here.ask(ReadSealStatus())).sealed


async def test_in_node_scope_no_root_key_or_share_is_in_the_store(tmp_path: Path) -> None:
    async with pair(tmp_path, unseal_scope="node") as (first, _, made):
        store = await SqliteStore.open(tmp_path / "kms.sqlite")
        entries = await store.run(lambda tr: tr.get_range(b"", b"\xff"))
        await store.close()
        assert not [key for key, _ in entries if b"unsealed" in key or b"progress" in key]
        assert not (await first.tenant(VAULT)).sealed
        assert len(made.shares) == 5


async def test_in_node_scope_a_tenant_wakes_unsealed(tmp_path: Path) -> None:
    async with pair(tmp_path, unseal_scope="node", max_active=1) as (first, _, _):
        await first.tenant("vault_other")
        assert first.active_tenants == 1
        assert not (await first.tenant(VAULT)).sealed


class CutOff:
    """A store that can stop answering."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store
        self.cut = False
        self.watch = store.watch
        self.close = store.close

    async def run(self, body: Any, *, idempotency_key: bytes | None = None, **options: Any) -> Any:
        if self.cut:
            raise StoreUnavailable("cut off")
        return await self._store.run(body, idempotency_key=idempotency_key, **options)


class FailingLoads:
    """A store that can fail to read the records of tenants, and nothing else."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store
        self.failing = False
        self.watch = store.watch
        self.close = store.close

    async def run(self, body: Any, *, idempotency_key: bytes | None = None, **options: Any) -> Any:
        if self.failing and getattr(body, "__name__", "") == TenantRecords._load.__name__:
            raise StoreUnavailable("cut off")
        return await self._store.run(body, idempotency_key=idempotency_key, **options)


async def test_a_node_cut_off_stops_serving_from_memory_within_its_lease_and_comes_back(tmp_path: Path) -> None:
    store = CutOff(await SqliteStore.open(tmp_path / "kms.sqlite"))
    service = NodeService(configuration(lease_seconds=0.3), store)
    await service.start()
    await unseal_node(service)
    tenant, _ = await unseal_tenant(service)
    mount = transit_mount(tenant)
    await tenant.ask(transit.CreateKey(mount, "k", KeyOptions()))
    await asyncio.sleep(0.2)  # until the node has heard of its own change, which drops the key
    await tenant.ask(encrypt(mount))

    store.cut = True
    await tenant.ask(encrypt(mount))
    started_at = time.monotonic()

    async def refused() -> bool:
        try:
            await tenant.ask(encrypt(mount))
        except Unavailable:
            return True
        return False

    await soon(refused)
    assert time.monotonic() - started_at < 1.5

    store.cut = False

    async def served() -> bool:
        try:
            return bool(await tenant.ask(encrypt(mount)))
        except Unavailable:
            return False

    await soon(served)
    await service.stop()
    await store.close()


async def test_a_change_that_cannot_be_read_puts_the_tenant_to_sleep(tmp_path: Path) -> None:
    """The log told of a seal, and the store failed before the seal could be read: it must not be forgotten."""
    store = FailingLoads(await SqliteStore.open(tmp_path / "kms.sqlite"))
    async with started(tmp_path, configuration()) as elsewhere:
        service = NodeService(configuration(), store)
        await service.start()
        await unseal_node(service, await unseal_node(elsewhere))
        await unseal_tenant(elsewhere)
        tenant = await service.tenant(VAULT)
        assert not tenant.sealed
        store.failing = True
        await (await elsewhere.tenant(VAULT)).ask(Seal())
        await service.catch_up()
        store.failing = False
        assert (await service.tenant(VAULT)).sealed
        with pytest.raises(Sealed):
            await tenant.ask(ReadSecret(1, "a"))
        await service.stop()
    await store.close()


async def test_an_init_on_both_nodes_at_once_has_one_winner(tmp_path: Path) -> None:
    async with pair(tmp_path) as (first, second, _):
        tenants = [await node.tenant("vault_new") for node in (first, second)]
        outcomes = await asyncio.gather(*(tenant.ask(Initialize(5, 3)) for tenant in tenants), return_exceptions=True)
        assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Initialization", "InvalidRequest"]
        assert "Vault is already initialized" in {str(o) for o in outcomes if isinstance(o, InvalidRequest)}
