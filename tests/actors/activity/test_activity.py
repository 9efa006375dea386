"""A vault's clients in the store, on either engine and several nodes: each once a month, and removed in time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kms_actors.activity.clients import NO_MOUNT, Client
from kms_actors.activity.messages import (
    ExportClients,
    NoteBiscuit,
    ReadActivity,
    ReadActivityConfig,
    WriteActivityConfig,
)
from kms_actors.activity.months import month_of
from kms_actors.activity.records import ActivityConfig
from kms_actors.activity.usage import Counts, Usage, sum_of
from kms_actors.actors.activity import controller, noting, storage
from kms_actors.actors.activity.controller import EndClients
from kms_actors.actors.node import activity as cluster_activity
from kms_actors.actors.node.directory import TenantHandle
from kms_actors.actors.node.service import NodeService
from kms_actors.auth.principal import Right
from kms_actors.check.walk import check
from kms_actors.config import Transit
from kms_actors.errors import InvalidRequest
from kms_actors.messages import AuthenticateToken, Initialize, Seal, Unseal
from kms_actors.mounts import TOKENS_NUMBER
from kms_actors.store import schema
from kms_actors.store.api import Store
from kms_actors.store.keyspace import TenantKeys
from kms_actors.tenancy.messages import ReadAllActivity
from kms_actors.token.making import Maker, Wanted
from kms_actors.token.messages import CreateToken, WriteRole
from kms_actors.token.spec import Issued
from tests.store.access import get_all
from tests.store.conftest import open_store, place, store
from tests.support.backups import backup, restore
from tests.support.vaults import Vault, configuration, master_of, trust

__all__ = ["open_store", "place", "store"]

OpenStore = Callable[[], Awaitable[Store]]
VAULT = "vault_a"
ROOT = Maker(right=Right.ROOT, policies=("root",), sudo=True)


class Clock:
    """A time that tests set, in a month after the other; nanoseconds since 1970."""

    def __init__(self) -> None:
        self.set("2026-11-30T23:00:00")

    def set(self, text: str) -> None:
        self.now = int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 10**9

    def __call__(self) -> int:
        self.now += 1000
        return self.now

    @property
    def month(self) -> int:
        return month_of(self.now / 1e9)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@asynccontextmanager
async def running(
    open_store: OpenStore, directory: Path, clock: Clock, number: int = 1, seconds: float = 0.01
) -> AsyncIterator[list[NodeService]]:
    """Run nodes of one cluster, which write what they count at once."""
    settings = msgspec.structs.replace(configuration(directory), transit=Transit(usage_flush_seconds=seconds))
    async with AsyncExitStack() as stack:
        services = []
        for _ in range(number):
            opened = await open_store()
            await schema.initialise(opened)
            service = NodeService(settings, opened, clock=clock)
            await service.start()
            stack.push_async_callback(service.stop)
            await trust(service)
            services.append(service)
        yield services


@pytest.fixture
async def nodes(open_store: OpenStore, tmp_path: Path, clock: Clock) -> AsyncIterator[list[NodeService]]:
    async with running(open_store, tmp_path, clock, 2) as services:
        yield services


@pytest.fixture
async def vault(nodes: list[NodeService]) -> Vault:
    return await made(nodes[0], VAULT)


@pytest.fixture
async def tenant(nodes: list[NodeService], vault: Vault) -> TenantHandle:
    return await nodes[0].tenant(VAULT)


async def made(service: NodeService, vault_id: str) -> Vault:
    """Make a vault, unsealed."""
    tenant = await service.tenant(vault_id)
    initialised = await tenant.ask(Initialize(1, 1))
    await tenant.ask(Unseal(initialised.shares[0]))
    return Vault(vault_id, initialised.shares, initialised.root_token)


async def created(tenant: TenantHandle, *policies: str, ttl: int = 9_000_000, **wanted: Any) -> str:
    """Return a new token of policies."""
    issued: Issued = await tenant.ask(CreateToken(wanted=Wanted(policies=policies, ttl=ttl, **wanted), maker=ROOT))
    return issued.token


async def of_entity(tenant: TenantHandle, policy: str) -> str:
    """Return a new token of one entity."""
    await tenant.ask(WriteRole("r", {"allowed_entity_aliases": ["e1"]}))
    wanted = Wanted(policies=(policy,), ttl=600, entity_alias="e1")
    issued: Issued = await tenant.ask(CreateToken(wanted=wanted, maker=ROOT, role="r"))
    return issued.token


async def later(nodes: list[NodeService], clock: Clock, text: str) -> None:
    """Set the time, and have all nodes trust it."""
    clock.set(text)
    for service in nodes:
        await trust(service)


async def use(tenant: TenantHandle, *tokens: str) -> None:
    for token in tokens:
        await tenant.ask(AuthenticateToken(token))


async def usage(tenant: TenantHandle, **asked: Any) -> Usage | None:
    found: Usage | None = await tenant.ask(ReadActivity(**asked))
    return found


async def counted(tenant: TenantHandle, clients: int) -> Usage:
    """Wait until so many clients are counted; return what is told then."""
    async with asyncio.timeout(5):
        while True:
            found = await usage(tenant)
            if found is not None and found.total.clients == clients:
                return found
            await asyncio.sleep(0.01)


async def stays(tenant: TenantHandle, clients: int) -> Usage:
    """See that so many are counted, and no more."""
    await asyncio.sleep(0.1)
    return await counted(tenant, clients)


async def areas(store: Store, number: int = 1) -> list[tuple[Any, ...]]:
    """Return the places of all that is kept of clients."""
    keys = TenantKeys(number)
    parts = [keys.parts(key) for key, _ in await get_all(store) if key.startswith(keys.prefix)]
    return [each for each in parts if each[0].startswith("client")]


async def assert_clean(store: Store, directory: Path) -> None:
    report = await check(store, await master_of(store, directory), lambda *_: None)
    assert [finding.text for finding in report.findings] == []


async def test_a_client_counts_once_a_month_whatever_node_it_is_at_and_however_often(
    nodes: list[NodeService], tenant: TenantHandle, store: Store, tmp_path: Path
) -> None:
    there = await nodes[1].tenant(VAULT)
    first, second, other = [await created(tenant, *names) for names in (("app",), ("app",), ("other",))]
    await asyncio.gather(*(use(each, first, second, other) for each in (tenant, there) * 3))
    found = await stays(tenant, 2)
    assert await usage(there) == found
    assert sum_of(found.vaults[0].mounts) == found.total == Counts(0, 2)
    assert found.vaults[0].mounts == {TOKENS_NUMBER: Counts(0, 2)}
    assert len([each for each in await areas(store) if each[0] == "client"]) == 2
    await assert_clean(store, tmp_path)


async def test_a_token_that_is_made_and_never_used_is_nobody(tenant: TenantHandle) -> None:
    await created(tenant, "app")
    found = await stays(tenant, 0)
    assert found.months[-1].all == {}


async def test_all_tokens_of_an_entity_are_one_client(tenant: TenantHandle, clock: Clock) -> None:
    await use(tenant, *[await of_entity(tenant, name) for name in ("app", "other")])
    assert (await stays(tenant, 1)).total == Counts(1, 0)


async def test_batch_tokens_count_too(tenant: TenantHandle) -> None:
    tokens = [await created(tenant, "app", type="batch", ttl=600) for _ in range(2)]
    await use(tenant, *tokens)
    assert (await stays(tenant, 1)).total == Counts(0, 1)


async def test_root_tokens_count_for_none(tenant: TenantHandle, vault: Vault) -> None:
    await use(tenant, vault.root_token)
    await stays(tenant, 0)


async def test_biscuits_are_asked_of_once_a_month(tenant: TenantHandle, clock: Clock) -> None:
    now = clock.now / 1e9
    assert not tenant.seen("r1", now)
    await tenant.ask(NoteBiscuit("r1", Client("owner", False, NO_MOUNT)))
    await tenant.ask(NoteBiscuit("r2", None))
    assert tenant.seen("r1", now)
    assert tenant.seen("r2", now)
    assert not tenant.seen("r3", now)
    assert (await stays(tenant, 1)).vaults[0].mounts == {NO_MOUNT: Counts(0, 1)}
    clock.set("2026-12-01T00:00:01")
    assert not tenant.seen("r1", clock.now / 1e9)
    await tenant.ask(NoteBiscuit("r1", Client("owner", False, NO_MOUNT)))
    await counted(tenant, 1)
    assert tenant.seen("r1", clock.now / 1e9)
    assert not tenant.seen("r2", clock.now / 1e9)


async def test_a_token_in_memory_counts_again_when_a_month_begins(tenant: TenantHandle, clock: Clock) -> None:
    first, second = await created(tenant, "app"), await created(tenant, "other")
    await use(tenant, first, second)
    await counted(tenant, 2)
    clock.set("2026-12-01T00:00:01")
    await use(tenant, first, await created(tenant, "third"))
    found = await stays(tenant, 3)
    assert [sum_of(month.all).clients for month in found.months[-2:]] == [2, 2]
    assert [sum_of(month.new).clients for month in found.months[-2:]] == [2, 1]
    of_december = await usage(tenant, start=clock.now / 1e9, end=clock.now / 1e9)
    assert of_december is not None
    assert of_december.total == sum_of(of_december.months[0].new) == Counts(0, 2)
    monthly = await usage(tenant, monthly=True)
    assert monthly is not None
    assert (monthly.start, monthly.end, monthly.total) == (clock.month, clock.month, Counts(0, 2))


async def test_a_client_that_was_away_for_months_is_new_to_a_span_that_begins_after_it(
    nodes: list[NodeService], tenant: TenantHandle, clock: Clock
) -> None:
    await use(tenant, await created(tenant, "app"))
    await counted(tenant, 1)
    await later(nodes, clock, "2027-02-10T00:00:00")
    await use(tenant, await created(tenant, "app"))
    async with asyncio.timeout(5):
        while sum_of((await counted(tenant, 1)).months[-1].all) != Counts(0, 1):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    found = await counted(tenant, 1)
    assert sum_of(found.months[-1].new) == Counts()
    recent = await usage(tenant, start=clock.now / 1e9 - 86_400 * 30)
    assert recent is not None
    assert sum_of(recent.months[-1].new) == Counts(0, 1)


async def test_what_waits_is_written_when_the_vault_sleeps_or_is_sealed(
    open_store: OpenStore, tmp_path: Path, clock: Clock
) -> None:
    async with running(open_store, tmp_path, clock, seconds=3600.0) as (service,):
        vault = await made(service, VAULT)
        tenant = await service.tenant(VAULT)
        await use(tenant, await created(tenant, "app"))
        await tenant.ref.stop(block=False)
        tenant = await service.tenant(VAULT)
        await counted(tenant, 1)
        await use(tenant, await created(tenant, "other"))
        await asyncio.sleep(0.05)
        await tenant.ask(Seal())
        assert not tenant.seen("r1", clock.now / 1e9)
        await vault.unsealed(service)
        await counted(await service.tenant(VAULT), 2)


async def test_nothing_is_counted_by_a_clock_that_is_not_trusted(tenant: TenantHandle, clock: Clock) -> None:
    before, clock.now = clock.now, clock.now + 40 * 86_400 * 10**9
    await use(tenant, await created(tenant, "app"))
    await stays(tenant, 0)
    clock.now = before
    found = await counted(tenant, 1)
    assert sum_of(found.months[-1].all) == Counts(0, 1), "not in a month to come"


async def test_it_is_configured_as_in_vault(tenant: TenantHandle) -> None:
    assert await tenant.ask(ReadActivityConfig()) == (ActivityConfig(), {})
    assert await tenant.ask(WriteActivityConfig(retention_months=12, report_months=3)) == ()
    assert (await tenant.ask(ReadActivityConfig()))[0] == ActivityConfig("default", 12, 3)
    (warning,) = await tenant.ask(WriteActivityConfig(retention_months=37))
    assert "capped to 36" in warning
    assert (await tenant.ask(ReadActivityConfig()))[0] == ActivityConfig("default", 36, 3)
    (warning,) = await tenant.ask(WriteActivityConfig("disable"))
    assert "segment will be deleted" in warning
    assert await tenant.ask(WriteActivityConfig(retention_months=0)) == ()


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({"report_months": 0}, "default_report_months must be greater than 0"),
        ({"retention_months": -1}, "retention_months must be greater than or equal to 0"),
        ({"retention_months": 0}, "retention_months cannot be 0 while enabled"),
        ({"enabled": "maybe"}, "enabled must be one of"),
    ],
)
async def test_what_cannot_be_is_refused_and_nothing_changes(
    tenant: TenantHandle, sent: dict[str, Any], said: str
) -> None:
    with pytest.raises(InvalidRequest, match=said):
        await tenant.ask(WriteActivityConfig(**sent))
    assert (await tenant.ask(ReadActivityConfig()))[0] == ActivityConfig()


async def test_counting_ends_with_the_month_that_is_counted_and_begins_anew(
    nodes: list[NodeService], tenant: TenantHandle, clock: Clock, store: Store, tmp_path: Path
) -> None:
    there = await nodes[1].tenant(VAULT)
    first = await created(tenant, "app")
    await use(tenant, first)
    await counted(tenant, 1)
    await later(nodes, clock, "2026-12-10T00:00:00")
    second = await created(tenant, "other")
    await use(tenant, first, second)
    await use(there, second)
    await tenant.ask(NoteBiscuit("r1", Client("owner", False, NO_MOUNT)))
    await counted(tenant, 3)
    await tenant.ask(WriteActivityConfig("disable"))
    found = await stays(tenant, 1)  # of November
    assert [sum_of(month.all).clients for month in found.months[-2:]] == [1, 0]
    assert await usage(tenant, monthly=True) is None

    async def unseen() -> bool:
        return not tenant.seen("r1", clock.now / 1e9)

    await soon(unseen)
    await use(tenant, await created(tenant, "third"))
    await use(there, second)
    await stays(tenant, 1)
    await tenant.ask(WriteActivityConfig("enable"))
    for node in nodes:
        await node.catch_up()
    await asyncio.sleep(0.05)
    await use(there, second)
    found = await stays(tenant, 2)
    assert [sum_of(month.all).clients for month in found.months[-2:]] == [1, 1]
    await use(tenant, first)
    assert [sum_of(month.all).clients for month in (await stays(tenant, 2)).months[-2:]] == [1, 2]
    await assert_clean(store, tmp_path)


async def test_nobody_is_counted_beside_clients_that_are_still_to_be_removed(
    nodes: list[NodeService], tenant: TenantHandle, clock: Clock, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They would pass for counted. By a clock that was wrong when counting was enabled, it is another month."""
    tokens = [await created(tenant, policy) for policy in ("app", "other")]
    await use(tenant, *tokens)
    await counted(tenant, 2)

    async def none(*_: object) -> bool:
        return False

    with monkeypatch.context() as later_than_that:
        later_than_that.setattr(storage.ClientRecords, "drop_some", none)
        await tenant.ask(WriteActivityConfig("disable"))
        await later(nodes, clock, "2026-12-10T00:00:00")
        await tenant.ask(WriteActivityConfig("enable"))
        await later(nodes, clock, "2026-11-30T23:10:00")
        await nodes[0].catch_up()
        await use(tenant, tokens[0])
        await asyncio.sleep(0.1)
        assert [area[1:] for area in await areas(store) if area[0] == storage.MONTH] == []
    await tenant.ask(EndClients())
    await counted(tenant, 1)
    assert len([area for area in await areas(store) if area[0] == storage.CLIENT]) == 1


