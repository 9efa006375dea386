"""What a vault has is counted exactly, whatever happens to it, and bounded, on either store and two nodes."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from kms_actors.actors.node.directory import TenantHandle
from kms_actors.actors.node.service import NodeService
from kms_actors.errors import KmsError, LimitReached
from kms_actors.kv import messages as kv
from kms_actors.kv.settings import Settings
from kms_actors.messages import DisableMount, EnableMount, Grants, TuneMount
from kms_actors.policy.messages import DeletePolicy, PolicyKind, WritePolicy
from kms_actors.store.api import Store
from kms_actors.tenancy.messages import GrantTenant, MeasuredPage, MeasureTenant, NoteMeasured, ReadTenant
from kms_actors.transit import messages as transit
from kms_actors.transit.policy import KeyChanges, KeyOptions
from tests.store.conftest import open_store, place, store
from tests.support.vaults import Vault, filled, node, transit_mount

__all__ = ["open_store", "place", "store"]

OpenStore = Callable[[], Awaitable[Store]]
VAULT = "vault_a"
KV1 = 3


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


async def counted(service: NodeService) -> dict[str, int]:
    return dict((await service.ask_node(ReadTenant(VAULT))).counts)


async def walked(service: NodeService) -> tuple[dict[str, int], dict[tuple[str, int], int], int, int]:
    """Return what a walk through all records finds."""
    counts: dict[tuple[str, int], int] = {}
    after, records, size = b"", 0, 0
    while True:
        page: MeasuredPage = await service.ask_node(MeasureTenant(VAULT, after))
        for place_, number in page.counts.items():
            counts[place_] = counts.get(place_, 0) + number
        records, size, after = records + page.records, size + page.size, page.next
        if not after:
            break
    sums: dict[str, int] = {}
    for (kind, _), number in counts.items():
        sums[kind] = sums.get(kind, 0) + number
    return sums, counts, records, size


async def limit(nodes: tuple[NodeService, NodeService], **limits: int) -> None:
    await nodes[0].ask_node(GrantTenant(VAULT, limits))
    await asyncio.gather(*(each.catch_up() for each in nodes))


async def put(tenant: TenantHandle, path: str, data: bytes = b'{"a":1}') -> Any:
    return await tenant.ask(kv.WriteSecret(1, path, data, None, Grants()))


async def test_whatever_is_done_to_a_vault_its_counts_are_what_a_walk_finds(
    nodes: tuple[NodeService, NodeService], tenant: TenantHandle
) -> None:
    """Drawn changes of secrets of both versions, keys and policies: small and large, destroyed, trimmed, removed."""
    draw = random.Random(7)
    await tenant.ask(EnableMount("one/", "kv-v1", "", {}))
    one = next(mount.number for mount in tenant.mounts if mount.path == "one/")
    there = await nodes[1].tenant(VAULT)
    sizes = (2, 100, 33_000, 70_000)
    for number in range(150):
        at = draw.choice((tenant, there))
        await nodes[1].catch_up()
        path, data = f"s{draw.randrange(4)}", b'{"a":"%b"}' % (b"x" * draw.choice(sizes))
        name = f"k{draw.randrange(3)}"
        change: Any = draw.choice(
            (
                kv.WriteSecret(1, path, data, None, Grants()),
                kv.WriteSecret(1, path, data, None, Grants()),
                kv.WriteSecret(1, "hot", data, None, Grants()),
                kv.PatchSecret(1, path, b'{"b":2}', None),
                kv.DeleteVersions(1, path, None),
                kv.DestroyVersions(1, path, (1, 2, draw.randrange(1, 9))),
                kv.WriteMetadata(1, f"m{draw.randrange(3)}", Settings(max_versions=draw.randrange(1, 4)), Grants()),
                kv.WriteMetadata(1, path, Settings(max_versions=draw.randrange(1, 4)), Grants()),
                kv.DeleteMetadata(1, path),
                kv.WriteUnversioned(one, path, data, Grants()),
                kv.DeleteUnversioned(one, path),
                transit.CreateKey(transit_mount(at), name, KeyOptions("aes256-gcm96")),
                transit.ConfigureKey(transit_mount(at), name, KeyChanges(deletion_allowed=True)),
                transit.DeleteKey(transit_mount(at), name),
                WritePolicy(PolicyKind.ACL, name, 'path "a" { capabilities = ["read"] }'),
                DeletePolicy(PolicyKind.ACL, name),
                TuneMount("auth/token/", path, None),
            )
        )
        try:
            await at.ask(change)
        except KmsError:
            continue
        if number % 25 == 0:
            assert (await walked(nodes[0]))[0].items() <= (await counted(nodes[1])).items()
    sums, *_ = await walked(nodes[0])
    known = await counted(nodes[0])
    assert {kind: number for kind, number in known.items() if number} == sums
    await tenant.ask(DisableMount("one/"))
    await tenant.ask(DisableMount("secret/"))
    assert (await counted(nodes[1]))["secrets"] == 0
    assert (await counted(nodes[1]))["bytes"] == 0
    assert (await counted(nodes[1]))["mounts"] == 1


@pytest.mark.parametrize("most", [1, 5, 20])
async def test_no_more_come_to_be_than_the_limit_however_many_ask_at_once(
    nodes: tuple[NodeService, NodeService], tenant: TenantHandle, most: int
) -> None:
    before = (await counted(nodes[0]))["secrets"]
    await limit(nodes, secrets=before + most)
    tenants = (tenant, await nodes[1].tenant(VAULT))
    asked = (put(tenants[number % 2], f"new/{number}") for number in range(3 * most + 3))
    outcomes = await asyncio.gather(*asked, return_exceptions=True)
    assert sum(not isinstance(outcome, BaseException) for outcome in outcomes) == most
    refused = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    assert {type(outcome) for outcome in refused} == {LimitReached}
    assert str(refused[0]) == (
        f"this vault may have {before + most} secrets at most: the operator of the cluster sets the limit"
    )
    assert (await counted(nodes[0]))["secrets"] == before + most


async def test_what_is_there_may_change_at_the_limit_and_room_is_made_by_removing(
    nodes: tuple[NodeService, NodeService], tenant: TenantHandle
) -> None:
    await limit(nodes, secrets=(await counted(nodes[0]))["secrets"])
    await put(tenant, "app/one", b'{"n":2}')
    with pytest.raises(LimitReached):
        await put(tenant, "more")
    with pytest.raises(LimitReached):
        await tenant.ask(kv.WriteMetadata(1, "more", Settings(max_versions=2), Grants()))
    await tenant.ask(kv.DeleteMetadata(1, "app/one"))
    await put(tenant, "more")


async def test_bytes_are_bounded_and_nothing_is_written_of_what_is_too_much(
    nodes: tuple[NodeService, NodeService], tenant: TenantHandle
) -> None:
    before = (await counted(nodes[0]))["bytes"]
    await limit(nodes, bytes=before + 50_000)
    await put(tenant, "large", b'"%b"' % (b"x" * 40_000))
    with pytest.raises(LimitReached, match="bytes in secrets at most"):
        await put(tenant, "larger", b'"%b"' % (b"x" * 20_000))
    assert (await walked(nodes[0]))[0]["bytes"] == (await counted(nodes[0]))["bytes"] < before + 50_000
    await limit(nodes, bytes=0)
    await put(tenant, "larger", b'"%b"' % (b"x" * 20_000))


async def test_keys_policies_and_mounts_are_bounded(
    nodes: tuple[NodeService, NodeService], tenant: TenantHandle
) -> None:
    await limit(nodes, keys=2, policies=1, mounts=3)
    mount = transit_mount(tenant)
    await tenant.ask(transit.CreateKey(mount, "one", KeyOptions("aes256-gcm96")))
    with pytest.raises(LimitReached, match="2 keys"):
        await tenant.ask(transit.CreateKey(mount, "two", KeyOptions("aes256-gcm96")))
    text = 'path "a" { capabilities = ["read"] }'
    await tenant.ask(WritePolicy(PolicyKind.ACL, "a", text))
    await tenant.ask(WritePolicy(PolicyKind.ACL, "a", text))
    with pytest.raises(LimitReached, match="1 policies"):
        await tenant.ask(WritePolicy(PolicyKind.ACL, "b", text))
    await tenant.ask(EnableMount("more/", "kv-v2", "", {}))
    with pytest.raises(LimitReached, match="3 mounts"):
        await tenant.ask(EnableMount("most/", "kv-v2", "", {}))


async def test_a_walk_sets_counts_right(nodes: tuple[NodeService, NodeService], tenant: TenantHandle) -> None:
    await tenant.ask(DisableMount("transit/"))
    right = await counted(nodes[0])
    _, counts, records, size = await walked(nodes[0])
    await nodes[0].ask_node(NoteMeasured(VAULT, records, size, {**counts, ("secrets", 1): 99, ("secrets", 77): 5}))
    assert (await counted(nodes[0]))["secrets"] == 99
    told = await nodes[1].ask_node(NoteMeasured(VAULT, records, size, counts))
    assert dict(told.counts) == right
    assert (told.measured.records, told.measured.bytes) == (records, size)
