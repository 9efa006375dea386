from __future__ import annotations

import io
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from kms_actors.actors.ceremony.subject import ATTEMPTS
from kms_actors.backup import file, groups
from kms_actors.backup.export import Export, count_vaults
from kms_actors.backup.format import Cluster, FrameReader, FrameWriter, Records, Tenant
from kms_actors.errors import FormatError, InvalidRequest, TransactionConflict
from kms_actors.keyring import stored
from kms_actors.store import keyspace
from kms_actors.store.api import Body, Priority, Store, T, Transaction
from kms_actors.store.keyspace import TenantKeys
from kms_actors.tenancy.records import Erasure
from tests.store.access import clear, get_all, put
from tests.support.backups import backup, fill, header, restore, resumed
from tests.support.faulty_store import CountingStore, Interrupted

KEYS = TenantKeys(3)
LEFT_OUT = {"unsealed", "progress"}


def frames_of(data: bytes) -> list[Records | Tenant | Cluster]:
    return [
        frame for frame in FrameReader(io.BytesIO(data)).frames() if isinstance(frame, Records | Tenant | Cluster)
    ]


def entries_of(data: bytes) -> list[tuple[bytes, bytes]]:
    return [entry for frame in frames_of(data) for entry in frame.entries]


async def test_a_backup_has_each_record_of_the_vault_once_but_none_that_is_wrapped_for_the_cluster(
    store: Store,
) -> None:
    await fill(store, ("vault_a", 3), ("vault_b", 300))
    expected = [
        entry
        for entry in await get_all(store)
        if entry[0].startswith(KEYS.prefix) and KEYS.parts(entry[0])[0] not in LEFT_OUT
    ]
    assert sorted(entries_of(await backup(store, "vault_a"))) == expected


async def test_a_backup_of_all_has_the_cluster_last(store: Store) -> None:
    await fill(store, ("vault_a", 3), ("vault_b", 300), ("vault_c", 5))
    frames = frames_of(await backup(store, "all"))
    assert [frame.vault for frame in frames if isinstance(frame, Tenant)] == ["vault_a", "vault_b", "vault_c"]
    assert isinstance(frames[-1], Cluster)
    assert await count_vaults(store) == 3


async def test_what_a_vault_is_comes_after_all_its_records(store: Store) -> None:
    await fill(store, ("vault_a", 3))
    *records, last = frames_of(await backup(store, "vault_a"))
    assert isinstance(last, Tenant)
    assert {KEYS.parts(key)[0] for key, _ in last.entries} == {
        "header", "seal", "keyring", "epoch", "mount", "mount-number",
    }  # fmt: skip
    assert all(isinstance(frame, Records) for frame in records)


@pytest.mark.parametrize("vault", ["vault_x", ""])
async def test_an_unknown_vault_is_refused(store: Store, vault: str) -> None:
    await fill(store, ("vault_a", 3))
    with pytest.raises(InvalidRequest, match="there is no vault"):
        await backup(store, vault)


