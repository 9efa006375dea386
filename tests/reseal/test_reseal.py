"""All records moved to the newest versions: whatever interrupts it, and under load without a failed request.

The kind: a record that is left of an old version, or that nobody can open any more; a change that is lost since it
was written while the old one was being sealed anew.

`KMS_FAULT_RECORDS` is how many records the run under load has: 400, and 200,000 for `make reseal-test`.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from kms_actors.actors.node.service import NodeService
from kms_actors.actors.tenant.master import UPGRADE
from kms_actors.ceremony.messages import BeginRekey, GiveRekeyShare, RotateKeyring
from kms_actors.check.findings import parts_of
from kms_actors.check.records import CLUSTER_RECORDS, TENANT_RECORDS, Sealing, find
from kms_actors.check.walk import check
from kms_actors.errors import InvalidRequest, KmsError
from kms_actors.keyring.record import version_of
from kms_actors.kv.messages import ReadSecret, WriteSecret
from kms_actors.messages import Seal
from kms_actors.policy.messages import PolicyKind, WritePolicy
from kms_actors.reseal.run import ALL, Outcome, Reseal
from kms_actors.store.api import Entry, Store
from tests.actors.node.test_schedule_sweep import Clock, assert_clean, cluster
from tests.store.access import END, get_all
from tests.store.conftest import open_store, place, store
from tests.support.backups import backup
from tests.support.faulty_store import CountingStore, Interrupted
from tests.support.vaults import filled, master_of, node

__all__ = ["open_store", "place", "store"]

OpenStore = Callable[[], Awaitable[Store]]
RECORDS = int(os.environ.get("KMS_FAULT_RECORDS", "400"))
INTERRUPTIONS = 5


@pytest.fixture
def clock() -> Clock:
    return Clock()


def nobody(*_: int) -> None:
    """Tell nobody how far it is."""


async def older(store: Store, directory: Path) -> int:
    """Return how many records a check of the store finds sealed by older versions."""
    return (await check(store, await master_of(store, directory), nobody)).older


async def resealed(
    store: Store,
    directory: Path,
    vault: tuple[str, int] | None = None,
    *,
    restart: bool = False,
    settle: float = 0.0,
) -> Outcome:
    master = await master_of(store, directory)
    now = Clock()() / 1e9
    run = Reseal(store, master, "kms-c1", now=now, advance=nobody, vault=vault, settle=settle)
    return await run.run(restart=restart)


async def entries(store: Store) -> AsyncIterator[Entry]:
    """Yield all there is, a page at a time: there may be very much."""
    begin = b""
    while page := await store.run(lambda tr: tr.get_range(begin, END, limit=500)):  # noqa: B023 - awaited at once
        for entry in page:
            yield entry
        begin = page[-1][0] + b"\0"


async def versions(store: Store) -> dict[tuple[object, ...], set[int]]:
    """Return which key versions there are of sealed records: of each tenant's, and of those of the master keyring."""
    found: dict[tuple[object, ...], set[int]] = {}
    async for key, value in entries(store):
        parts = parts_of(key) or ()
        of_tenant = parts[:1] == ("t",)
        known = find(TENANT_RECORDS if of_tenant else CLUSTER_RECORDS, parts[2:] if of_tenant else parts)
        if known is None or UPGRADE in parts:
            continue
        if known.sealing is Sealing.KEYRING:
            found.setdefault(parts[:2], set()).add(version_of(value))
        elif known.sealing is Sealing.MASTER_KEYRING:
            found.setdefault(("node",), set()).add(version_of(value))
    return found


async def rotate(service: NodeService, *vaults: str) -> None:
    for vault in vaults:
        await (await service.tenant(vault)).ask(RotateKeyring())
    await service.ask_node(RotateKeyring())