async def soon(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(5):
        while not await holds():  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.01)


async def test_months_are_removed_when_their_time_is_over_without_a_use_of_the_vault(
    nodes: list[NodeService], tenant: TenantHandle, clock: Clock, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "PAGE", 2)
    await use(tenant, *[await created(tenant, f"p{number}") for number in range(7)])
    await counted(tenant, 7)
    november = clock.month
    await tenant.ask(WriteActivityConfig(retention_months=2))
    await later(nodes, clock, "2026-12-31T00:00:00")
    await use(tenant, await created(tenant, "p1"))
    await counted(tenant, 7)
    for day, left in (("2027-01-31T00:00:00", {november, november + 1}), ("2027-02-01T00:00:01", {november + 1})):
        await later(nodes, clock, day)
        await swept(nodes[0])
        found = await areas(store)
        assert {each[1] for each in found if len(each) > 1} == left
    await later(nodes, clock, "2027-12-01T00:00:01")
    await swept(nodes[0])
    assert await areas(store) == [("clients-config",)]


async def swept(service: NodeService) -> None:
    """Have what is due done, once the clock is trusted again."""
    await trust(service)
    assert service._sweep is not None
    await service._sweep.sweep()


async def test_less_is_kept_as_soon_as_the_vault_says_so(
    nodes: list[NodeService], tenant: TenantHandle, clock: Clock, store: Store
) -> None:
    for day in ("2026-11-30T23:30:00", "2026-12-05T00:00:00", "2027-01-05T00:00:00"):
        await later(nodes, clock, day)
        await use(tenant, await created(tenant, "app"))

        async def told(month: int = clock.month) -> bool:
            return ("clients", month) in await areas(store)

        await soon(told)
    await tenant.ask(WriteActivityConfig(retention_months=1))
    await swept(nodes[0])
    assert {each[1] for each in await areas(store) if len(each) > 1} == {clock.month - 1, clock.month}