@pytest.mark.parametrize("scope", ["vault_b", "all"])
async def test_a_backup_cut_at_any_place_resumes_to_the_same_file(
    store: Store, tmp_path: Path, scope: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(groups, "PAGE_ENTRIES", 25)
    await fill(store, ("vault_a", 3), ("vault_b", 300))
    whole = await backup(store, scope)
    path = tmp_path / "backup"
    first = whole.index(b"\n") + 1
    for cut in (first, first + 1, *range(first + 2, len(whole), len(whole) // 20), len(whole) - 1):
        path.write_bytes(whole[:cut])
        assert await resumed(store, path, scope) == whole, cut


async def test_a_backup_broken_off_before_any_transaction_resumes_to_the_same_file(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(groups, "PAGE_ENTRIES", 25)
    await fill(store, ("vault_a", 3), ("vault_b", 300))
    whole = await backup(store, "all")
    path = tmp_path / "backup"
    for at in range(1000):
        path.unlink(missing_ok=True)
        try:
            with file.create(path, header("all")) as (writer, last):
                await Export(CountingStore(store, at), writer).run("all", last)
        except Interrupted:
            assert await resumed(store, path, "all") == whole
        else:
            assert at > 10
            break


async def test_garbage_behind_the_last_good_frame_is_cut_away(store: Store, tmp_path: Path) -> None:
    await fill(store, ("vault_a", 3))
    whole = await backup(store, "vault_a")
    path = tmp_path / "backup"
    damaged = bytearray(whole)
    damaged[-200] ^= 1
    path.write_bytes(damaged)
    assert await resumed(store, path, "vault_a") == whole


async def test_only_an_unfinished_backup_of_the_same_scope_is_resumed(store: Store, tmp_path: Path) -> None:
    await fill(store, ("vault_a", 3))
    path = tmp_path / "backup"
    path.write_bytes(await backup(store, "vault_a"))
    with pytest.raises(InvalidRequest, match="complete"):
        await resumed(store, path, "vault_a")
    with pytest.raises(InvalidRequest, match="another scope"):
        await resumed(store, path, "all")
    path.write_bytes(b"something else")
    with pytest.raises(FormatError):
        await resumed(store, path, "all")
    assert path.read_bytes() == b"something else"


async def test_a_backup_is_its_owners_only_and_never_written_over(tmp_path: Path) -> None:
    path = tmp_path / "backup"
    with file.create(path, header("all")):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(FileExistsError), file.create(path, header("all")):
        pass


def group_of(data: bytes, secret: str) -> dict[tuple[object, ...], bytes]:
    return {
        KEYS.parts(key): value
        for key, value in entries_of(data)
        if key.startswith(KEYS.prefix) and secret in KEYS.parts(key)
    }


@pytest.mark.parametrize("size", [10, 30_000])
async def test_a_secret_is_backed_up_as_it_was_at_one_moment(store: Store, size: int) -> None:
    """Whatever transaction of the backup a change comes before, metadata and data are of one state."""
    await fill(store, ("vault_a", 3))

    async def write(state: bytes) -> None:
        """As a put does: the metadata anew, and data beside it."""
        await clear(store, KEYS.key("kv", 1, "data", "z", 9))
        await put(
            store,
            (KEYS.key("kv", 1, "meta", "z"), state),
            (KEYS.key("kv", 1, "list", "z"), b""),
            *((KEYS.key("kv", 1, "data", "z", version), state + b"x" * size) for version in range(20, 40)),
        )

    for at in range(1000):
        await write(b"old")
        await put(store, (KEYS.key("kv", 1, "data", "z", 9), b"old" + b"x" * size))
        counting = CountingStore(store, at, lambda: write(b"new"))
        target = io.BytesIO()
        await Export(counting, FrameWriter.begin(target, header("vault_a"))).run("vault_a")
        found = group_of(target.getvalue(), "z")
        state = found.pop(("kv", 1, "meta", "z"))
        del found["kv", 1, "list", "z"]
        assert {value[:3] for value in found.values()} == {state}
        assert len(found) == (21 if state == b"old" else 20)
        if counting.runs <= at:
            break


async def test_a_large_secret_lies_in_frames_that_a_transaction_takes(store: Store, tmp_path: Path) -> None:
    await fill(store, ("vault_a", 3))
    value = b"x" * 250_000
    await put(
        store,
        (KEYS.key("kv", 1, "meta", "big"), b"m"),
        *((KEYS.key("kv", 1, "data", "big", version), value) for version in range(5)),
    )
    whole = await backup(store, "vault_a")
    frames = frames_of(whole)
    assert max(sum(len(key) + len(value) for key, value in frame.entries) for frame in frames) < 500_000
    assert len([key for key, _ in entries_of(whole) if key.startswith(KEYS.key("kv", 1, "data", "big"))]) == 5
    path = tmp_path / "backup"
    for cut in range(len(whole) // 30, len(whole), len(whole) // 30):
        path.write_bytes(whole[:cut])
        assert await resumed(store, path, "vault_a") == whole, cut


async def test_a_large_secret_that_never_rests_is_given_up(store: Store) -> None:
    await fill(store, ("vault_a", 3))
    meta = KEYS.key("kv", 1, "meta", "big")
    await put(store, *((KEYS.key("kv", 1, "data", "big", version), b"x" * 30_000) for version in range(20)))
    await put(store, (meta, b"0"))

    class Restless(CountingStore):
        async def run(
            self, body: Body[T], *, idempotency_key: bytes | None = None, priority: Priority = Priority.REQUEST
        ) -> T:
            await put(store, (meta, b"%d" % self.runs))
            return await super().run(body, idempotency_key=idempotency_key, priority=priority)

    with pytest.raises(TransactionConflict, match="changed too often"):
        await Export(Restless(store), FrameWriter.begin(io.BytesIO(), header("vault_a"))).run("vault_a")


async def removed(store: Store, vault: str, number: int) -> None:
    keys = TenantKeys(number)

    async def body(tr: Transaction) -> None:
        tr.clear(keyspace.vault(vault))
        tr.clear_range(keys.prefix, keyspace.after(keys.prefix))

    await store.run(body)


async def begun(store: Store, _: str, number: int) -> None:
    """As the first step of a deletion does."""
    await put(store, (TenantKeys(number).key("erasure"), stored.encode(Erasure("vault_b", 1.0, 2.0, "", begun=2.0))))


@pytest.mark.parametrize("go", [removed, begun])
async def test_a_vault_that_goes_away_meanwhile_is_no_backup(
    store: Store, go: Callable[[Store, str, int], Awaitable[None]]
) -> None:
    await fill(store, ("vault_b", 3))
    counting = CountingStore(store, 2, lambda: go(store, "vault_b", 3))
    with pytest.raises(InvalidRequest, match="removed while it was backed up"):
        await Export(counting, FrameWriter.begin(io.BytesIO(), header("vault_b"))).run("vault_b")


@pytest.mark.parametrize("go", [removed, begun])
async def test_a_backup_of_all_has_all_others_when_one_goes_away_meanwhile(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, go: Callable[[Store, str, int], Awaitable[None]]
) -> None:
    """Whatever transaction it is before; and also where the backup was broken off before that one."""
    monkeypatch.setattr(groups, "PAGE_ENTRIES", 60)
    path = tmp_path / "backup"
    at = 0
    while True:
        await fill(store, ("vault_a", 3), ("vault_b", 300), ("vault_c", 5))
        await clear(store, TenantKeys(300).key("erasure"))
        counting = CountingStore(store, at, lambda: go(store, "vault_b", 300))
        target = io.BytesIO()
        await Export(counting, FrameWriter.begin(target, header("all"))).run("all")
        if counting.runs <= at:
            break
        found = [frame for frame in frames_of(target.getvalue()) if not isinstance(frame, Cluster)]
        names = [frame.vault for frame in found if isinstance(frame, Tenant)]
        assert names in (["vault_a", "vault_c"], ["vault_a", "vault_b", "vault_c"])
        assert {frame.vault for frame in found} == set(names)
        if "vault_b" not in names:
            await fill(store, ("vault_b", 300))
            await clear(store, TenantKeys(300).key("erasure"))
            path.unlink(missing_ok=True)
            with file.create(path, header("all")) as (writer, last), pytest.raises(Interrupted):
                await Export(CountingStore(store, at), writer).run("all", last)
            await go(store, "vault_b", 300)
            assert await resumed(store, path, "all") == target.getvalue()
        at += 1
    assert at > 6


async def test_a_vault_that_is_restored_meanwhile_is_read_from_its_beginning(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(groups, "PAGE_ENTRIES", 25)
    await fill(store, ("vault_a", 3))
    before, path = await backup(store, "vault_a"), tmp_path / "backup"
    mark = KEYS.key("restore")
    counting = CountingStore(store, 3, lambda: put(store, (mark, b"x")))
    with (
        file.create(path, header("vault_a")) as (writer, last),
        pytest.raises(InvalidRequest, match="vault_a is not"),
    ):
        await Export(counting, writer).run("vault_a", last)
    assert path.read_bytes() == before[: before.index(b"\n") + 1]
    await clear(store, mark)
    await put(store, *((key, b"restored") for key, _ in await get_all(store) if key.startswith(KEYS.key("kv"))))
    assert await resumed(store, path, "vault_a") == await backup(store, "vault_a")


async def test_a_vault_that_was_restored_between_two_pages_is_read_from_its_beginning(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each page is of a whole vault, and they would be of two."""
    monkeypatch.setattr(groups, "PAGE_ENTRIES", 25)
    await fill(store, ("vault_a", 3))
    older, path = await backup(store, "vault_a"), tmp_path / "backup"
    at = 2  # behind the first page
    while True:
        await put(store, *((key, b"newer") for key, _ in await get_all(store) if key.startswith(KEYS.key("kv"))))
        counting = CountingStore(store, at, lambda: restore(store, older, replace=True))
        path.unlink(missing_ok=True)
        with file.create(path, header("vault_a")) as (writer, last):
            try:
                await Export(counting, writer).run("vault_a", last)
            except InvalidRequest as error:
                told = str(error)
            else:
                break  # it was restored behind the last
        assert told.startswith("vault_a was restored while it was backed up")
        assert await resumed(store, path, "vault_a") == await backup(store, "vault_a")
        at += 1
    assert at > 6


async def test_a_backup_is_not_resumed_over_a_restore(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(groups, "PAGE_ENTRIES", 25)
    await fill(store, ("vault_a", 3), ("vault_b", 300))
    for scope in ("vault_a", "all"):
        whole, path = await backup(store, scope), tmp_path / f"cut {scope}"
        path.write_bytes(whole[: len(whole) // 3])
        await restore(store, await backup(store, "vault_a"), replace=True)
        with pytest.raises(InvalidRequest, match="vault_a was restored while it was backed up: --resume reads it"):
            await resumed(store, path, scope)
        assert await resumed(store, path, scope) == await backup(store, scope)


async def test_ceremonies_under_way_stay_behind(store: Store) -> None:
    await fill(store, ("vault_a", 3))
    whole = await backup(store, "all")
    await put(store, *((keyspace.node("c", area), b"shares") for area in ATTEMPTS))
    assert await backup(store, "all") == whole
