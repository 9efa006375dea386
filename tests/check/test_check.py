"""A store as a node leaves it is clean; each kind of damage is found where it is, and nothing else."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from time import time_ns
from typing import NamedTuple

import pytest

from kms_actors.actors.cluster.schedule import CLAIM, look_at
from kms_actors.actors.tenant.header import TenantHeader
from kms_actors.actors.transit.schedule import RETRY
from kms_actors.backup import groups
from kms_actors.check.findings import Finding, Kind, Report
from kms_actors.check.keys import Master, open_master
from kms_actors.check.walk import check
from kms_actors.errors import InvalidRequest, InvalidShares
from kms_actors.keyring import stored
from kms_actors.kv import messages as kv
from kms_actors.kv.settings import Settings
from kms_actors.messages import (
    EnableMount,
    Seal,
)
from kms_actors.secret import SecretBytes
from kms_actors.store import keyspace
from kms_actors.store.api import Store
from kms_actors.store.keyspace import ALLOCATOR, HEADER, TenantKeys, vault
from kms_actors.transit import messages as transit
from kms_actors.transit.policy import KeyOptions
from tests.store.access import clear, get, get_all, put
from tests.support.backups import backup, restore
from tests.support.faulty_store import CountingStore, Interrupted
from tests.support.vaults import LARGE, filled, master_of, node, opened, transit_mount

T1, T2 = TenantKeys(1), TenantKeys(2)


class World(NamedTuple):
    """Two vaults, the first of them unsealed."""

    store: Store
    master: Master

    async def findings(self, *, with_keys: bool = False) -> set[tuple[Kind, bytes]]:
        report = await check(self.store, self.master if with_keys else None, lambda *_: None)
        return {(finding.kind, finding.key) for finding in report.findings}


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with opened(tmp_path) as store:
        async with node(store, tmp_path) as service:
            await filled(service, "vault_a")
            await filled(service, "vault_b")
            tenant = await service.tenant("vault_a")
            await tenant.ask(EnableMount("more/", "kv-v2", "", {}))
            for number in range(4):
                await tenant.ask(kv.WriteSecret(3, "s", b'{"n":%d}' % number))
            await tenant.ask(kv.DestroyVersions(3, "s", (1,)))
            await tenant.ask(kv.WriteConfig(3, Settings(max_versions=2)))
            await tenant.ask(kv.WriteSecret(3, "s", b"{}"))
            await tenant.ask(EnableMount("plain/", "kv-v1", "", {}))
            for path, data in (("a", b"{}"), ("large", LARGE), ("large", LARGE), ("gone", LARGE)):
                await tenant.ask(kv.WriteUnversioned(4, path, data))
            await tenant.ask(kv.DeleteUnversioned(4, "gone"))
            await (await service.tenant("vault_b")).ask(Seal())
        yield World(store, await master_of(store, tmp_path))


@pytest.mark.parametrize("with_keys", [False, True])
async def test_a_store_as_a_node_leaves_it_is_clean(world: World, with_keys: bool) -> None:
    steps: list[tuple[int, int]] = []
    report = await check(world.store, world.master if with_keys else None, lambda *step: steps.append(step))
    assert list(report.findings) == []
    assert (report.vaults, report.opened) == (2, 1 if with_keys else 0)
    assert report.records == len(await get_all(world.store))
    assert (sum(v for v, _ in steps), sum(r for _, r in steps)) == (report.vaults, report.records)


async def test_an_empty_store_is_clean(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        assert (await check(store, None, lambda *_: None)).findings == {}


async def test_a_check_changes_nothing(world: World) -> None:
    before = await get_all(world.store)
    await world.findings(with_keys=True)
    assert await get_all(world.store) == before


PLANTED = {
    "an unknown area": ((keyspace.pack("other"), b""), Kind.UNKNOWN_KEY),
    "no tuple": ((keyspace.pack("other")[:-1] + b"\x0e\xfe", b""), Kind.UNKNOWN_KEY),
    "an unknown area of a tenant": ((T1.key("other", 1), b""), Kind.UNKNOWN_KEY),
    "a wrong type in a key": ((T1.key("mount", "x"), b""), Kind.UNKNOWN_KEY),
    "a tenant without header": ((TenantKeys(9).key("epoch"), bytes(8)), Kind.ORPHAN),
    "a vault without tenant": ((vault("vault_x"), bytes(8)), Kind.ORPHAN),
    "records of no mount": ((T1.key("kv", 9, "list", "x"), b""), Kind.ORPHAN),
    "data of no secret": ((T1.key("kv", 1, "data", "x", 1), b"\x01" + bytes(40)), Kind.ORPHAN),
    "a name of no secret": ((T1.key("kv", 1, "list", "x"), b""), Kind.ORPHAN),
    "a version of no transit key": ((T1.key("transit", 2, "version", "x", 1), b"\x01" + bytes(40)), Kind.ORPHAN),
    "a damaged store header": ((HEADER, b"{"), Kind.FORMAT),
    "a newer store": ((HEADER, b'{"format":2,"min_reader":1}'), Kind.FORMAT),
    "a damaged seal": ((T1.key("seal"), b"CANARY"), Kind.FORMAT),
    "a newer tenant header": ((T1.key("header"), b'{"vault_id":"vault_a","created":0,"format":2}'), Kind.FORMAT),
    "a damaged counter": ((T1.key("epoch"), b"CANARY"), Kind.FORMAT),
    "a damaged change": ((keyspace.pack("log") + b"\xff" * 10, b"CANARY"), Kind.FORMAT),
    "a newer sealed record": ((T1.key("kv", 1, "meta", "app/db"), b"\x02" + bytes(40)), Kind.FORMAT),
    "a sealed record cut short": ((T1.key("kv", 1, "meta", "app/db"), b"\x01"), Kind.DOES_NOT_OPEN),
    "a keyring cut short": ((T2.key("keyring"), b"\x01"), Kind.DOES_NOT_OPEN),
    "an allocator that is behind": ((ALLOCATOR, bytes(8)), Kind.CONTRADICTION),
    "a rotation of no transit key": ((T1.key("due", 2, "x"), bytes(8)), Kind.ORPHAN),
    "work for a tenant that does not know of it": ((keyspace.due(5, 1), b""), Kind.CONTRADICTION),
    "a tenant that is not in the schedule": ((T2.key("due"), bytes(8)), Kind.MISSING),
    "a damaged claim": ((CLAIM, b"CANARY"), Kind.FORMAT),
    "an unfinished restore": ((keyspace.pack("restore", b"d", "all"), bytes(8)), Kind.UNFINISHED),
}
#: Where a finding names more than the record itself.
NAMED = {
    "a tenant without header": TenantKeys(9).prefix,
    "records of no mount": T1.key("kv", 9),
    "a tenant that is not in the schedule": keyspace.due(0, 2),
}


@pytest.mark.parametrize("what", PLANTED)
async def test_planted_damage_is_found(world: World, what: str) -> None:
    (key, value), kind = PLANTED[what]
    await put(world.store, (key, value))
    assert await world.findings() == {(kind, NAMED.get(what, key))}


async def test_many_records_of_no_mount_are_one_finding(world: World) -> None:
    await clear(world.store, T1.key("mount", 1))
    assert await world.findings() == {(Kind.ORPHAN, T1.key("kv", 1))}


async def test_missing_records_are_found(world: World) -> None:
    for key, expected in (
        (T2.key("seal"), {(Kind.MISSING, T2.key("seal"))}),
        (T2.key("keyring"), {(Kind.MISSING, T2.key("keyring"))}),
        (T2.key("header"), {(Kind.ORPHAN, T2.prefix), (Kind.ORPHAN, vault("vault_b"))}),
        (vault("vault_b"), {(Kind.ORPHAN, T2.prefix)}),
        (T1.key("kv", 1, "list", "app/db"), {(Kind.MISSING, T1.key("kv", 1, "list", "app/db"))}),
        (HEADER, {(Kind.MISSING, HEADER)}),
    ):
        value = await get(world.store, key)
        assert value is not None
        await clear(world.store, key)
        assert await world.findings() == expected
        await put(world.store, (key, value))


async def test_a_transit_key_without_versions_is_found_without_keys(world: World) -> None:
    for version in (1, 2, 3):
        await clear(world.store, T2.key("transit", 2, "version", "orders", version))
    assert await world.findings() == {(Kind.MISSING, T2.key("transit", 2, "policy", "orders"))}


async def test_two_vaults_with_one_tenant_are_found(world: World) -> None:
    await put(world.store, (vault("vault_b"), (1).to_bytes(8, "little")))
    assert await world.findings() == {
        (Kind.CONTRADICTION, vault("vault_b")),
        (Kind.CONTRADICTION, T2.key("header")),
    }
    await put(world.store, (T2.key("header"), stored.encode(TenantHeader("vault_a", 0.0))))
    assert (Kind.CONTRADICTION, T2.key("header")) in await world.findings()


SEALED = [
    T1.key("mount", 1),
    T1.key("keyring"),
    T1.key("unsealed"),
    T1.key("kv", 3, "config"),
    T1.key("kv", 1, "meta", "app/db"),
    T1.key("kv", 1, "data", "app/db", 1),
    T1.key("transit", 2, "policy", "orders"),
    T1.key("transit", 2, "version", "orders", 2),
    keyspace.node("kms-c1", "keyring"),
]


@pytest.mark.parametrize("key", SEALED)
async def test_a_sealed_record_that_does_not_open_is_found_where_keys_are_at_hand(world: World, key: bytes) -> None:
    value = await get(world.store, key)
    assert value is not None
    await put(world.store, (key, value[:-1] + bytes([value[-1] ^ 1])))
    assert await world.findings() == set()
    assert await world.findings(with_keys=True) == {(Kind.DOES_NOT_OPEN, key)}


async def test_a_record_moved_to_another_key_does_not_open(world: World) -> None:
    one, two = T1.key("kv", 1, "meta", "app/db"), T1.key("kv", 1, "meta", "app/one")
    first, second = await get(world.store, one), await get(world.store, two)
    assert first is not None
    assert second is not None
    await put(world.store, (one, second), (two, first))
    found = await world.findings(with_keys=True)
    assert {(Kind.DOES_NOT_OPEN, one), (Kind.DOES_NOT_OPEN, two)} <= found


async def test_what_metadata_and_policies_say_is_compared_where_keys_are_at_hand(world: World) -> None:
    sealed = await get(world.store, T1.key("kv", 3, "config"))
    assert sealed is not None
    data, extra = T1.key("kv", 1, "data", "app/db", 2), T1.key("kv", 3, "data", "s", 1)
    version = T1.key("transit", 2, "version", "orders", 2)
    await clear(world.store, data)
    await clear(world.store, version)
    assert await world.findings() == set()
    keyring_record = await get(world.store, T1.key("kv", 3, "data", "s", 4))
    assert keyring_record is not None
    await put(world.store, (extra, keyring_record))
    assert await world.findings(with_keys=True) == {
        (Kind.MISSING, data),
        (Kind.MISSING, version),
        (Kind.ORPHAN, extra),
        (Kind.DOES_NOT_OPEN, extra),
    }


async def test_a_secret_of_a_mount_of_version_1_has_one_version(world: World, tmp_path: Path) -> None:
    async with node(world.store, tmp_path) as service:
        await (await service.tenant("vault_a")).ask(kv.WriteSecret(4, "a", b"{}"))
    assert await world.findings(with_keys=True) == {(Kind.CONTRADICTION, T1.key("kv", 4, "meta", "a"))}
    assert await world.findings() == set()
    await clear(world.store, T1.key("kv", 4, "data", "large", 1))
    assert (Kind.MISSING, T1.key("kv", 4, "data", "large", 1)) in await world.findings(with_keys=True)


async def test_the_schedule_of_rotations_is_compared_with_the_keys(world: World, tmp_path: Path) -> None:
    async with node(world.store, tmp_path) as service:
        tenant = await service.tenant("vault_a")
        options = KeyOptions(auto_rotate_period=7200 * 10**9)
        await tenant.ask(transit.CreateKey(transit_mount(tenant), "k", options))
    assert await world.findings(with_keys=True) == set()
    place, entry = T1.key("due", 2, "k"), T1.key("due")
    time = await get(world.store, place) or b""
    await clear(world.store, place)
    assert await world.findings() == set()
    assert await world.findings(with_keys=True) == {(Kind.MISSING, place)}
    await put(world.store, (place, bytes(8)))
    assert await world.findings() == {(Kind.CONTRADICTION, entry)}
    assert await world.findings(with_keys=True) == {(Kind.CONTRADICTION, place), (Kind.CONTRADICTION, entry)}
    now = time_ns()
    await world.store.run(lambda tr: look_at(tr, T1, now + RETRY, now))  # as where it has failed
    assert await world.findings() == set()
    await put(world.store, (place, time), (T1.key("due", 2, "orders"), b"\xff" * 8))
    assert await world.findings(with_keys=True) == {(Kind.CONTRADICTION, T1.key("due", 2, "orders"))}


async def test_counters_are_compared_with_the_keys(world: World) -> None:
    begin, end = T1.span("transit", 2, "usage", "orders")
    (one, record), _ = [entry for entry in await get_all(world.store) if begin < entry[0] < end]
    *_, shard = T1.parts(one)
    gone, nobody = T1.key("transit", 2, "usage", "orders", 9, shard), T1.key("transit", 2, "usage", "other", 1, shard)
    await put(world.store, (gone, record), (nobody, record))
    assert await world.findings() == {(Kind.ORPHAN, nobody)}
    assert await world.findings(with_keys=True) == {
        (Kind.ORPHAN, nobody),
        (Kind.ORPHAN, gone),
        (Kind.DOES_NOT_OPEN, nobody),
        (Kind.DOES_NOT_OPEN, gone),
    }


async def test_an_interrupted_restore_is_the_one_finding(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups, "PAGE_ENTRIES", 2)
    data = await backup(world.store, "vault_b")
    for at in range(4, 20):
        with contextlib.suppress(Interrupted):
            await restore(CountingStore(world.store, at), data, replace=True)
        found = {kind for kind, _ in await world.findings()}
        assert found == {Kind.UNFINISHED} or (at > 8 and not found)
        await restore(world.store, data, replace=True)
        assert await world.findings(with_keys=True) == set()
    assert not found


async def test_another_key_is_refused(world: World) -> None:
    with pytest.raises(InvalidShares):
        await open_master(world.store, "kms-c1", SecretBytes(os.urandom(32)))
    with pytest.raises(InvalidRequest, match="kms-x is not initialised"):
        await open_master(world.store, "kms-x", SecretBytes(os.urandom(32)))


def test_findings_name_keys_and_never_values() -> None:
    assert Finding(Kind.ORPHAN, T1.key("kv", 1, "list", "a"), "text").place == "('t', 1, 'kv', 1, 'list', 'a')"
    assert Finding(Kind.FORMAT, b"\xfe\x01", "text").place == "fe01"


async def test_a_page_boundary_hides_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kms_actors.check.walk._MOST", 1)
    monkeypatch.setattr("kms_actors.store.pages._CHUNK", 1)
    await clear(world.store, T1.key("mount", 1))
    report: Report = await check(world.store, world.master, lambda *_: None)
    assert [(finding.kind, finding.key) for finding in report.findings] == [(Kind.ORPHAN, T1.key("kv", 1))]
    assert report.records == len(await get_all(world.store))
