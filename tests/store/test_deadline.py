"""A request's time ends its transactions, however many attempts, runs and unknown outcomes they have.

The kind: a time-out of each attempt, where nothing bounds their number. The end is set once, where the request has
arrived, and every run of a store asks for it; what has waited past it is not applied any more.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from kms_actors import request_context
from kms_actors.clock import elapsed
from kms_actors.errors import DeadlinePassed, StoreError, StoreUnavailable, TransactionConflict
from kms_actors.request_context import REQUEST_SECONDS, RequestContext
from kms_actors.store.api import Store, Transaction
from kms_actors.store.sqlite.engine import SqliteStore
from tests.faults.shim import Fate, Faults, FaultyStore
from tests.store.access import get, put

#: Seconds by which a clock may be read late on a busy machine.
LATE = 0.2


@pytest.fixture
def request_of() -> Iterator[Callable[[float], float]]:
    """Give the test's task a request that ends in so many seconds."""

    def enter(seconds: float) -> float:
        ends = elapsed() + seconds
        request_context.enter(RequestContext(ends))
        return ends

    yield enter
    request_context.enter(RequestContext())


def writing(key: bytes) -> Callable[[Transaction], Awaitable[None]]:
    async def body(transaction: Transaction) -> None:
        transaction.set(key, b"x")

    return body


async def test_nothing_is_begun_after_the_end(store: Store, request_of: Callable[[float], float]) -> None:
    request_of(-0.001)
    runs = 0

    async def body(transaction: Transaction) -> None:
        nonlocal runs
        runs += 1
        transaction.set(b"key", b"x")

    with pytest.raises(DeadlinePassed):
        await store.run(body)
    request_of(60)
    assert runs == 0
    assert await get(store, b"key") is None


async def test_conflicts_without_end_end_with_the_request(store: Store, request_of: Callable[[float], float]) -> None:
    ends = request_of(0.3)
    begun: list[float] = []

    async def body(transaction: Transaction) -> None:
        begun.append(elapsed())
        await transaction.get(b"key")
        await put(store, (b"key", b"%d" % len(begun)))
        transaction.set(b"key", b"mine")

    with pytest.raises(StoreError) as refused:
        await store.run(body)
    assert isinstance(refused.value, TransactionConflict | DeadlinePassed)
    assert max(begun) <= ends + LATE


async def test_the_end_holds_over_all_transactions_of_a_request(
    store: Store, request_of: Callable[[float], float]
) -> None:
    request_of(0.1)
    await store.run(writing(b"first"))
    await asyncio.sleep(0.15)
    with pytest.raises(DeadlinePassed):
        await store.run(writing(b"second"))


async def test_unknown_outcomes_without_end_end_with_the_request(
    tmp_path: Path, request_of: Callable[[float], float]
) -> None:
    """Drawn: every commit times out and is not applied, and every settling finds that out: again and again."""
    sqlite = await SqliteStore.open(tmp_path / "kms.db")
    faults = Faults(script=[Fate.TIMED_OUT_NOT_APPLIED, None] * 100_000)
    ends = request_of(0.3)
    with pytest.raises(StoreUnavailable):
        await FaultyStore(sqlite, faults).run(writing(b"key"))
    assert elapsed() <= ends + REQUEST_SECONDS
    request_of(60)
    await faults.arrive()
    assert await get(sqlite, b"key") is None
    await sqlite.close()


async def test_a_commit_that_waited_past_the_end_is_not_applied(
    tmp_path: Path, request_of: Callable[[float], float]
) -> None:
    """Drawn: another process holds the file's lock until the caller has long been told that it is over."""
    path = tmp_path / "kms.db"
    sqlite = await SqliteStore.open(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        request_of(0.1)
        with pytest.raises(DeadlinePassed):
            await sqlite.run(writing(b"late"))
        other.execute("ROLLBACK")
    request_of(60)
    await sqlite.run(writing(b"after"))
    assert await get(sqlite, b"late") is None
    assert await get(sqlite, b"after") == b"x"
    await sqlite.close()


async def test_what_is_computed_does_not_count(store: Store, request_of: Callable[[float], float]) -> None:
    request_of(0.1)
    await request_context.computed(asyncio.sleep(0.15))
    await store.run(writing(b"key"))
    assert await get(store, b"key") == b"x"


async def test_work_apart_outlives_the_request(store: Store, request_of: Callable[[float], float]) -> None:
    request_of(-1)
    await asyncio.create_task(store.run(writing(b"key")), context=request_context.apart())
    request_of(60)
    assert await get(store, b"key") == b"x"
