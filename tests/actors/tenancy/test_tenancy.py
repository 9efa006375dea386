"""What the cluster's operator does about tenants, on either store and two nodes: told truly, and heard by all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from kms_actors.actors.node.erasing import Eraser
from kms_actors.actors.node.service import NodeService
from kms_actors.check.walk import check
from kms_actors.errors import InvalidRequest, Leaving, NamedNotFound, Sealed, TransactionConflict
from kms_actors.kv.messages import ReadSecret
from kms_actors.messages import Initialize, ReadSealStatus, Seal, Unseal
from kms_actors.quota.records import TOGETHER, RateLimit
from kms_actors.store import keyspace
from kms_actors.store.api import Body, Priority, Store, T, Transaction
from kms_actors.store.keyspace import TenantKeys, after
from kms_actors.tenancy.messages import (
    DeleteTenant,
    GrantTenant,
    KeepTenant,
    ListTenants,
    ReadTenant,
    SealTenant,
    State,
    Tenant,
)
from tests.store.access import get_all
from tests.store.conftest import open_store, place, store
from tests.support.faulty_store import CountingStore
from tests.support.vaults import Vault, filled, master_of, node, trust

__all__ = ["open_store", "place", "store"]

OpenStore = Callable[[], Awaitable[Store]]
VAULT = "vault_a"
SECOND = 10**9
NOW = 1_800_000_000
DAY = 86_400


class Clock:
    """The time, set by tests."""

    seconds = NOW

    def __call__(self) -> int:
        return self.seconds * SECOND


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def nodes(
    store: Store, open_store: OpenStore, tmp_path: Path, clock: Clock
) -> AsyncIterator[tuple[NodeService, NodeService]]:
    async with (
        node(store, tmp_path, clock, max_keys=7) as first,
        node(await open_store(), tmp_path, clock, max_keys=7) as second,
    ):
        yield first, second


@pytest.fixture
async def vault(nodes: tuple[NodeService, NodeService]) -> Vault:
    return await filled(nodes[0], VAULT)


async def told(service: NodeService, vault_id: str = VAULT) -> Tenant:
    tenant = await service.ask_node(ReadTenant(vault_id))
    assert isinstance(tenant, Tenant)
    return tenant


async def sweep(service: NodeService) -> None:
    assert service._sweep is not None
    await trust(service)
    await service._sweep.sweep()


async def records_of(store: Store, number: int) -> list[bytes]:
    keys = TenantKeys(number)
    return [key for key, _ in await get_all(store) if keys.prefix <= key < after(keys.prefix)]


async def test_vaults_are_listed_page_by_page_in_order(nodes: tuple[NodeService, NodeService], vault: Vault) -> None:
    for name in ("b", "c", "d"):
        await nodes[0].ask_node(GrantTenant(name))
    pages = []
    behind = ""
    while page := await nodes[1].ask_node(ListTenants(behind, 2)):
        pages.append([tenant.vault_id for tenant in page])
        behind = pages[-1][-1]
    assert pages == [["b", "c"], ["d", VAULT]]


async def test_what_is_told_of_a_vault(nodes: tuple[NodeService, NodeService], vault: Vault) -> None:
    tenant = await told(nodes[0])
    assert (tenant.state, tenant.created, tenant.threshold, tenant.shares) == (State.UNSEALED, NOW, 2, 3)
    assert tenant.limits["keys"] == 7
    assert tenant.limits["secrets"] == 0
    with pytest.raises(NamedNotFound, match="there is no vault other"):
        await told(nodes[0], "other")


async def test_a_vault_is_created_and_then_initialised_by_its_own_operator(
    nodes: tuple[NodeService, NodeService],
) -> None:
    made = await nodes[0].ask_node(GrantTenant("new", {"secrets": 5}))
    assert (made.state, made.limits["secrets"], made.own_limits.secrets) == (State.CREATED, 5, 5)
    tenant = await nodes[1].tenant("new")
    with pytest.raises(Sealed):
        await tenant.ask(ReadSecret(1, "a"))
    shares = (await tenant.ask(Initialize(1, 1))).shares
    await tenant.ask(Unseal(shares[0]))
    now = await told(nodes[0], "new")
    assert (now.number, now.state, now.limits["secrets"]) == (made.number, State.UNSEALED, 5)
    with pytest.raises(InvalidRequest, match="already initialized"):
        await tenant.ask(Initialize(1, 1))


@pytest.mark.parametrize("vault_id", ["root", "kms-c1", "a b", "-a", "x" * 129])
async def test_what_no_token_could_name_is_not_created(nodes: tuple[NodeService, NodeService], vault_id: str) -> None:
    with pytest.raises(InvalidRequest):
        await nodes[0].ask_node(GrantTenant(vault_id))
    assert await nodes[0].ask_node(ListTenants()) == []


async def test_limits_change_one_by_one_and_back_to_the_configurations(
    nodes: tuple[NodeService, NodeService], vault: Vault
) -> None:
    await nodes[0].ask_node(GrantTenant(VAULT, {"keys": 3, "secrets": 9}))
    tenant = await nodes[1].ask_node(GrantTenant(VAULT, {"keys": None}))
    assert (tenant.limits["keys"], tenant.limits["secrets"]) == (7, 9)


async def test_a_given_rate_holds_on_all_nodes_and_the_vault_cannot_lift_it(
    nodes: tuple[NodeService, NodeService], vault: Vault
) -> None:
    tenants = [await node.tenant(VAULT) for node in nodes]
    rate = RateLimit("", 1.0, 3600, group_by=TOGETHER)
    await nodes[0].ask_node(GrantTenant(VAULT, {}, rate))
    for each, tenant in zip(nodes, tenants, strict=True):
        await each.catch_up()
        assert tenant.limiter is not None
        verdicts = [tenant.limiter.admit("secret/data/a", "secret/", address) for address in ("x", "y")]
        assert [verdict is not None and verdict.allowed for verdict in verdicts] == [True, False]
    await nodes[1].ask_node(GrantTenant(VAULT, {"keys": 1}))
    assert (await told(nodes[0])).rate_limit == rate
    await nodes[1].ask_node(GrantTenant(VAULT, lift=True))
    await nodes[0].catch_up()
    assert tenants[0].limiter is None
    with pytest.raises(InvalidRequest, match="'rate' is invalid"):
        await nodes[0].ask_node(GrantTenant(VAULT, {}, RateLimit("", 0.0)))


async def test_a_vault_is_sealed_on_all_nodes(nodes: tuple[NodeService, NodeService], vault: Vault) -> None:
    there = await nodes[1].tenant(VAULT)
    await nodes[0].ask_node(SealTenant(VAULT))
    await nodes[1].catch_up()
    assert there.sealed
    assert (await told(nodes[1])).state is State.SEALED
    await vault.check(nodes[1])


async def test_a_deleted_vault_is_sealed_and_says_until_when_it_can_be_kept(
    nodes: tuple[NodeService, NodeService], vault: Vault
) -> None:
    there = await nodes[1].tenant(VAULT)
    tenant = await nodes[0].ask_node(DeleteTenant(VAULT, 2 * DAY, "orga_1"))
    assert tenant.state is State.LEAVING
    assert (tenant.erasure.asked, tenant.erasure.due, tenant.erasure.by) == (NOW, NOW + 2 * DAY, "orga_1")
    await nodes[1].catch_up()
    assert there.sealed
    assert there.erasure == tenant.erasure
    with pytest.raises(Leaving, match="to be deleted at 2027-01-17T08:00:00Z"):
        await there.ask(Unseal(vault.shares[0]))
    with pytest.raises(InvalidRequest, match="to be deleted at"):
        await nodes[1].ask_node(DeleteTenant(VAULT, 1))
    assert (await there.ask(ReadSealStatus())).sealed


async def test_a_vault_that_is_kept_is_as_it_was(
    nodes: tuple[NodeService, NodeService], vault: Vault, clock: Clock
) -> None:
    await nodes[0].ask_node(DeleteTenant(VAULT))
    assert (await told(nodes[0])).erasure == (await nodes[1].tenant(VAULT)).erasure
    await nodes[1].ask_node(KeepTenant(VAULT))
    await asyncio.gather(*(each.catch_up() for each in nodes))
    assert (await told(nodes[0])).state is State.SEALED
    clock.seconds += 400 * DAY
    await sweep(nodes[0])
    await vault.check(nodes[1])
    with pytest.raises(InvalidRequest, match="is not to be deleted"):
        await nodes[0].ask_node(KeepTenant(VAULT))


async def test_nothing_goes_before_the_waiting_time_is_over_and_all_does_then(
    nodes: tuple[NodeService, NodeService], vault: Vault, clock: Clock, store: Store
) -> None:
    other = await filled(nodes[0], "vault_b")
    number = (await told(nodes[0])).number
    await nodes[0].ask_node(DeleteTenant(VAULT, 50 * DAY))
    before = await records_of(store, number)
    for _ in range(49):
        clock.seconds += DAY
        await sweep(nodes[1])
    assert set(before) <= set(await records_of(store, number))
    clock.seconds += 2 * DAY
    await sweep(nodes[1])
    assert await records_of(store, number) == []
    assert [tenant.vault_id for tenant in await nodes[0].ask_node(ListTenants())] == ["vault_b"]
    await other.check(nodes[0])


async def test_a_clock_that_is_not_trusted_deletes_nothing(
    nodes: tuple[NodeService, NodeService], vault: Vault, clock: Clock, store: Store
) -> None:
    number = (await told(nodes[0])).number
    await trust(nodes[1])
    await nodes[0].ask_node(DeleteTenant(VAULT, 50 * DAY))
    before = await records_of(store, number)
    clock.seconds += 60 * DAY
    assert nodes[1]._sweep is not None
    await nodes[1]._sweep.sweep()
    assert set(before) <= set(await records_of(store, number))
    await trust(nodes[1])
    await nodes[1]._sweep.sweep()
    assert await records_of(store, number) == []


async def test_a_vault_of_the_same_id_has_nothing_of_the_deleted_one(
    nodes: tuple[NodeService, NodeService], vault: Vault, clock: Clock
) -> None:
    number = (await told(nodes[0])).number
    there = await nodes[1].tenant(VAULT)
    for _ in range(3):  # so that its epoch is above that of the one to come
        await there.ask(Seal())
        await vault.unsealed(nodes[1])
    await nodes[0].ask_node(DeleteTenant(VAULT, 0))
    clock.seconds += 1
    await sweep(nodes[0])
    await asyncio.gather(*(each.catch_up() for each in nodes))
    again = await filled(nodes[1], VAULT)
    assert (await told(nodes[1])).number > number
    await again.check(nodes[0])
    await (await nodes[0].tenant(VAULT)).ask(Seal())
    with pytest.raises(InvalidRequest):  # the shares of the deleted one
        await vault.unsealed(nodes[0])


async def test_a_deletion_goes_on_where_it_was_interrupted_and_is_not_taken_back(
    nodes: tuple[NodeService, NodeService], vault: Vault, clock: Clock, store: Store
) -> None:
    """The first step takes the keyring; whoever comes next goes on, on whatever node."""
    number = (await told(nodes[0])).number
    await nodes[0].ask_node(DeleteTenant(VAULT, 0))
    clock.seconds += 1
    steps = 0
    for turn in range(50):
        eraser = nodes[turn % 2]._sweep
        assert eraser is not None
        eraser._eraser._size = 3
        step = partial(eraser._eraser._step, keys=TenantKeys(number), vault_id=VAULT, size=3, now=clock.seconds)
        if (await store.run(step)).left is None:
            break
        steps += 1
        keys = [TenantKeys(number).parts(key)[0] for key in await records_of(store, number)]
        assert "keyring" not in keys
        assert (await told(nodes[0])).state is State.ERASING
        with pytest.raises(InvalidRequest, match="gone already"):
            await nodes[0].ask_node(KeepTenant(VAULT))
        with pytest.raises(Leaving, match="is being deleted"):
            await (await nodes[1].tenant(VAULT)).ask(Initialize(1, 1))
    assert steps > 3
    assert await records_of(store, number) == []
    assert keyspace.vault(VAULT) not in dict(await get_all(store))


async def test_a_deletion_is_told_once_it_is_done_and_not_before(
    nodes: tuple[NodeService, NodeService], vault: Vault, clock: Clock, store: Store
) -> None:
    number = (await told(nodes[0])).number
    await nodes[0].ask_node(DeleteTenant(VAULT, 0))
    clock.seconds += 1
    with capture_logs() as logs:
        with pytest.raises(TransactionConflict):
            await Eraser(NeverCommitted(store), clock).erase(number, VAULT)
        assert logs == []
        assert await Eraser(store, clock).erase(number, VAULT)
        assert await Eraser(store, clock).erase(number, VAULT)
    assert [(entry["event"], entry["vault"]) for entry in logs] == [("vault deleted", VAULT)]


class NeverCommitted(CountingStore):
    """Whose transactions run to their ends, and are not committed."""

    async def run(
        self, body: Body[T], *, idempotency_key: bytes | None = None, priority: Priority = Priority.REQUEST
    ) -> T:
        async def run_only(tr: Transaction) -> T:
            await body(tr)
            raise TransactionConflict

        return await super().run(run_only, idempotency_key=idempotency_key, priority=priority)


async def test_a_created_vault_is_deleted_too(nodes: tuple[NodeService, NodeService], clock: Clock) -> None:
    await nodes[0].ask_node(GrantTenant("new"))
    await nodes[0].ask_node(DeleteTenant("new", 0))
    clock.seconds += 1
    await sweep(nodes[0])
    assert await nodes[0].ask_node(ListTenants()) == []


async def test_a_check_knows_all_of_it(
    nodes: tuple[NodeService, NodeService], vault: Vault, store: Store, tmp_path: Path
) -> None:
    await nodes[0].ask_node(GrantTenant("new", {"keys": 1}))
    await filled(nodes[0], "vault_b")
    await nodes[0].ask_node(DeleteTenant("vault_b"))
    report = await check(store, await master_of(store, tmp_path), lambda *_: None)
    assert not report.findings


async def test_the_last_use_is_noted_and_not_with_each_request(
    nodes: tuple[NodeService, NodeService], vault: Vault, clock: Clock
) -> None:
    directory = nodes[0]._directory
    assert directory is not None
    tenant = await nodes[0].tenant(VAULT)
    await directory._last_uses.note([tenant], tenant.last_used + 1)
    assert (await told(nodes[0])).last_used == pytest.approx(NOW - 1)
    clock.seconds += 100
    tenant.last_used += 50
    await directory._last_uses.note([tenant], tenant.last_used + 1)
    assert (await told(nodes[0])).last_used == pytest.approx(NOW - 1)
    tenant.last_used += 700
    await directory._last_uses.note([tenant], tenant.last_used)
    assert (await told(nodes[0])).last_used == pytest.approx(NOW + 100)
