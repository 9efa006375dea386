"""A FoundationDB server that stands still or dies in the middle of work."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from kms_actors import request_context
from kms_actors.clock import elapsed
from kms_actors.errors import StoreUnavailable
from kms_actors.request_context import RequestContext
from kms_actors.store.api import Transaction
from kms_actors.store.foundationdb.attempts import SETTLE_SECONDS
from kms_actors.store.foundationdb.engine import FoundationDbStore
from tests.store.access import get, put
from tests.support.fdb_cluster import API_VERSION, FdbCluster, absent

if reason := absent():
    pytest.skip(reason, allow_module_level=True)

TIMEOUT = 1.0
#: A commit that timed out is settled in the same time once more; the rest is for a busy machine.
BOUND = 2 * TIMEOUT + 2
WRITERS = 8


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FdbCluster]:
    cluster = FdbCluster(tmp_path_factory.mktemp("fdb"))
    cluster.start()
    yield cluster
    cluster.kill()


@pytest_asyncio.fixture
async def store(cluster: FdbCluster) -> AsyncIterator[FoundationDbStore]:
    cluster.clear()
    store = await FoundationDbStore.open(cluster.cluster_file, API_VERSION, timeout_seconds=TIMEOUT)
    yield store
    await store.close()


class Ledger:
    """Writers that note what the store acknowledged, and of what it did not know the outcome."""

    def __init__(self, store: FoundationDbStore) -> None:
        self.acknowledged: set[int] = set()
        self.unknown: set[int] = set()
        self.longest = 0.0
        self._store = store
        self._next = 0
        self._writers = [asyncio.create_task(self._write()) for _ in range(WRITERS)]

    async def acknowledges(self, more: int) -> None:
        """Return once so many more writes are acknowledged."""
        goal = len(self.acknowledged) + more
        async with asyncio.timeout(60):
            while len(self.acknowledged) < goal:  # noqa: ASYNC110 -- simple, and near enough
                await asyncio.sleep(0.01)

    async def stop(self) -> None:
        """Wait for the writes under way."""
        self._next = -1
        await asyncio.gather(*self._writers)

    async def check(self) -> None:
        """Compare with what is stored: nothing acknowledged is missing, nothing is there twice or of nobody."""
        entries, count = await self._store.run(self._read)
        stored = {int(key.partition(b"/")[2]) for key, _ in entries}
        assert self.acknowledged <= stored <= self.acknowledged | self.unknown
        assert int.from_bytes(count or b"", "little") == len(stored)

    async def _write(self) -> None:
        while self._next >= 0:
            number, self._next = self._next, self._next + 1
            started = time.monotonic()

            async def body(transaction: Transaction, key: bytes = b"record/%09d" % number) -> None:
                transaction.set(key, b"x" * 100)
                transaction.add(b"count", 1)

            try:
                await self._store.run(body)
                self.acknowledged.add(number)
            except StoreUnavailable:
                self.unknown.add(number)
            self.longest = max(self.longest, time.monotonic() - started)

    @staticmethod
    async def _read(transaction: Transaction) -> tuple[list[tuple[bytes, bytes]], bytes | None]:
        return await transaction.get_range(b"record/", b"record0"), await transaction.get(b"count")


async def test_a_server_that_stands_still_ends_calls_in_bounded_time(
    store: FoundationDbStore, cluster: FdbCluster
) -> None:
    await put(store, (b"key", b"value"))
    cluster.pause()
    try:
        for work in (get(store, b"key"), put(store, (b"key", b"other")), store.watch(b"key")):
            started = time.monotonic()
            with pytest.raises(StoreUnavailable):
                await work
            assert time.monotonic() - started < BOUND
    finally:
        cluster.resume()
    await put(store, (b"key", b"after"))
    assert await get(store, b"key") == b"after"


async def test_a_request_ends_in_its_time_while_the_server_stands_still(cluster: FdbCluster) -> None:
    """Far within the time of an attempt, which is cut off at the request's end."""
    store = await FoundationDbStore.open(cluster.cluster_file, API_VERSION, timeout_seconds=30)
    begun = elapsed()
    left = 0.3

    async def of_request(work: Awaitable[object]) -> float:
        request_context.enter(RequestContext(begun + left))
        with pytest.raises(StoreUnavailable):
            await work
        return elapsed() - begun

    cluster.pause()
    try:
        # Tasks of their own: the request is theirs alone.
        took = await asyncio.gather(of_request(get(store, b"key")), of_request(put(store, (b"key", b"late"))))
    finally:
        cluster.resume()
        await asyncio.to_thread(cluster.wait_until_available)
    assert max(took) < left + SETTLE_SECONDS + BOUND
    await put(store, (b"key", b"after"))
    assert await get(store, b"key") == b"after"
    await store.close()


async def test_writes_go_on_after_a_standstill_and_none_is_lost_or_doubled(
    store: FoundationDbStore, cluster: FdbCluster
) -> None:
    ledger = Ledger(store)
    for seconds in (0.2, 1.5, 2.5):
        await ledger.acknowledges(50)
        cluster.pause()
        await asyncio.sleep(seconds)
        cluster.resume()
    await ledger.acknowledges(50)
    await ledger.stop()
    assert ledger.longest < BOUND
    await ledger.check()


async def test_a_killed_server_loses_nothing_acknowledged(store: FoundationDbStore, cluster: FdbCluster) -> None:
    ledger = Ledger(store)
    watch = await store.watch(b"count")
    for _ in range(2):
        await ledger.acknowledges(50)
        cluster.kill()
        await asyncio.to_thread(cluster.start)
    await ledger.acknowledges(50)
    await ledger.stop()
    assert watch.done()
    await ledger.check()


async def test_closing_while_the_server_stands_still_takes_bounded_time(cluster: FdbCluster) -> None:
    store = await FoundationDbStore.open(cluster.cluster_file, API_VERSION, timeout_seconds=TIMEOUT)
    watch = await store.watch(b"key")
    cluster.pause()
    try:
        writing = asyncio.create_task(put(store, (b"key", b"value")))
        await asyncio.sleep(0.05)
        started = time.monotonic()
        await store.close()
        assert time.monotonic() - started < BOUND + 1
        assert watch.done()
        with pytest.raises(StoreUnavailable):
            await writing
    finally:
        cluster.resume()
        await asyncio.to_thread(cluster.wait_until_available)


async def test_opening_while_the_server_stands_still_takes_bounded_time(cluster: FdbCluster) -> None:
    cluster.pause()
    try:
        with pytest.raises(StoreUnavailable, match="does not answer"):
            await FoundationDbStore.open(Path(cluster.cluster_file), API_VERSION, timeout_seconds=TIMEOUT)
    finally:
        cluster.resume()
        await asyncio.to_thread(cluster.wait_until_available)
