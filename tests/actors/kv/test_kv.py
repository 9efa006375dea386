"""KV messages against the embedded store, sealed by a real keyring."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from kms_actors.actors.kv.storage import INLINE
from kms_actors.actors.tenant.listing import PAGE
from kms_actors.errors import IntegrityError, InvalidRequest, NotFound, PermissionDenied, StoreUnavailable
from kms_actors.kv import messages as kv
from kms_actors.kv.records import Config
from kms_actors.kv.settings import Settings
from kms_actors.messages import Grants
from kms_actors.store.api import Transaction
from kms_actors.store.sqlite.transaction import SqliteTransaction
from tests.actors.kv_tenant import MOUNT, SECOND, SMALL, T0, Tenant, opened

LARGE = b'{"a":"%b"}' % (b"x" * INLINE)


@pytest.fixture
async def tenant(tmp_path: Path) -> AsyncIterator[Tenant]:
    async with opened(tmp_path) as tenant:
        yield tenant


async def test_a_secret_reads_back_with_its_metadata(tenant: Tenant) -> None:
    written = await tenant.put("app/db")
    assert (written.number, written.version.created, written.data) == (1, T0, None)
    found = await tenant.get("app/db")
    assert (found.number, found.data, found.readable, found.custom_metadata) == (1, SMALL, True, {})


async def test_nothing_is_not_found(tenant: Tenant) -> None:
    await tenant.put("there")
    for query in (
        kv.ReadSecret(MOUNT, "nosuch"),
        kv.ReadSecret(MOUNT, "there", 2),
        kv.ReadSecret(MOUNT + 1, "there"),
        kv.ReadSubkeys(MOUNT, "nosuch"),
        kv.ReadMetadata(MOUNT, "nosuch"),
        kv.ListSecrets(MOUNT, "there/"),
    ):
        with pytest.raises(NotFound):
            await tenant.ask(query)


@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("other", [b"{}", b'{"b":"%b"}' % (b"y" * INLINE)], ids=["small", "large"])
async def test_all_versions_are_kept_whatever_their_sizes(tenant: Tenant, data: bytes, other: bytes) -> None:
    for number in range(1, 5):
        await tenant.put("s", data if number % 2 else other)
    for number in range(1, 5):
        found = await tenant.get("s", number)
        assert (found.number, found.data) == (number, data if number % 2 else other)
    assert (await tenant.get("s")).data == other


@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["small", "large"])
async def test_trimmed_and_destroyed_data_leaves_the_store(tenant: Tenant, data: bytes) -> None:
    await tenant.ask(kv.WriteConfig(MOUNT, Settings(max_versions=3)))
    for _ in range(7):
        await tenant.put("s", data)
    with pytest.raises(NotFound):
        await tenant.get("s", 4)
    areas = [tenant.keys.parts(key)[2] for key in await tenant.stored()]
    assert areas.count("data") == (2 if data == SMALL else 3)
    await tenant.ask(kv.DestroyVersions(MOUNT, "s", (5, 6, 7)))
    stored = await tenant.stored()
    assert sorted(tenant.keys.parts(key)[2:] for key in stored) == [("config",), ("list", "s"), ("meta", "s")]
    assert sum(map(len, stored.values())) < 300
    assert [(await tenant.get("s", number)).readable for number in (5, 6, 7)] == [False] * 3


@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["small", "large"])
async def test_a_deleted_version_shows_metadata_until_it_is_undeleted(tenant: Tenant, data: bytes) -> None:
    await tenant.put("s", data)
    await tenant.put("s", data)
    tenant.now += 5
    await tenant.ask(kv.DeleteVersions(MOUNT, "s"))
    deleted = await tenant.get("s")
    assert (deleted.readable, deleted.data, deleted.version.deletion, deleted.number) == (False, None, T0 + 5, 2)
    assert (await tenant.get("s", 1)).data == data
    await tenant.ask(kv.UndeleteVersions(MOUNT, "s", (1, 2)))
    assert (await tenant.get("s")).data == data
    await tenant.ask(kv.DeleteVersions(MOUNT, "s", (1,)))
    assert not (await tenant.get("s", 1)).readable


async def test_changes_to_nothing_are_quiet_and_write_nothing(tenant: Tenant) -> None:
    for command in (
        kv.DeleteVersions(MOUNT, "nosuch"),
        kv.DeleteVersions(MOUNT, "nosuch", (1,)),
        kv.UndeleteVersions(MOUNT, "nosuch", (1,)),
        kv.DestroyVersions(MOUNT, "nosuch", (1,)),
        kv.DeleteMetadata(MOUNT, "nosuch"),
        kv.WriteMetadata(MOUNT, "nosuch", Settings()),
    ):
        await tenant.ask(command)
    some = Settings(max_versions=3, merge=True)
    for patch in (kv.PatchSecret(MOUNT, "nosuch", SMALL), kv.PatchMetadata(MOUNT, "nosuch", some)):
        assert await tenant.ask(patch) is None
    assert await tenant.ask(kv.PatchMetadata(MOUNT, "nosuch", Settings(merge=True)))
    assert await tenant.stored() == {}


async def test_a_patch_makes_a_new_version(tenant: Tenant) -> None:
    await tenant.put("s", b'{"a":1,"n":{"x":1,"y":2}}')
    patched = await tenant.ask(kv.PatchSecret(MOUNT, "s", b'{"a":null,"n":{"y":3},"z":18446744073709551617}', 1))
    assert (patched.number, patched.readable) == (2, True)
    assert (await tenant.get("s")).data == b'{"n":{"x":1,"y":3},"z":18446744073709551617}'
    with pytest.raises(InvalidRequest, match="did not match the current version"):
        await tenant.ask(kv.PatchSecret(MOUNT, "s", SMALL, 1))
    await tenant.ask(kv.DeleteVersions(MOUNT, "s"))
    refused = await tenant.ask(kv.PatchSecret(MOUNT, "s", SMALL))
    assert (refused.number, refused.readable) == (2, False)


async def test_subkeys_hold_no_values(tenant: Tenant) -> None:
    await tenant.put("s", b'{"a":"canary","n":{"x":1}}')
    assert (await tenant.ask(kv.ReadSubkeys(MOUNT, "s"))).data == b'{"a":null,"n":{"x":null}}'
    assert (await tenant.ask(kv.ReadSubkeys(MOUNT, "s", 1, 1))).data == b'{"a":null,"n":null}'
    await tenant.ask(kv.DeleteVersions(MOUNT, "s"))
    assert (await tenant.ask(kv.ReadSubkeys(MOUNT, "s"))).data is None


async def test_config_counts_for_all_secrets_of_its_mount_only(tenant: Tenant) -> None:
    assert await tenant.ask(kv.ReadConfig(MOUNT)) == Config()
    await tenant.ask(kv.WriteConfig(MOUNT, Settings(cas_required=True, delete_version_after=SECOND)))
    assert await tenant.ask(kv.ReadConfig(MOUNT)) == Config(0, True, SECOND)
    assert await tenant.ask(kv.ReadConfig(MOUNT + 1)) == Config()
    with pytest.raises(InvalidRequest, match="required for this call"):
        await tenant.put("s")
    assert (await tenant.put("s", cas=0)).version.deletion == T0 + SECOND
    tenant.now += SECOND
    assert not (await tenant.get("s")).readable


async def test_metadata_comes_before_versions_and_outlives_them(tenant: Tenant) -> None:
    answer = await tenant.ask(kv.WriteMetadata(MOUNT, "s", Settings(max_versions=2, custom_metadata={"k": "v"})))
    assert answer.still_required == ()
    with pytest.raises(NotFound):
        await tenant.get("s")
    assert await tenant.ask(kv.PatchSecret(MOUNT, "s", SMALL)) is None
    assert await tenant.names() == ["s"]
    assert (await tenant.put("s", cas=0)).custom_metadata == {"k": "v"}
    await tenant.ask(kv.PatchMetadata(MOUNT, "s", Settings(custom_metadata={"k": None, "z": "1"}, merge=True)))
    metadata = await tenant.ask(kv.ReadMetadata(MOUNT, "s"))
    assert (metadata.custom_metadata, metadata.max_versions, metadata.current_version) == ({"z": "1"}, 2, 1)
    assert (await tenant.get("s")).data == SMALL


async def test_switching_cas_off_against_the_mount_is_reported(tenant: Tenant) -> None:
    await tenant.ask(kv.WriteConfig(MOUNT, Settings(cas_required=True)))
    off = kv.WriteMetadata(MOUNT, "s", Settings(cas_required=False))
    assert (await tenant.ask(off)).still_required == ("cas_required",)
    assert (await tenant.ask(kv.PatchMetadata(MOUNT, "s", Settings(max_versions=1)))).still_required == ()


async def test_deleting_metadata_removes_everything_of_that_secret_alone(tenant: Tenant) -> None:
    for path in ("s", "s/x", "s2"):
        for _ in range(3):
            await tenant.put(path, LARGE)
    await tenant.ask(kv.DeleteMetadata(MOUNT, "s"))
    with pytest.raises(NotFound):
        await tenant.get("s")
    assert await tenant.names() == ["s/", "s2"]
    assert {tenant.keys.parts(key)[3] for key in await tenant.stored()} == {"s/x", "s2"}
    assert (await tenant.put("s")).number == 1


async def test_existence_decides_between_create_and_update(tenant: Tenant) -> None:
    create, update = Grants(update=False), Grants(create=False)
    for denied in (
        kv.WriteSecret(MOUNT, "s", SMALL, None, update),
        kv.WriteMetadata(MOUNT, "s", Settings(max_versions=1), update),
    ):
        with pytest.raises(PermissionDenied):
            await tenant.ask(denied)
    assert await tenant.stored() == {}
    await tenant.ask(kv.WriteSecret(MOUNT, "s", SMALL, None, create))
    for denied in (
        kv.WriteSecret(MOUNT, "s", SMALL, None, create),
        kv.WriteMetadata(MOUNT, "s", Settings(max_versions=1), create),
    ):
        with pytest.raises(PermissionDenied):
            await tenant.ask(denied)
    assert (await tenant.ask(kv.WriteSecret(MOUNT, "s", SMALL, None, update))).number == 2


async def test_lists_show_one_level(tenant: Tenant) -> None:
    for path in ("b", "b-x", "b/c", "b/d/e", "b/d/f", "b0", "é/ü", "a b/c", "nul\0x/y"):
        await tenant.put(path)
    assert await tenant.names() == ["a b/", "b", "b-x", "b/", "b0", "nul\0x/", "é/"]
    assert await tenant.names("b/") == ["c", "d/"]
    assert await tenant.names("b/d/") == ["e", "f"]
    assert await tenant.names("é/") == ["ü"]


async def test_lists_go_on_after_a_name(tenant: Tenant) -> None:
    for path in ("b", "b-x", "b/c", "b/d", "b0", "c"):
        await tenant.put(path)
    assert await tenant.names(limit=3) == ["b", "b-x", "b/"]
    assert await tenant.names(after="b", limit=2) == ["b-x", "b/"]
    for within in ("b/", "b/c", "b/a", "b/c/d", "b/zz"):
        assert await tenant.names(after=within) == ["b0", "c"]
    assert await tenant.names(after="aa") == ["b", "b-x", "b/", "b0", "c"]
    assert await tenant.names("b/", after="c") == ["d"]
    with pytest.raises(NotFound):
        await tenant.names(after="c")


async def test_a_list_reads_little_of_a_large_folder(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fill(transaction: Transaction) -> None:
        for number in range(3 * PAGE):
            transaction.set(tenant.keys.key("kv", MOUNT, "list", f"big/{number:05d}"), b"")
        for number in range(PAGE + 5):
            transaction.set(tenant.keys.key("kv", MOUNT, "list", f"wide/{number:05d}/x"), b"")

    await tenant.store.run(fill)
    await tenant.put("zz")
    read: list[int] = []
    counting(monkeypatch, read.append)
    assert await tenant.names() == ["big/", "wide/", "zz"]
    assert sum(read) <= 2 * PAGE + 1
    assert await tenant.names("wide/") == [f"{number:05d}/" for number in range(PAGE + 5)]
    read.clear()
    assert await tenant.names(limit=1) == ["big/"]
    assert sum(read) == 1


def counting(monkeypatch: pytest.MonkeyPatch, note: Callable[[int], None]) -> None:
    original = SqliteTransaction.get_range

    async def get_range(self: SqliteTransaction, begin: bytes, end: bytes, **options: Any) -> list[Any]:
        found = await original(self, begin, end, **options)
        note(len(found))
        return found

    monkeypatch.setattr(SqliteTransaction, "get_range", get_range)


async def test_the_common_read_takes_one_key(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    await tenant.put("s")
    await tenant.put("s")
    reads: list[bytes] = []
    original = SqliteTransaction.get

    async def get(self: SqliteTransaction, key: bytes) -> bytes | None:
        reads.append(key)
        return await original(self, key)

    monkeypatch.setattr(SqliteTransaction, "get", get)
    assert (await tenant.get("s")).data == SMALL
    assert reads == [tenant.keys.key("kv", MOUNT, "meta", "s")]


async def test_of_a_hundred_concurrent_cas_writers_one_wins_each_version(tenant: Tenant) -> None:
    async def attempt(writer: int, cas: int) -> int | None:
        try:
            return (await tenant.put("s", b'{"writer":%d}' % writer, cas)).number
        except InvalidRequest:
            return None

    for cas in range(3):
        outcomes = await asyncio.gather(*(attempt(writer, cas) for writer in range(100)))
        winners = [writer for writer, number in enumerate(outcomes) if number is not None]
        assert len(winners) == 1
        found = await tenant.get("s")
        assert (found.number, found.data) == (cas + 1, b'{"writer":%d}' % winners[0])


async def test_concurrent_writers_without_cas_all_get_a_version_of_their_own(tenant: Tenant) -> None:
    await tenant.ask(kv.WriteConfig(MOUNT, Settings(max_versions=50)))
    written = await asyncio.gather(*(tenant.put("s", b'{"n":%d}' % n) for n in range(30)))
    assert sorted(version.number for version in written) == list(range(1, 31))
    for n, version in enumerate(written):
        assert (await tenant.get("s", version.number)).data == b'{"n":%d}' % n


async def test_no_secret_lies_open_in_the_store(tenant: Tenant) -> None:
    for data in (b'{"a":"canary"}', b'{"a":"canary%b"}' % LARGE.replace(b'"', b"'"), SMALL):
        await tenant.put("s", data)
    await tenant.ask(kv.WriteMetadata(MOUNT, "s", Settings(custom_metadata={"canary": "canary"})))
    await tenant.ask(kv.WriteConfig(MOUNT, Settings(max_versions=9)))
    stored = await tenant.stored()
    assert len(stored) == 5
    assert not any(b"canary" in value or b"a" * 3 in value for value in stored.values())


async def test_swapped_or_missing_records_are_noticed(tenant: Tenant) -> None:
    for path in ("one", "two"):
        await tenant.put(path, LARGE)
        await tenant.put(path)
    keys = {path: tenant.keys.key("kv", MOUNT, "meta", path) for path in ("one", "two")}
    data = tenant.keys.key("kv", MOUNT, "data", "two", 1)
    stored = await tenant.stored()

    async def tamper(transaction: Transaction) -> None:
        transaction.set(keys["one"], stored[keys["two"]])
        transaction.clear(data)

    await tenant.store.run(tamper)
    for path, version in (("one", 0), ("two", 1)):
        with pytest.raises(IntegrityError):
            await tenant.get(path, version)


def test_messages_and_answers_show_no_secrets() -> None:
    data = json.dumps({"a": "canary"}).encode()
    shown = repr([kv.WriteSecret(MOUNT, "canary", data), kv.PatchSecret(MOUNT, "canary", data)])
    settings = Settings(custom_metadata={"canary": "canary"})
    shown += repr([kv.WriteMetadata(MOUNT, "canary", settings), settings])
    assert "canary" not in shown


async def test_writes_of_one_secret_at_once_all_happen_in_order(tmp_path: Path) -> None:
    async with opened(tmp_path) as tenant:
        answers = await asyncio.gather(*(tenant.put("a", b'{"n":%d}' % number) for number in range(150)))
        assert [answer.number for answer in answers] == list(range(1, 151))
        assert (await tenant.get("a")).data == b'{"n":149}'
        assert (await tenant.get("a", 145)).data == b'{"n":144}'


async def test_a_refused_write_among_others_is_refused_alone(tmp_path: Path) -> None:
    async with opened(tmp_path) as tenant:
        await tenant.put("a")
        outcomes = await asyncio.gather(
            tenant.put("a", b'{"n":2}', 1),
            tenant.put("a", b'{"n":3}', 1),
            tenant.put("a", b'{"n":4}', 2),
            tenant.put("a", b'{"n":5}', 9),
            tenant.put("a", b'{"n":6}'),
            return_exceptions=True,
        )
        assert [isinstance(outcome, InvalidRequest) for outcome in outcomes] == [False, True, False, True, False]
        assert (await tenant.get("a")).data == b'{"n":6}'
        assert (await tenant.get("a")).number == 4


async def test_a_deletion_waits_for_the_writes_before_it(tmp_path: Path) -> None:
    async with opened(tmp_path) as tenant:
        await asyncio.gather(
            tenant.put("a"), tenant.put("a"), tenant.ask(kv.DeleteVersions(MOUNT, "a")), tenant.put("a")
        )
        assert [(await tenant.get("a", number)).readable for number in (1, 2, 3)] == [True, False, True]


async def test_a_store_that_fails_refuses_all_and_serves_what_comes_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(tmp_path) as tenant:

        async def fail(*_: Any, **__: Any) -> None:
            raise StoreUnavailable("gone")

        with monkeypatch.context() as patch:
            patch.setattr(tenant.store, "run", fail)
            outcomes = await asyncio.gather(*(tenant.put("a") for _ in range(3)), return_exceptions=True)
        assert all(isinstance(outcome, StoreUnavailable) for outcome in outcomes)
        assert (await tenant.put("a")).number == 1


class TestMetadataCheckAndSet:
    """Two who change the settings of one secret: the second, who has not seen what the first did, is told so."""

    async def change(self, tenant: Tenant, **settings: Any) -> kv.MetadataWritten | None:
        answer: kv.MetadataWritten | None = await tenant.ask(kv.WriteMetadata(MOUNT, "s", Settings(**settings)))
        return answer

    async def number(self, tenant: Tenant) -> int:
        metadata = await tenant.ask(kv.ReadMetadata(MOUNT, "s"))
        return int(metadata.metadata_version)

    async def test_each_change_of_settings_counts_and_no_version_of_data(self, tenant: Tenant) -> None:
        await tenant.put("s")
        assert await self.number(tenant) == 0
        await self.change(tenant, max_versions=3)
        await tenant.ask(kv.PatchMetadata(MOUNT, "s", Settings(custom_metadata={"a": "b"}, merge=True)))
        await tenant.put("s")
        await tenant.ask(kv.DeleteVersions(MOUNT, "s"))
        assert await self.number(tenant) == 2

    async def test_a_change_of_what_was_not_seen_is_refused(self, tenant: Tenant) -> None:
        with pytest.raises(InvalidRequest, match="metadata_cas must be 0 when creating new metadata"):
            await self.change(tenant, max_versions=3, metadata_cas=1)
        await self.change(tenant, max_versions=3, metadata_cas=0)
        for cas in (0, 2, -1):
            with pytest.raises(InvalidRequest, match="metadata check-and-set parameter does not match"):
                await self.change(tenant, max_versions=4, metadata_cas=cas)
            with pytest.raises(InvalidRequest, match="metadata check-and-set parameter does not match"):
                await tenant.ask(kv.PatchMetadata(MOUNT, "s", Settings(max_versions=4, metadata_cas=cas, merge=True)))
        await self.change(tenant, max_versions=4, metadata_cas=1)
        metadata = await tenant.ask(kv.ReadMetadata(MOUNT, "s"))
        assert (metadata.max_versions, metadata.metadata_version) == (4, 2)

    async def test_of_changes_at_once_one_is_made(self, tenant: Tenant) -> None:
        await self.change(tenant, max_versions=3)
        made = await asyncio.gather(
            *(self.change(tenant, max_versions=number, metadata_cas=1) for number in range(4, 9)),
            return_exceptions=True,
        )
        assert sum(not isinstance(outcome, InvalidRequest) for outcome in made) == 1

    async def test_a_condition_alone_changes_nothing(self, tenant: Tenant) -> None:
        await self.change(tenant, metadata_cas=5)
        with pytest.raises(NotFound):
            await self.number(tenant)

    async def test_it_can_be_required_by_secret_and_by_mount(self, tenant: Tenant) -> None:
        await self.change(tenant, metadata_cas_required=True)
        with pytest.raises(InvalidRequest, match="metadata check-and-set parameter required for this call"):
            await self.change(tenant, max_versions=5)
        await self.change(tenant, metadata_cas_required=False, metadata_cas=1)
        await self.change(tenant, max_versions=5)
        await tenant.ask(kv.WriteConfig(MOUNT, Settings(metadata_cas_required=True)))
        with pytest.raises(InvalidRequest, match="metadata check-and-set parameter required for this call"):
            await tenant.ask(kv.PatchMetadata(MOUNT, "s", Settings(max_versions=6, merge=True)))
        answer = await self.change(tenant, metadata_cas_required=False, metadata_cas=3)
        assert answer is not None
        assert answer.still_required == ("metadata_cas_required",)