async def test_nothing_is_left_of_older_versions_and_all_of_it_opens(
    open_store: OpenStore, store: Store, tmp_path: Path, clock: Clock
) -> None:
    async with cluster(open_store, tmp_path, clock, 2) as (first, second):
        vaults = [await filled(first, name) for name in ("vault_a", "vault_b", "vault_c")]
        await rotate(first, "vault_a", "vault_b")
        await rotate(first, "vault_a")
        before = await versions(store)
        assert before["t", 1] == {1}
        found = await older(store, tmp_path)
        outcome = await resealed(store, tmp_path)
        assert outcome.resealed == found > 20
        assert await older(store, tmp_path) == 0
        assert (outcome.left_out, outcome.rotated) == (0, False)
        assert await versions(store) == {("t", 1): {3}, ("t", 2): {2}, ("t", 3): {1}, ("node",): {3}}
        for service in (first, second):
            for vault in vaults:
                await vault.check(service)
        assert (await resealed(store, tmp_path)).resealed == 0
    async with cluster(open_store, tmp_path, clock, 1) as (again,):
        for vault in vaults:
            await vault.check(again)
    await assert_clean(store, tmp_path)
    assert await backup(store, ALL)


async def test_a_sealed_vault_is_left_out_and_one_vault_can_be_done_alone(
    open_store: OpenStore, store: Store, tmp_path: Path, clock: Clock
) -> None:
    async with cluster(open_store, tmp_path, clock, 1) as (service,):
        sealed, other = await filled(service, "vault_a"), await filled(service, "vault_b")
        await rotate(service, "vault_a", "vault_b")
        await (await service.tenant("vault_a")).ask(Seal())
        outcome = await resealed(store, tmp_path, ("vault_b", 2))
        assert outcome.left_out == 0
        found = await versions(store)
        assert (1 in found["t", 1], found["t", 2]) == (True, {2})
        assert (await resealed(store, tmp_path)).left_out == 1
        await sealed.check(service)
        await other.check(service)
        assert (await resealed(store, tmp_path)).left_out == 0
        assert (await versions(store))["t", 1] == {2}


async def test_it_is_told_where_somebody_may_not_have_heard_of_a_rotation_yet(
    open_store: OpenStore, store: Store, tmp_path: Path, clock: Clock
) -> None:
    """Of a vault, and of the cluster: what an old version may still seal behind the walk is not said to be none."""
    async with cluster(open_store, tmp_path, clock, 1) as (service,):
        vault = await filled(service, "vault_a")
        assert not (await resealed(store, tmp_path, settle=60.0)).rotated
        await (await service.tenant("vault_a")).ask(RotateKeyring())
        assert (await resealed(store, tmp_path, settle=60.0)).rotated
        assert not (await resealed(store, tmp_path)).rotated
        await service.ask_node(RotateKeyring())
        assert (await resealed(store, tmp_path, ("vault_a", 1), settle=60.0)).rotated
        assert (await versions(store))["t", 1] == {2}
        await vault.check(service)


async def test_policies_keep_the_nonces_by_which_changes_know_them(
    open_store: OpenStore, store: Store, tmp_path: Path, clock: Clock
) -> None:
    """Else each change that policies allowed would be refused once, as if they had been changed."""
    async with cluster(open_store, tmp_path, clock, 1) as (service,):
        await filled(service, "vault_a")
        tenant = await service.tenant("vault_a")
        await tenant.ask(WritePolicy(PolicyKind.ACL, "app", 'path "secret/*" { capabilities = ["update"] }'))
        before = {key: value[5:17] for key, value in await get_all(store) if b"policy\0\2acl" in key}
        await rotate(service, "vault_a")
        await resealed(store, tmp_path)
        after = {key: value[5:17] for key, value in await get_all(store) if b"policy\0\2acl" in key}
        assert len(before) == 1
        assert before == after
        assert (await versions(store))["t", 1] == {2}


async def test_attempts_under_way_go_on(open_store: OpenStore, store: Store, tmp_path: Path, clock: Clock) -> None:
    async with cluster(open_store, tmp_path, clock, 1) as (service,):
        vault = await filled(service, "vault_a")
        tenant = await service.tenant("vault_a")
        begun = await tenant.ask(BeginRekey(3, 2))
        await tenant.ask(GiveRekeyShare(vault.shares[0], begun.nonce))
        await rotate(service, "vault_a")
        await resealed(store, tmp_path)
        assert (await tenant.ask(GiveRekeyShare(vault.shares[1], begun.nonce))).complete
        await vault.check(service)


