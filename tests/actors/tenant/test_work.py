"""Where computing is done: in the turn, slice by slice between turns, or in a thread.

The kind: one request held the loop, or the threads, for seconds. Its cost is counted in bytes as often as they are
worked on, bounded, cut into slices, and stopped once nobody waits or it may not go on.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from structlog.testing import capture_logs

from kms_actors.actors.tenant.context import TenantContext
from kms_actors.actors.tenant.work import (
    INLINE_BYTES,
    MOST_REPEATED,
    SLICE_US,
    THREAD_SLICE_BYTES,
    THREAD_SLICE_US,
    THREAD_US,
    TOGETHER,
    Work,
    slices,
)
from kms_actors.errors import InvalidRequest, Sealed
from kms_actors.keyring.keyring import Keyring
from kms_actors.runtime import AsyncioActor, RequestFailed, Threads, ask
from kms_actors.store.keyspace import TenantKeys
from kms_actors.transit.items import SignItem
from kms_http.api.transit.batch import Items

INLINE = int(SLICE_US / 2)


class Worker(AsyncioActor):
    """Hands each message its work."""

    def __init__(self, threads: Threads, proceed: Callable[[], None]) -> None:
        super().__init__()
        context: Any = dict.fromkeys(("store", "clock", "spawn_apart", "ask", "notify", "record"))
        own = threads.of("vault", self.wanted)
        self.work = Work(
            TenantContext(
                **context,
                vault_id="vault",
                keys=TenantKeys(1),
                keyring=Keyring.generate(0.0),
                spawn=self.spawn,
                threads=own,
                wanted=self.wanted,
                proceed=proceed,
            )
        )

    def on_receive(self, message: Callable[[Work], Any]) -> Any:
        return message(self.work)


@asynccontextmanager
async def worker(proceed: Callable[[], None] = lambda: None) -> AsyncIterator[Any]:
    threads = Threads()
    reference = Worker.start(threads, proceed)
    yield reference
    await reference.stop(block=False)
    threads.close()


class Operation:
    """Answers each item with the name of the thread it ran in, and notes the slices, and what is told of them."""

    def __init__(self, microseconds: float = 2, **cost: int) -> None:
        self.slices: list[int] = []
        self.counted: list[tuple[int, list[str]]] = []
        self.cost: dict[str, Any] = {"microseconds": microseconds, **cost}

    def count(self, items: Sequence[Any], results: list[str]) -> None:
        assert threading.current_thread() is threading.main_thread()
        self.counted.append((len(items), results))

    def __call__(self, items: Sequence[Any]) -> list[str]:
        self.slices.append(len(items))
        return [threading.current_thread().name.partition("_")[0] for _ in items]

    def over(self, items: Sequence[Any]) -> Callable[[Work], Any]:
        return lambda work: work.each(self, items, count=self.count, **self.cost)


async def test_short_work_is_done_at_once() -> None:
    async with worker() as reference:
        operation = Operation(THREAD_US - 1)
        answer = await ask(
            reference,
            lambda work: (work.each(operation, [SignItem(b"x")] * 3, count=operation.count, **operation.cost),),
        )
        assert answer == (["MainThread"] * 3,)
        assert operation.counted == [(3, ["MainThread"] * 3)]


@pytest.mark.parametrize(("size", "microseconds"), [(1, THREAD_US), (INLINE_BYTES + 1, 1)])
async def test_long_operations_go_to_a_thread(size: int, microseconds: int) -> None:
    async with worker() as reference:
        operation = Operation(microseconds)
        assert await ask(reference, operation.over([SignItem(bytes(size))])) == ["crypto"]
        assert operation.counted == [(1, ["crypto"])]
        thread = await ask(reference, lambda work: work.in_thread(threading.current_thread))
        assert thread.name.startswith("crypto_")
        thread = await ask(reference, lambda work: work.apart(threading.current_thread))
        assert thread.name.startswith("crypto-long_")


@pytest.mark.parametrize(
    ("microseconds", "length", "place"),
    [(2, SLICE_US // 2, "MainThread"), (100, SLICE_US // 100, "MainThread"), (250, THREAD_SLICE_US // 250, "crypto")],
)
async def test_batches_are_cut_so_that_no_slice_takes_long(microseconds: int, length: int, place: str) -> None:
    async with worker() as reference:
        operation = Operation(microseconds)
        answer = await ask(reference, operation.over([SignItem(b"x")] * (3 * length + 1)))
        assert answer == [place] * (3 * length + 1)
        assert operation.slices == [length, length, length, 1]
        assert operation.counted == [(size, [place] * size) for size in operation.slices]


async def test_few_batches_of_a_vault_are_under_way_at_a_time() -> None:
    length = 3 * SLICE_US // 100
    under_way: list[int] = []

    class Watched(Operation):
        def count(self, items: Sequence[Any], results: list[str]) -> None:
            super().count(items, results)
            under_way.append(sum(0 < sum(operation.slices) < length for operation in operations))

    operations = [Watched(100) for _ in range(3 * TOGETHER)]
    async with worker() as reference:
        asked = [ask(reference, operation.over([SignItem(b"x")] * length)) for operation in operations]
        assert [len(answer) for answer in await asyncio.gather(*asked)] == [length] * len(operations)
        assert max(under_way) == TOGETHER


async def test_batches_of_many_tasks_and_vaults_share_one_slice_a_pass_of_the_loop() -> None:
    async with worker() as reference:
        operation = Operation()
        answers = [
            asyncio.create_task(ask(reference, operation.over([SignItem(b"x")] * 10 * INLINE))) for _ in range(9)
        ]
        seen = [0]
        while not all(answer.done() for answer in answers):
            await asyncio.sleep(0)
            seen.append(len(operation.slices))
        assert seen[-1] == len(operation.slices) == 90
        assert max(after - before for before, after in itertools.pairwise(seen)) == 1


async def test_slices_are_shorter_while_others_ask_too() -> None:
    length = SLICE_US // 100
    async with worker() as reference:

        class Turning(Operation):
            """Others ask until five slices are done."""

            def count(self, items: Sequence[Any], results: list[str]) -> None:
                super().count(items, results)
                turns.crowded = len(self.slices) < 5

        turns = await ask(reference, lambda work: work._context.turns)
        turns.crowded = True
        operation = Turning(100)
        answer = await ask(reference, operation.over([SignItem(b"x")] * (3 * length)))
        assert len(answer) == 3 * length
        assert operation.slices == [2, 2, 1, 2, 2, 1, length]


def test_slices_are_cut_by_bytes_too_and_large_items_go_to_threads() -> None:
    small, large = SignItem(bytes(INLINE_BYTES // 4)), SignItem(bytes(INLINE_BYTES + 1))
    assert list(slices([small] * 9, 2)) == [(0, 4, False), (4, 8, False), (8, 9, False)]
    assert list(slices([small, large, small], 2)) == [(0, 1, False), (1, 2, True), (2, 3, False)]
    assert list(slices([large] * 40, THREAD_US)) == [
        (start, min(40, start + THREAD_SLICE_BYTES // large.size), True)
        for start in range(0, 40, THREAD_SLICE_BYTES // large.size)
    ]
    assert list(slices(range(9), 2, repeated=INLINE_BYTES // 3)) == [(0, 3, False), (3, 6, False), (6, 9, False)]
    assert list(slices(range(3), 2, repeated=INLINE_BYTES + 1)) == [(place, place + 1, True) for place in range(3)]
    assert list(slices([], 2)) == []
    assert list(slices([InvalidRequest("x")] * 3, 2)) == [(0, 3, False)]


def test_items_that_are_still_to_be_made_are_weighed_without_being_made() -> None:
    def never(*_: Any) -> SignItem:
        raise AssertionError("made")

    items = Items([{"input": "x" * (INLINE_BYTES + 1), "index": 3}, {"input": "x"}], never)
    assert list(slices(items, 2)) == [(0, 1, True), (1, 2, False)]


async def test_items_are_made_where_they_are_worked_on() -> None:
    made: list[str] = []

    def item(row: Any, _: int) -> SignItem:
        made.append(threading.current_thread().name.partition("_")[0])
        return SignItem(row["input"].encode())

    async with worker() as reference:
        rows = [{"input": "x" * (INLINE_BYTES + 1)}, {"input": "x"}]
        await ask(reference, Operation().over(Items(rows, item)))
    assert made == ["crypto", "MainThread"]


async def test_what_is_sent_once_and_used_many_times_is_bounded() -> None:
    async with worker() as reference:
        operation = Operation(repeated=MOST_REPEATED // 100)
        assert len(await ask(reference, operation.over(range(100)))) == 100
        with pytest.raises(InvalidRequest, match="asks for too much"):
            await ask(reference, operation.over(range(101)))


async def test_a_large_item_sends_its_slice_to_a_thread() -> None:
    async with worker() as reference:
        items = [SignItem(b"x")] * 500 + [SignItem(bytes(INLINE_BYTES + 1))]
        assert await ask(reference, Operation().over(items)) == ["MainThread"] * 500 + ["crypto"]


async def test_work_that_nobody_waits_for_any_more_is_not_gone_on_with() -> None:
    async with worker() as reference:
        for microseconds in (2, 250):
            operation = Operation(microseconds)
            caller = asyncio.create_task(ask(reference, operation.over([SignItem(b"x")] * 100_000)))
            while not operation.slices:  # noqa: ASYNC110 - nothing signals it
                await asyncio.sleep(0)
            caller.cancel()
            await asyncio.wait([caller])
            done = len(operation.slices)
            for _ in range(200):
                await asyncio.sleep(0)
            assert len(operation.slices) <= done + 1


async def test_work_goes_on_while_one_of_several_callers_waits() -> None:
    async with worker() as reference:
        operation = Operation()
        actor = reference._actor_weakref()
        task = actor.work.each(operation, [SignItem(b"x")] * 10_000, count=operation.count, **operation.cost)
        first, second = (asyncio.create_task(ask(reference, lambda _: task)) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        assert len(await second) == 10_000


async def test_it_is_asked_before_each_slice_whether_work_may_go_on() -> None:
    asked: list[None] = []

    def proceed() -> None:
        asked.append(None)
        if len(asked) > 3:
            raise Sealed

    async with worker(proceed) as reference:
        operation = Operation()
        with pytest.raises(Sealed):
            await ask(reference, operation.over([SignItem(b"x")] * 10 * INLINE))
        assert len(operation.slices) == 3
        asked.clear()
        with pytest.raises(Sealed):  # before the answer, too
            await ask(reference, operation.over([SignItem(b"x")] * 3 * INLINE))


@pytest.mark.parametrize("size", [1, 900])
@pytest.mark.parametrize("us", [2, 300])
async def test_what_is_wrong_with_the_whole_request_is_raised(size: int, us: int) -> None:
    def fails(_: Sequence[SignItem]) -> list[str]:
        raise InvalidRequest("soft-deleted")

    def counted(_: Sequence[SignItem], __: list[str]) -> None:
        raise AssertionError("nothing was done")

    async with worker() as reference:
        with pytest.raises(InvalidRequest, match="soft-deleted"):
            await ask(
                reference, lambda work: work.each(fails, [SignItem(b"x")] * size, microseconds=us, count=counted)
            )


class Panic(BaseException):
    """As native libraries raise."""


@pytest.mark.parametrize("size", [1, 900])
@pytest.mark.parametrize("us", [2, 300])
async def test_what_an_operation_raises_unforeseen_fails_its_request_alone(size: int, us: int) -> None:
    def fails(_: Sequence[SignItem]) -> list[str]:
        raise Panic("canary")

    async with worker() as reference:
        with capture_logs() as logs, pytest.raises(RequestFailed):
            await ask(reference, lambda work: work.each(fails, [SignItem(b"x")] * size, microseconds=us, count=print))
        assert [entry["event"] for entry in logs] == ["request failed in actor"]
        assert "canary" not in str(logs)
        assert reference.is_alive()


async def test_a_slice_whose_caller_left_while_it_waited_for_a_thread_is_dropped() -> None:
    gate = threading.Event()
    async with worker() as reference:
        blockers = [asyncio.create_task(ask(reference, lambda work: work.in_thread(gate.wait, 5))) for _ in range(2)]
        operation = Operation(250)
        caller = asyncio.create_task(ask(reference, operation.over([SignItem(b"x")])))
        for _ in range(5):
            await asyncio.sleep(0)
        caller.cancel()
        await asyncio.wait([caller])
        gate.set()
        assert await asyncio.gather(*blockers) == [True, True]
        assert operation.slices == []
