"""The FoundationDB engine against the bare binding: `python -m tests.bench.store [CLUSTER-FILE]`.

Both do the same reads and writes of 100 bytes, 32 at a time, one transaction each. The bare binding is awaited
in the plainest way: one callback and one wake-up of the loop a future. CPU is that of this process, client
thread included.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import fdb
import uvloop

from kms_actors.store.api import Transaction
from kms_actors.store.foundationdb.engine import FoundationDbStore
from tests.store.access import put
from tests.support.fdb_cluster import API_VERSION, FdbCluster

IN_FLIGHT = 32
SECONDS = 4.0
KEYS = [b"bench/%06d" % number for number in range(10_000)]
VALUE = b"v" * 100

Work = Callable[[bytes], Awaitable[Any]]


class Bare:
    """The binding's own transactions, awaited."""

    def __init__(self, cluster_file: Path) -> None:
        self._database = fdb.open(str(cluster_file))
        self._loop = asyncio.get_running_loop()

    async def get(self, key: bytes) -> bytes | None:
        transaction = self._database.create_transaction()
        future = transaction.get(key)
        await self._ready(future)
        value: bytes | None = future.value
        return value

    async def put(self, key: bytes) -> None:
        transaction = self._database.create_transaction()
        transaction.set(key, VALUE)
        future = transaction.commit()
        await self._ready(future)
        future.wait()

    async def _ready(self, future: Any) -> None:
        waiting = self._loop.create_future()
        future.on_ready(lambda _: self._loop.call_soon_threadsafe(waiting.set_result, None))
        await waiting


class Engine:
    """The same on the store."""

    def __init__(self, store: FoundationDbStore) -> None:
        self._store = store

    async def get(self, key: bytes) -> bytes | None:
        return await self._store.run(lambda transaction: transaction.get(key))

    async def put(self, key: bytes) -> None:
        async def body(transaction: Transaction) -> None:
            transaction.set(key, VALUE)

        await self._store.run(body)


async def measure(work: Work) -> tuple[float, float]:
    """Return operations a second, and microseconds of CPU each."""
    count, end = 0, time.monotonic() + SECONDS

    async def client() -> None:
        nonlocal count
        while time.monotonic() < end:
            await work(random.choice(KEYS))
            count += 1

    started, cpu = time.monotonic(), time.process_time()
    await asyncio.gather(*(client() for _ in range(IN_FLIGHT)))
    return count / (time.monotonic() - started), (time.process_time() - cpu) / count * 1e6


async def watch_latency(store: FoundationDbStore, rounds: int = 300) -> list[float]:
    """Return milliseconds from before a put to the completion of a watch, in ascending order."""
    taken = []
    for number in range(rounds):
        watch = await store.watch(b"watched")
        started = time.monotonic()
        await put(store, (b"watched", b"%d" % number))
        await watch
        taken.append((time.monotonic() - started) * 1e3)
    return sorted(taken)


async def run(cluster_file: Path) -> None:
    store = await FoundationDbStore.open(cluster_file, API_VERSION)
    engine, bare = Engine(store), Bare(cluster_file)
    for key in KEYS:
        await engine.put(key) if key.endswith(b"0") else None
    for name in ("get", "put"):
        figures = {"bare binding": [], "engine": []}  # type: dict[str, list[tuple[float, float]]]
        for _ in range(3):
            figures["bare binding"].append(await measure(getattr(bare, name)))
            figures["engine"].append(await measure(getattr(engine, name)))
        rates = {which: statistics.median(rate for rate, _ in seen) for which, seen in figures.items()}
        costs = {which: statistics.median(cost for _, cost in seen) for which, seen in figures.items()}
        for which in figures:
            print(f"{name:4} {which:13} {rates[which]:8,.0f}/s  {costs[which]:6.1f} µs of CPU each")
        print(f"{name:4} engine / bare binding: {rates['engine'] / rates['bare binding']:.2f}")
    taken = await watch_latency(store)
    print(f"watch after a put began: p50 {taken[len(taken) // 2]:.1f} ms, p99 {taken[int(len(taken) * 0.99)]:.1f} ms")
    await store.close()


def main() -> None:
    if len(sys.argv) > 1:
        fdb.api_version(API_VERSION)
        uvloop.run(run(Path(sys.argv[1])))
        return
    with tempfile.TemporaryDirectory() as directory:
        cluster = FdbCluster(Path(directory))
        cluster.start()
        try:
            fdb.api_version(API_VERSION)
            uvloop.run(run(cluster.cluster_file))
        finally:
            cluster.kill()


if __name__ == "__main__":
    main()
