"""What only the FoundationDB engine has: chunks, limits, time-outs, start errors. On a real server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from kms_actors.errors import StoreUnavailable, TransactionTooLarge
from kms_actors.store.api import Entry, Transaction
from kms_actors.store.foundationdb import engine as foundationdb
from kms_actors.store.foundationdb.engine import FoundationDbStore
from kms_actors.store.foundationdb.values import (
    CHUNK_BYTES,
    OWN,
)
from tests.store.access import clear, get, get_all, put
from tests.support.fdb_cluster import API_VERSION, absent, shared_cluster

if reason := absent():
    pytest.skip(reason, allow_module_level=True)

LENGTHS = [CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 2 * CHUNK_BYTES, 2 * CHUNK_BYTES + 1, 1_000_000]


@pytest.fixture
def cluster_file() -> Path:
    cluster = shared_cluster()
    cluster.clear()
    return cluster.cluster_file


@pytest_asyncio.fixture
async def store(cluster_file: Path) -> AsyncIterator[FoundationDbStore]:
    store = await FoundationDbStore.open(cluster_file, API_VERSION)
    yield store
    await store.close()


def long_value(length: int) -> bytes:
    return bytes(number * 7 % 251 for number in range(1000)) * (length // 1000) + b"x" * (length % 1000)


async def own_entries(store: FoundationDbStore) -> list[Entry]:
    """Return what the engine keeps for itself."""
    native = store._begin()
    try:
        return await native.get_range(OWN, b"\xff", limit=0, reverse=False)
    finally:
        native.destroy()


async def chunk_keys(store: FoundationDbStore) -> list[bytes]:
    return [key for key, _ in await own_entries(store) if b"chunk" in key]


@pytest.mark.parametrize("length", LENGTHS)
async def test_a_long_value_comes_back_whole(store: FoundationDbStore, length: int) -> None:
    value = long_value(length)
    await put(store, (b"a", b"1"), (b"key", value), (b"z", b"2"))
    assert await get(store, b"key") == value
    assert await get_all(store) == [(b"a", b"1"), (b"key", value), (b"z", b"2")]
    assert len(await chunk_keys(store)) == (-(-length // CHUNK_BYTES) if length > CHUNK_BYTES else 0)


async def test_a_long_value_counts_as_one_entry_of_a_range(store: FoundationDbStore) -> None:
    entries = [(b"%d" % number, long_value(250_000) if number % 2 else b"short") for number in range(6)]
    await put(store, *entries)
    assert await store.run(lambda tr: tr.get_range(b"", b"\xfe", limit=3)) == entries[:3]
    assert await store.run(lambda tr: tr.get_range(b"", b"\xfe", limit=3, reverse=True)) == entries[:2:-1]
    assert await store.run(lambda tr: tr.get_range(b"1", b"2")) == entries[1:2]


async def test_a_transaction_sees_the_long_value_it_has_written(store: FoundationDbStore) -> None:
    async def body(transaction: Transaction) -> list[bytes | None]:
        transaction.set(b"key", long_value(200_000))
        seen = [await transaction.get(b"key")]
        transaction.set(b"key", b"short")
        return [*seen, await transaction.get(b"key")]

    assert await store.run(body) == [long_value(200_000), b"short"]


async def test_nothing_of_a_long_value_stays(store: FoundationDbStore) -> None:
    for key in (b"overwritten", b"cleared", b"in a range", b"in a range\0"):
        await put(store, (key, long_value(300_000)))
    await put(store, (b"overwritten", b"short"))
    assert await get(store, b"overwritten") == b"short"
    await clear(store, b"cleared")

    async def clear_range(transaction: Transaction) -> None:
        transaction.clear_range(b"in", b"in a range\0")

    await store.run(clear_range)
    assert await get(store, b"in a range\0") == long_value(300_000)
    assert len(await chunk_keys(store)) == 4
    await clear(store, b"in a range\0")
    assert await chunk_keys(store) == []


async def test_a_watch_sees_a_long_value_of_the_same_length(store: FoundationDbStore) -> None:
    await put(store, (b"key", long_value(200_000)))
    watch = await store.watch(b"key")
    await put(store, (b"key", long_value(200_000)[:-1] + b"?"))
    await asyncio.wait_for(watch, 5)


async def test_a_key_or_a_transaction_beyond_the_limits_is_refused(store: FoundationDbStore) -> None:
    with pytest.raises(TransactionTooLarge):
        await put(store, (b"k" * 10_001, b""))
    with pytest.raises(TransactionTooLarge):
        await put(store, *((b"%d" % number, long_value(1_000_000)) for number in range(10)))
    assert await get_all(store) == []


async def test_the_value_of_a_versionstamped_key_is_limited(store: FoundationDbStore) -> None:
    async def body(transaction: Transaction) -> None:
        transaction.set_versionstamped(b"log", b"", bytes(CHUNK_BYTES + 1))

    with pytest.raises(TransactionTooLarge, match=str(CHUNK_BYTES)):
        await store.run(body)


async def test_a_watch_beyond_the_limit_is_refused(store: FoundationDbStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(foundationdb, "WATCHES", 3)
    watches = [await store.watch(b"%d" % number) for number in range(3)]
    with pytest.raises(StoreUnavailable, match="too many watches"):
        await store.watch(b"4")
    watches.pop().cancel()
    await asyncio.sleep(0)
    watches.append(await store.watch(b"4"))
    await put(store, *((b"%d" % number, b"") for number in (0, 1, 4)))
    await asyncio.wait_for(asyncio.gather(*watches), 5)


async def test_a_closed_store_leaves_no_operation_ids(cluster_file: Path) -> None:
    writing, looking = [await FoundationDbStore.open(cluster_file, API_VERSION) for _ in range(2)]
    await asyncio.gather(*(put(writing, (b"%d" % number, b"")) for number in range(20)))
    for _ in range(20):
        await put(writing, (b"again", b""))
    assert len(await own_entries(looking)) == 20
    await writing.close()
    assert await own_entries(looking) == []
    await looking.close()


async def test_the_database_may_be_empty_of_answers_when_it_is_opened(tmp_path: Path) -> None:
    cluster_file = tmp_path / "fdb.cluster"
    cluster_file.write_text("kms:tests@127.0.0.1:9")
    started = time.monotonic()
    with pytest.raises(StoreUnavailable, match=f"cluster file {cluster_file}: the store does not answer"):
        await FoundationDbStore.open(cluster_file, API_VERSION, timeout_seconds=0.5)
    assert time.monotonic() - started < 2


@pytest.mark.parametrize("text", ["", "no cluster", "kms:tests@nowhere", "kms:tests@127.0.0.1:0"])
async def test_a_cluster_file_without_sense_is_one_clear_line(tmp_path: Path, text: str) -> None:
    cluster_file = tmp_path / "fdb.cluster"
    cluster_file.write_text(text)
    with pytest.raises(StoreUnavailable, match=f"cluster file {cluster_file}: ") as raised:
        await FoundationDbStore.open(cluster_file, API_VERSION, timeout_seconds=0.5)
    assert "\n" not in str(raised.value)


async def test_a_missing_cluster_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match=f"cluster file {tmp_path}/none: No such file"):
        await FoundationDbStore.open(tmp_path / "none", API_VERSION)
    with pytest.raises(StoreUnavailable, match=f"cluster file {tmp_path}: Is a directory"):
        await FoundationDbStore.open(tmp_path, API_VERSION)


async def test_another_api_version_is_refused_in_one_line(cluster_file: Path) -> None:
    await (await FoundationDbStore.open(cluster_file, API_VERSION)).close()
    with pytest.raises(StoreUnavailable, match=r"FoundationDB API version 740: .*730"):
        await FoundationDbStore.open(cluster_file, 740)


def test_a_loop_that_is_closed_is_not_disturbed(cluster_file: Path, capfd: pytest.CaptureFixture[str]) -> None:
    async def leave_a_watch() -> None:
        store = await FoundationDbStore.open(cluster_file, API_VERSION)
        await store.watch(b"key")

    async def change() -> None:
        store = await FoundationDbStore.open(cluster_file, API_VERSION)
        await put(store, (b"key", b"changed"))
        await asyncio.sleep(0.1)
        await store.close()

    for work in (leave_a_watch, change):
        loop = asyncio.new_event_loop()
        loop.run_until_complete(work())
        loop.close()
    assert capfd.readouterr().err == ""


async def test_the_time_a_watch_takes_is_reported(
    store: FoundationDbStore, capsys: pytest.CaptureFixture[str]
) -> None:
    taken = []
    for number in range(100):
        watch = await store.watch(b"key")
        started = time.monotonic()
        await put(store, (b"key", b"%d" % number))
        await asyncio.wait_for(watch, 5)
        taken.append((time.monotonic() - started) * 1e3)
    taken.sort()
    with capsys.disabled():
        print(f"\nwatch after a put began: p50 {taken[50]:.1f} ms, p99 {taken[98]:.1f} ms")
