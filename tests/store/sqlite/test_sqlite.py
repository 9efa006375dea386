"""What only the SQLite engine does: its locks, its pool, its writer, its poller."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from kms_actors.errors import StoreError, StoreUnavailable
from kms_actors.store.api import Priority, Transaction
from kms_actors.store.sqlite import (
    pool as sqlite_pool,
)
from kms_actors.store.sqlite import (
    transaction as sqlite_transaction,
)
from kms_actors.store.sqlite import (
    watches as sqlite_watches,
)
from kms_actors.store.sqlite import (
    writer as sqlite_writer,
)
from kms_actors.store.sqlite.engine import SqliteStore
from kms_actors.store.sqlite.file import read_values
from tests.store.access import clear, get, get_all, put
from tests.store.model import INITIAL, STEPS, check_against_model
from tests.store.sqlite_files import locked, opened


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "kms.db"


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(initial=INITIAL, steps=STEPS)
async def test_ranges_read_in_small_pieces_behave_as_a_sorted_dict(
    path: Path, monkeypatch: pytest.MonkeyPatch, initial: dict[bytes, bytes], steps: list[tuple[Any, ...]]
) -> None:
    monkeypatch.setattr(sqlite_transaction, "CHUNK", 2)
    async with opened(path) as store:
        await check_against_model(store, initial, steps)


async def test_reads_do_not_wait_for_a_writer_of_another_process(path: Path) -> None:
    async with opened(path) as store:
        await put(store, (b"key", b"value"))
        with locked(path):
            assert await get(store, b"key") == b"value"


async def test_a_commit_gives_up_on_a_lock_and_writes_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_writer, "LOCK_SECONDS", 0.05)
    async with opened(path) as store:
        with locked(path):
            puts = [put(store, (b"%d" % number, b"")) for number in range(5)]
            outcomes = await asyncio.gather(*puts, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [StoreUnavailable] * 5
        assert await get_all(store) == []
        await put(store, (b"key", b"value"))


async def test_a_full_disk_fails_the_group_and_later_commits_work(path: Path) -> None:
    async with opened(path) as store:
        await put(store, (b"before", b""))
        connection = store._writer._connection
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}").fetchone()
        with pytest.raises(StoreUnavailable, match="SQLITE_FULL"):
            await put(store, (b"large", bytes(100_000)))
        connection.execute("PRAGMA max_page_count = 1000000").fetchone()
        await put(store, (b"after", b""))
        assert [key for key, _ in await get_all(store)] == [b"after", b"before"]


async def test_a_defect_in_one_commit_does_not_end_the_writer(path: Path) -> None:
    async def body(transaction: Transaction) -> None:
        transaction.set(b"key", "not bytes")  # type: ignore[arg-type]

    async with opened(path) as store:
        with pytest.raises(StoreError):
            await store.run(body)
        await put(store, (b"key", b"value"))
        assert await get_all(store) == [(b"key", b"value")]


async def test_a_conflict_fails_alone_in_its_group(path: Path) -> None:
    runs = dict.fromkeys((b"a", b"b", b"c"), 0)

    async with opened(path) as store:

        async def body(key: bytes, transaction: Transaction) -> None:
            runs[key] += 1
            seen = await transaction.get(b"shared" if key != b"c" else b"own")
            transaction.set(b"shared" if key != b"c" else b"own", (seen or b"") + key)

        with locked(path):
            calls = [asyncio.create_task(store.run(partial(body, key))) for key in runs]
            await asyncio.sleep(0.02)
        await asyncio.gather(*calls)
        assert await get(store, b"shared") == b"ab"
    assert runs == {b"a": 1, b"b": 2, b"c": 1}


async def test_more_readers_than_connections_wait_for_their_turn(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_pool, "CONNECTIONS", 2)

    async def body(transaction: Transaction) -> bytes | None:
        await transaction.get(b"key")
        await asyncio.sleep(0.001)
        return await transaction.get(b"key")

    async with opened(path) as store:
        await put(store, (b"key", b"value"))
        assert await asyncio.gather(*(store.run(body) for _ in range(20))) == [b"value"] * 20
        assert len(store._pool._idle) == 2


async def test_waiting_for_a_connection_ends(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_pool, "CONNECTIONS", 1)
    monkeypatch.setattr(sqlite_pool, "LOCK_SECONDS", 0.02)

    async with opened(path) as store:

        async def outer(transaction: Transaction) -> None:
            await transaction.get(b"key")
            await get(store, b"key")

        with pytest.raises(StoreUnavailable, match="too many transactions"):
            await store.run(outer)
        assert await get(store, b"key") is None


async def test_reads_issued_together_share_one_connection_after_a_wait(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_pool, "CONNECTIONS", 2)
    release = asyncio.Event()

    async def hold(transaction: Transaction) -> None:
        await transaction.get(b"key")
        await release.wait()

    async def read_two(transaction: Transaction) -> list[bytes | None]:
        return list(await asyncio.gather(transaction.get(b"a"), transaction.get(b"b")))

    async def leave_early(transaction: Transaction) -> asyncio.Task[bytes | None]:
        read = asyncio.create_task(_as_coroutine(transaction))
        await asyncio.sleep(0)
        return read

    async with opened(path) as store:
        await put(store, (b"a", b"1"), (b"b", b"2"))
        holders = [asyncio.create_task(store.run(hold)) for _ in range(2)]
        await asyncio.sleep(0.01)
        reader = asyncio.create_task(store.run(read_two))
        late = await store.run(leave_early)
        release.set()
        assert await reader == [b"1", b"2"]
        with pytest.raises(RuntimeError, match="ended"):
            await late
        await asyncio.gather(*holders)
        assert len(store._pool._idle) == store._pool._places._value == 2


async def _as_coroutine(transaction: Transaction) -> bytes | None:
    return await transaction.get(b"key")


WRITES: dict[str, Callable[[Transaction], None]] = {
    "set": lambda transaction: transaction.set(b"key", b"new"),
    "clear": lambda transaction: transaction.clear(b"key"),
    "clear_range": lambda transaction: transaction.clear_range(b"k", b"l"),
    "add": lambda transaction: transaction.add(b"key", 1),
}


@pytest.mark.parametrize("write", WRITES)
async def test_own_commits_complete_watches_without_the_poller(
    path: Path, monkeypatch: pytest.MonkeyPatch, write: str
) -> None:
    monkeypatch.setattr(sqlite_watches, "POLL_SECONDS", 60)

    async def body(transaction: Transaction) -> None:
        WRITES[write](transaction)

    async with opened(path) as store:
        await put(store, (b"key", b"old"))
        watch = await store.watch(b"key")
        await asyncio.sleep(0)
        await store.run(body)
        assert watch.done()


async def test_a_change_before_the_poller_has_started_is_noticed(path: Path) -> None:
    async with opened(path) as store:
        watch = await store.watch(b"key")
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("INSERT INTO kv VALUES (?, ?)", (b"key", b"value"))
        await asyncio.wait_for(watch, 5)


async def test_the_poller_rests_without_watches(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_watches, "POLL_SECONDS", 0.001)
    async with opened(path) as store:
        for _ in range(2):
            watch = await store.watch(b"key")
            assert store._watches._waiting
            await clear(store, b"key")
            await watch
            await asyncio.sleep(0.05)
            assert store._watches._poller is None
            assert not store._watches._waiting


def test_a_closed_loop_does_not_stop_the_writer(path: Path) -> None:
    loop = asyncio.new_event_loop()
    store = loop.run_until_complete(SqliteStore.open(path))
    with locked(path):
        call = loop.create_task(put(store, (b"key", b"value")))
        loop.run_until_complete(asyncio.sleep(0.01))
        call.cancel()
        loop.run_until_complete(asyncio.wait([call]))
        loop.close()
    store._writer._queue.put(None)
    store._writer._thread.join(5)
    assert not store._writer._thread.is_alive()
    store._pool.close()
    store._watches._connection.close()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT value FROM kv").fetchall() == [(b"value",)]


# Work that stands back.


async def _stamp(store: SqliteStore, name: bytes, priority: Priority) -> None:
    async def body(transaction: Transaction) -> None:
        transaction.set_versionstamped(b"order/", b"/" + name, b"")

    await store.run(body, priority=priority)


async def _order(store: SqliteStore) -> list[bytes]:
    return [key.rpartition(b"/")[2] for key, _ in await get_all(store)]


async def _queue_behind_a_lock(path: Path, store: SqliteStore, names: Sequence[tuple[bytes, Priority]]) -> None:
    """Have transactions wait for the writer together, in this order."""
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    first = asyncio.create_task(_stamp(store, b"first", Priority.REQUEST))
    await asyncio.sleep(0.02)  # it is in the writer's hands
    rest = [asyncio.create_task(_stamp(store, name, priority)) for name, priority in names]
    await asyncio.sleep(0.02)
    other.execute("COMMIT")
    other.close()
    await asyncio.gather(first, *rest)


async def test_requests_are_written_before_batch_work_that_came_first(path: Path) -> None:
    store = await SqliteStore.open(path)
    batch = [(b"batch%d" % number, Priority.BATCH) for number in range(3)]
    await _queue_behind_a_lock(path, store, [*batch, (b"request", Priority.REQUEST)])
    assert await _order(store) == [b"first", b"request", b"batch0", b"batch1", b"batch2"]
    await store.close()


async def test_batch_work_is_not_put_off_for_ever(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_writer, "PATIENCE_SECONDS", 0.0)
    store = await SqliteStore.open(path)
    await _queue_behind_a_lock(path, store, [(b"batch", Priority.BATCH), (b"request", Priority.REQUEST)])
    async with asyncio.timeout(5):
        done = asyncio.create_task(_stamp(store, b"late", Priority.BATCH))
        while not done.done():
            await _stamp(store, b"request", Priority.REQUEST)
    await store.close()


async def test_batch_work_leaves_connections_to_requests(path: Path) -> None:
    store = await SqliteStore.open(path)
    reading, go = asyncio.Semaphore(0), asyncio.Event()

    async def body(transaction: Transaction) -> None:
        await transaction.get(b"a")
        reading.release()
        await go.wait()

    batch = [asyncio.create_task(store.run(body, priority=Priority.BATCH)) for _ in range(sqlite_pool.CONNECTIONS)]
    for _ in range(sqlite_pool.BATCH_CONNECTIONS):
        await reading.acquire()
    assert reading.locked()
    assert await get(store, b"a") is None
    go.set()
    await asyncio.gather(*batch)
    await store.close()


async def test_what_is_queued_is_written_at_a_close_batch_work_too(path: Path) -> None:
    store = await SqliteStore.open(path)
    tasks = [asyncio.create_task(_stamp(store, b"b%d" % number, Priority.BATCH)) for number in range(5)]
    await asyncio.sleep(0)
    await store.close()
    await asyncio.gather(*tasks)
    again = await SqliteStore.open(path)
    assert len(await _order(again)) == 5
    await again.close()


async def test_what_was_asked_for_comes_with_the_next_statement(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    statements: list[int] = []
    inner = read_values

    def counted(connection: sqlite3.Connection, keys: Sequence[bytes]) -> Sequence[bytes | None]:
        statements.append(len(keys))
        return inner(connection, keys)

    monkeypatch.setattr(sqlite_transaction, "read_values", counted)
    keys = [b"%d" % number for number in range(16)]

    async def body(transaction: Transaction) -> list[bytes | None]:
        first, repeated = transaction.get_many(keys[:2]), transaction.get_many(keys[:1])
        transaction.set(b"1", b"written")
        alone = await transaction.get(b"2")
        assert statements == [3]  # one statement for all that was asked for
        both = [*await first, *await repeated]
        assert statements == [3]
        transaction.get_many(keys[3:])  # one more than fit beside the next
        last = await transaction.get(b"0"), await transaction.get(b"3")
        assert statements == [3, 12]
        return [alone, *both, *last, *await transaction.get_many(keys[15:])]

    async with opened(path) as store:
        await put(store, *((key, key) for key in keys))
        statements.clear()
        assert await store.run(body) == [b"2", b"0", b"written", b"0", b"0", b"3", b"15"]
        assert statements == [3, 12, 1]
