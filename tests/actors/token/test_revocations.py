"""A revocation costs one step, however many there are, and goes when nobody needs it any more.

The kind: work for one thing that grows with the number of all. A line of the change log carries the revocation, so
that nobody reads a vault again for it; what does need a reading shares the next one; and lists have an end.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from kms_actors.actors.cluster.changes import TENANT, Change, record
from kms_actors.actors.node.service import NodeService
from kms_actors.actors.tenant import revocations
from kms_actors.actors.tenant.records import TenantRecords
from kms_actors.actors.tenant.revocations import KEPT, Revocations, end_of, record_of
from kms_actors.auth.service_token import ServicePrincipal, ServiceToken
from kms_actors.messages import EnableMount, RevokeToken, Seal
from kms_actors.runtime.coalesced import Coalesced
from kms_actors.store import keyspace
from kms_actors.store.api import Store, Transaction
from kms_actors.store.keyspace import TenantKeys
from tests.store.access import get_all, put
from tests.store.conftest import open_store, place, store
from tests.support.faulty_store import CountingStore
from tests.support.vaults import filled, node, trust

__all__ = ["open_store", "place", "store"]

OpenStore = Callable[[], Awaitable[Store]]
NOW = 1_800_000_000.0
VAULT = "vault_a"
PLACE = TenantKeys(1).key("revoked")


class Clock:
    """The time, set by tests."""

    def __init__(self) -> None:
        self.seconds = NOW

    def __call__(self) -> int:
        return int(self.seconds * 1e9)


class Biscuit(ServicePrincipal):
    """Stands for a biscuit of one block."""

    def __init__(self, revocation_id: str, expires_at: float | None = None) -> None:
        record = ServiceToken.root(0.0)
        super().__init__(record, VAULT)
        self.__class__ = type("_", (Biscuit,), {"revocation_ids": (revocation_id,), "expires_at": expires_at})


class Loads(CountingStore):
    """Counts readings of whole vaults."""

    loads = 0

    async def run(self, body: Any, **options: Any) -> Any:
        self.loads += getattr(body, "__name__", "") == TenantRecords._load.__name__
        return await super().run(body, **options)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def loads(open_store: OpenStore) -> Loads:
    return Loads(await open_store())


@pytest.fixture
async def nodes(
    store: Store, loads: Loads, tmp_path: Path, clock: Clock
) -> AsyncIterator[tuple[NodeService, NodeService]]:
    async with node(store, tmp_path, clock) as first, node(loads, tmp_path, clock) as second:
        await filled(first, VAULT)
        yield first, second


async def stored(store: Store) -> set[str]:
    return {keyspace.unpack(key)[3] for key, _ in await get_all(store) if key.startswith(PLACE)}


async def put_revoked(store: Store, count: int, ends: int = 0, name: str = "id") -> None:
    for start in range(0, count, 1000):
        names = [f"{name}{number:06}" for number in range(start, min(start + 1000, count))]
        await put(store, *((TenantKeys(1).key("revoked", name), record_of(ends)) for name in names))


async def test_many_revocations_reach_another_node_without_a_reading_of_the_vault(
    nodes: tuple[NodeService, NodeService], loads: Loads
) -> None:
    here, there = [await service.tenant(VAULT) for service in nodes]
    await nodes[1].catch_up()
    before = loads.loads
    await asyncio.gather(*(here.ask(RevokeToken(Biscuit(f"id{number}"), "")) for number in range(200)))
    await nodes[1].catch_up()
    assert loads.loads == before
    assert all(there.revoked((f"id{number}", "other")) for number in range(200))
    assert not there.revoked(("id200",))


async def test_changes_of_a_vault_that_come_together_share_readings(
    nodes: tuple[NodeService, NodeService], store: Store, loads: Loads
) -> None:
    await nodes[1].tenant(VAULT)
    await nodes[1].catch_up()
    before = loads.loads

    async def body(tr: Transaction) -> None:
        for _ in range(300):
            record(tr, Change(VAULT, TENANT, "", NOW))

    await store.run(body)
    await nodes[1].catch_up()
    assert 1 <= loads.loads - before <= 3


@pytest.mark.parametrize("seed", range(5))
async def test_a_vault_that_wakes_under_revocations_knows_all_of_them(
    nodes: tuple[NodeService, NodeService], seed: int
) -> None:
    here = await nodes[0].tenant(VAULT)

    async def revoke(number: int) -> None:
        await asyncio.sleep((number * (seed + 3) % 7) / 1000)
        await here.ask(RevokeToken(Biscuit(f"id{number}"), ""))

    waking = asyncio.create_task(nodes[1].tenant(VAULT))
    await asyncio.gather(*map(revoke, range(60)))
    there = await waking
    await nodes[1].catch_up()
    assert [number for number in range(60) if not there.revoked((f"id{number}",))] == []


async def test_what_was_heard_stays_though_a_reading_began_before_it(
    nodes: tuple[NodeService, NodeService], store: Store
) -> None:
    here, there = [await service.tenant(VAULT) for service in nodes]
    await here.ask(RevokeToken(Biscuit("known"), ""))
    await nodes[1].catch_up()
    await here.ask(EnableMount("more/", "kv-v2", "", {}))
    await here.ask(Seal())
    await nodes[1].catch_up()
    assert there.sealed
    assert there.revoked(("known",))


async def test_thousands_of_revocations_are_read_in_pages_that_are_bounded(
    store: Store, tmp_path: Path, clock: Clock
) -> None:
    async with node(store, tmp_path, clock) as service:
        await filled(service, VAULT)
    await put_revoked(store, 2 * revocations.PAGE + 300)
    async with node(store, tmp_path, clock) as service:
        tenant = await service.tenant(VAULT)
        for number in (0, 999, 1000, 1001, 1999, 2000, 2299):
            assert tenant.revoked((f"id{number:06}",)), number
        assert not tenant.revoked(("id002300",))
        assert not tenant.sealed


# Their end.


async def test_a_revocation_goes_a_day_after_its_token(store: Store, tmp_path: Path, clock: Clock) -> None:
    async with node(store, tmp_path, clock) as service:
        await filled(service, VAULT)
        tenant = await service.tenant(VAULT)
        await tenant.ask(RevokeToken(Biscuit("ends", NOW + 60), ""))
        await tenant.ask(RevokeToken(Biscuit("stays"), ""))
        assert await stored(store) == {"ends", "stays"}
    clock.seconds += 60 + KEPT - 5
    async with node(store, tmp_path, clock) as service:
        assert (await service.tenant(VAULT)).revoked(("ends",))
    clock.seconds += 10
    async with node(store, tmp_path, clock) as service:
        await trust(service)
        tenant = await service.tenant(VAULT)
        assert not tenant.revoked(("ends",))
        assert tenant.revoked(("stays",))
        async with asyncio.timeout(10):
            while await stored(store) != {"stays"}:  # noqa: ASYNC110 - there is no event to wait for
                await asyncio.sleep(0.01)


async def test_a_clock_that_is_not_trusted_ends_no_revocation(store: Store, tmp_path: Path, clock: Clock) -> None:
    """A clock that is a year ahead would make revoked tokens good again, for good, on all nodes."""
    operator = keyspace.node("kms-c1", "revoked", "over")
    await put(store, (operator, record_of(int(NOW))))
    async with node(store, tmp_path, clock) as service:
        await filled(service, VAULT)
        tenant = await service.tenant(VAULT)
        for number in range(70):
            await tenant.ask(RevokeToken(Biscuit(f"id{number}", NOW + 60), ""))
        clock.seconds += 365 * 86_400
        for number in range(70, 140):
            await tenant.ask(RevokeToken(Biscuit(f"id{number}", NOW + 60), ""))
        assert all(tenant.revoked((f"id{number}",)) for number in range(140))
    async with node(store, tmp_path, clock) as service:
        tenant = await service.tenant(VAULT)
        assert all(tenant.revoked((f"id{number}",)) for number in range(140))
        assert service.node_revoked(("over",))
    assert len(await stored(store)) == 140
    assert operator in dict(await get_all(store))


async def test_a_sweep_takes_what_has_ended_and_nothing_else(store: Store) -> None:
    await put_revoked(store, 2300, int(NOW), "over")
    await put_revoked(store, 10, int(NOW) + KEPT, "young")
    await put_revoked(store, 10, 0, "endless")
    await put(store, (TenantKeys(1).key("revoked", "damaged"), b"?"), (TenantKeys(2).key("revoked", "x"), b""))
    assert await revocations.sweep(store, PLACE, NOW + KEPT + 1) == 2300
    left = await stored(store)
    assert len(left) == 21
    assert not any(name.startswith("over") for name in left)


async def test_the_revocations_of_operators_end_too(store: Store, tmp_path: Path, clock: Clock) -> None:
    operator = keyspace.node("kms-c1", "revoked", "over")
    await put(store, (operator, record_of(int(NOW))), (keyspace.node("kms-c1", "revoked", "live"), b""))
    clock.seconds += KEPT + 10
    async with node(store, tmp_path, clock) as service:
        assert service.node_revoked(("over",))  # as long as nobody knows that it is so late
        await trust(service)
        assert service._sweep is not None
        await service._sweep._own()
        assert service.node_revoked(("live",))
        assert not service.node_revoked(("over",))
        assert operator not in dict(await get_all(store))


def test_memory_of_ended_revocations_is_given_back_as_others_come() -> None:
    known = Revocations()
    for number in range(5000):
        known.add(str(number), int(NOW) + number)
        known.let_go(NOW + KEPT + number - 100)
    assert len(known) <= 110
    assert "4999" in known.ids
    assert "0" not in known.ids


def test_the_end_of_a_revocation_is_never_before_that_of_its_token() -> None:
    assert end_of(None) == 0
    assert end_of(17.2) == 18
    assert end_of(0.0) == 1
    assert revocations.decode(record_of(end_of(17.2))) == 18
    assert revocations.decode(b"") == 0


def test_ids_are_read_as_the_tuple_layer_packs_them() -> None:
    names = ["aa", "", "nul\0in", "é", "\0"]
    entries = [(TenantKeys(1).key("revoked", name), record_of(number)) for number, name in enumerate(names)]
    assert revocations.read(PLACE, entries) == {name: number for number, name in enumerate(names)}


# One run under way, one that waits.


async def test_however_many_ask_two_runs_are_enough() -> None:
    begun, go = 0, asyncio.Event()

    async def work() -> None:
        nonlocal begun
        begun += 1
        await go.wait()

    runs = Coalesced(work, asyncio.ensure_future)
    first = runs.run()
    others = [runs.run() for _ in range(50)]
    await asyncio.sleep(0)
    assert begun == 1
    assert first not in others
    go.set()
    await asyncio.gather(first, *others)
    assert begun == 2
    await runs.run()
    assert begun == 3


async def test_each_hears_of_the_run_that_was_for_it() -> None:
    outcomes: list[BaseException | None] = [ZeroDivisionError(), None, asyncio.CancelledError()]

    async def work() -> None:
        await asyncio.sleep(0)
        outcome = outcomes.pop(0)
        if outcome is not None:
            raise outcome

    runs = Coalesced(work, asyncio.ensure_future)
    failing, fine = runs.run(), runs.run()
    with pytest.raises(ZeroDivisionError):
        await failing
    await fine
    cancelled, after = runs.run(), runs.run()
    for future in (cancelled, after):
        with pytest.raises(asyncio.CancelledError):
            await future