async def test_interrupted_at_every_transaction_it_goes_on_where_it_was(
    store: Store, tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kms_actors.reseal.run._MOST", 16)
    async with node(store, tmp_path, clock) as service:
        vault = await filled(service, "vault_a")
        at = 0
        while True:
            await rotate(service, "vault_a")
            faulty = CountingStore(store)
            run = Reseal(faulty, await master_of(store, tmp_path), "kms-c1", now=clock() / 1e9, advance=nobody)
            faulty.at = faulty.runs + at
            try:
                await run.run()
            except Interrupted:
                await vault.check(service)
                assert (await resealed(store, tmp_path)).resealed > 0
                at += 1
            else:
                break
            assert all(len(found) == 1 for found in (await versions(store)).values())
            await vault.check(service)
        assert at > 4
    await assert_clean(store, tmp_path)


async def test_two_at_once_do_not_work_against_each_other(
    open_store: OpenStore, store: Store, tmp_path: Path, clock: Clock
) -> None:
    async with cluster(open_store, tmp_path, clock, 1) as (service,):
        vault = await filled(service, "vault_a")
        for number in range(300):
            await (await service.tenant("vault_a")).ask(WriteSecret(1, f"n{number}", b"{}"))
        await rotate(service, "vault_a")
        ends = await asyncio.gather(*(resealed(store, tmp_path) for _ in range(2)), return_exceptions=True)
        assert all(isinstance(end, Outcome | InvalidRequest) for end in ends)
        await resealed(store, tmp_path, restart=True)
        assert all(len(found) == 1 for found in (await versions(store)).values())
        await vault.check(service)


async def test_under_load_no_request_fails_and_nothing_is_lost(
    open_store: OpenStore, store: Store, tmp_path: Path, clock: Clock
) -> None:
    """Rotated and resealed while two nodes read and write, interrupted five times."""
    async with cluster(open_store, tmp_path, clock, 2) as services:
        vault = await filled(services[0], "vault_a")
        tenants = [await service.tenant("vault_a") for service in services]
        written: dict[str, bytes] = {}

        async def fill(numbers: range) -> None:
            for number in numbers:
                await tenants[0].ask(WriteSecret(1, f"bulk/{number}", b'{"n":%d}' % number))
                written[f"bulk/{number}"] = b'{"n":%d}' % number

        await asyncio.gather(*(fill(range(start, RECORDS, 16)) for start in range(16)))
        done = asyncio.Event()
        failed: list[str] = []
        served = 0

        async def load(which: int) -> None:
            nonlocal served
            number = which
            while not done.is_set():
                number += 7
                path, data = f"bulk/{(number * 31 + which) % RECORDS}", b'{"w":%d}' % number
                try:
                    if number % 3 and which == (number * 31 + which) % RECORDS % 4:
                        await tenants[which % 2].ask(WriteSecret(1, path, data))
                        written[path] = data
                    else:
                        await tenants[which % 2].ask(ReadSecret(1, path))
                except KmsError as error:
                    failed.append(f"{type(error).__name__}: {error}")
                served += 1

        callers = [asyncio.create_task(load(which)) for which in range(4)]
        try:
            await rotate(services[1], "vault_a")
            for service in services:  # who has not heard of it seals by the version before
                await service.catch_up()
            for _ in range(INTERRUPTIONS):
                faulty = CountingStore(store)
                run = Reseal(faulty, await master_of(store, tmp_path), "kms-c1", now=clock() / 1e9, advance=nobody)
                faulty.at = faulty.runs + 2 + 2 * RECORDS // 128 // 8
                with pytest.raises(Interrupted):
                    await run.run()
            await resealed(store, tmp_path)
        finally:
            done.set()
            await asyncio.gather(*callers)
        assert failed == []
        assert served > 100
        assert (await versions(store))["t", 1] == {2}
        for path, data in written.items():
            assert (await tenants[1].ask(ReadSecret(1, path))).data == data
        await vault.check(services[0])
    await assert_clean(store, tmp_path)