async def test_more_clients_than_are_told_apart_are_known_to_be_there(
    tenant: TenantHandle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "MOST_CLIENTS", 3)
    await use(tenant, *[await created(tenant, f"p{number}") for number in range(5)])
    found = await stays(tenant, 3)
    assert found.months[-1].full
    await use(tenant, await created(tenant, "p9"))
    assert (await stays(tenant, 3)).months[-1].full


async def test_what_a_process_knows_is_bounded(tenant: TenantHandle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(noting, "_MOST_KNOWN", 2)
    monkeypatch.setattr(controller, "_MOST_BISCUITS", 2)
    for number in range(5):
        await use(tenant, await created(tenant, f"p{number}"))
        await counted(tenant, number + 1)
        await tenant.ask(NoteBiscuit(f"r{number}", None))
    assert len(tenant._view.seen) <= 2


async def test_clients_are_exported_once_each_by_the_months_they_came_in(
    nodes: list[NodeService], tenant: TenantHandle, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(controller, "_EXPORTED_TOGETHER", 2)
    tokens = [await created(tenant, f"p{number}") for number in range(4)]
    await use(tenant, *tokens, await of_entity(tenant, "app"))
    await counted(tenant, 5)
    november = clock.now / 1e9
    await later(nodes, clock, "2026-12-01T00:00:05")
    await use(tenant, tokens[0], await created(tenant, "new"))
    await counted(tenant, 6)

    async def exported(**asked: Any) -> list[tuple[bool, int, int]]:
        number, clients = await tenant.ask(ExportClients(**asked))
        assert number == 1
        assert len({client.id for client in clients}) == len(clients)
        return [(client.entity, client.mount, month_of(client.seen)) for client in clients]

    assert len(await exported()) == 6
    assert len(await exported(start=november, end=november)) == 5
    december = await exported(start=clock.now / 1e9)
    assert december == [(False, TOKENS_NUMBER, clock.month)] * 2
    monkeypatch.setattr(controller, "MOST_EXPORTED", 5)
    with pytest.raises(InvalidRequest, match="fewer months"):
        await exported()


async def test_a_backup_brings_them_along(
    nodes: list[NodeService], tenant: TenantHandle, vault: Vault, store: Store
) -> None:
    await use(tenant, await created(tenant, "app"))
    before = await counted(tenant, 1)
    await tenant.ask(WriteActivityConfig(report_months=2))
    data = await backup(store, VAULT)
    await tenant.ask(Seal())
    kept = await areas(store)
    await restore(store, data, VAULT, replace=True)
    assert await areas(store) == kept
    for node in nodes:
        await node.catch_up()
    await vault.unsealed(nodes[0])
    tenant = await nodes[0].tenant(VAULT)
    found = await stays(tenant, 1)
    assert (found.total, len(found.months)) == (before.total, 2)
    await use(tenant, await created(tenant, "app"))
    await stays(tenant, 1)


async def test_the_clusters_operator_sees_all_vaults_sealed_or_not(
    nodes: list[NodeService], tenant: TenantHandle, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster_activity, "_TOGETHER", 2)
    monkeypatch.setattr(cluster_activity, "_PAGE", 3)
    monkeypatch.setattr(cluster_activity, "MOST_TOLD", 2)
    for number in range(4):
        name = f"vault_{number}"
        await made(nodes[0], name)
        other = await nodes[0].tenant(name)
        await use(other, *[await created(other, f"p{each}") for each in range(number)])
        await counted(other, number)
        await other.ask(Seal())
    found: Usage = await nodes[1].ask_node(ReadAllActivity())
    assert [(each.vault_id, sum_of(each.mounts).clients) for each in found.vaults] == [("vault_3", 3), ("vault_2", 2)]
    assert (found.left_out, found.total) == (1, Counts(0, 6))
    assert sum_of(found.months[-1].all) == Counts(0, 6)
    later = await nodes[1].ask_node(ReadAllActivity(start=clock.now / 1e9, monthly=True))
    assert later.total == Counts(0, 6)
    assert await nodes[1].ask_node(ReadAllActivity(end=1.0)) is None


async def test_an_end_of_clients_may_come_at_any_time(tenant: TenantHandle, store: Store) -> None:
    await tenant.ask(EndClients())
    assert await areas(store) == []
