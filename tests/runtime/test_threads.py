"""Threads, and turns on the loop, are shared fairly.

The kind: whoever asked first was served first, so one vault with twelve long jobs kept all others waiting for all of
them. Now each owner has a queue and the queues take turns; long and short jobs have threads of their own; what one
owner may have waiting is bounded; and a job whose caller has gone never begins.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from kms_actors.errors import Overloaded, Unavailable
from kms_actors.runtime import Threads, Turns
from kms_actors.runtime.threads import LONG, LaneSize


@pytest.fixture
async def threads() -> AsyncIterator[Threads]:
    threads = Threads(LaneSize(1, 1, 4), LaneSize(2, 1, 4))
    yield threads
    threads.close()


class Gate:
    """A job that holds its thread until it is let go."""

    def __init__(self) -> None:
        self.entered = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._open = threading.Event()

    def __call__(self) -> str:
        self._loop.call_soon_threadsafe(self.entered.set)
        self._open.wait(10)
        return "gate"

    def open(self) -> None:
        self._open.set()


def noting(order: list[str], name: str) -> Callable[[], str]:
    def job() -> str:
        order.append(name)
        return name

    return job


async def test_owners_take_turns_whoever_asked_first(threads: Threads) -> None:
    gate, order = Gate(), list[str]()
    one, other = threads.of("one"), threads.of("other")
    first = asyncio.create_task(one.short(gate))
    await gate.entered.wait()
    waiting = [asyncio.create_task(one.short(noting(order, f"one {n}"))) for n in range(3)]
    await asyncio.sleep(0)
    waiting += [asyncio.create_task(other.short(noting(order, f"other {n}"))) for n in range(2)]
    await asyncio.sleep(0)
    assert threads.waiting == 5
    gate.open()
    assert await first == "gate"
    await asyncio.gather(*waiting)
    assert order == ["one 0", "other 0", "one 1", "other 1", "one 2"]


async def test_one_owner_never_has_all_threads_for_long_jobs() -> None:
    threads = Threads()
    assert LONG.each < LONG.threads
    gate = Gate()
    one, other = threads.of("one"), threads.of("other")
    held = [asyncio.create_task(one.long(gate)) for _ in range(12)]
    await gate.entered.wait()
    async with asyncio.timeout(10):
        assert await other.long(lambda: "made") == "made"
        assert await one.short(lambda: "signed") == "signed"
    gate.open()
    assert await asyncio.gather(*held) == ["gate"] * 12
    threads.close()


async def test_what_one_owner_may_have_waiting_is_bounded(threads: Threads) -> None:
    gate = Gate()
    one = threads.of("one")
    held = [asyncio.create_task(one.long(gate)) for _ in range(5)]
    await gate.entered.wait()
    with pytest.raises(Overloaded) as refused:
        await one.long(lambda: None)
    assert refused.value.retry_after == 1
    assert await threads.of("other").long(lambda: "made") == "made"
    gate.open()
    await asyncio.gather(*held)


async def test_jobs_of_callers_who_left_never_begin(threads: Threads) -> None:
    gate, order, gone = Gate(), list[str](), set[Any]()
    one = threads.of("one", lambda task: task not in gone)
    held = asyncio.create_task(one.short(gate))
    await gate.entered.wait()
    cancelled, unwanted, wanted = (
        asyncio.create_task(one.short(noting(order, name))) for name in ("cancelled", "unwanted", "wanted")
    )
    await asyncio.sleep(0)
    cancelled.cancel()
    gone.add(unwanted)
    gate.open()
    assert await wanted == "wanted"
    assert order == ["wanted"]
    with pytest.raises(Unavailable):
        await unwanted
    await held


async def test_errors_of_jobs_are_raised_and_the_next_one_begins(threads: Threads) -> None:
    one = threads.of("one")
    with pytest.raises(KeyError, match="x"):
        await one.short({}.__getitem__, "x")
    assert await one.short(lambda: 1) == 1


async def test_a_thread_that_the_system_does_not_start_takes_no_place_of_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    threads = Threads(LaneSize(1, 1, 10), LaneSize(1, 1, 10))

    def none_left(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", none_left)
        for _ in range(3):
            with pytest.raises(Unavailable, match="no thread can be started"):
                await threads.of("a").short(lambda: 1)
    assert await asyncio.wait_for(threads.of("b").short(lambda: 2), 30) == 2
    threads.close()


async def test_turns_on_the_loop_are_one_a_pass_and_owners_take_them_in_turn() -> None:
    turns, order = Turns(), list[str]()

    async def work(owner: str) -> None:
        for _ in range(3):
            await turns.turn(owner)
            order.append(owner)

    tasks = [asyncio.create_task(work("one")) for _ in range(5)]
    await asyncio.sleep(0)
    tasks.append(asyncio.create_task(work("other")))
    passes = 0
    while not all(task.done() for task in tasks):
        before = len(order)
        await asyncio.sleep(0)
        assert len(order) - before <= 1
        passes += 1
    assert passes < 60
    assert order.index("other") <= 2
    assert [place for place, owner in enumerate(order) if owner == "other"][-1] <= 8


async def test_a_turn_of_who_has_left_is_given_to_the_next() -> None:
    turns = Turns()
    first = asyncio.create_task(turns.turn("one"))
    second = asyncio.create_task(turns.turn("one"))
    await asyncio.sleep(0)
    first.cancel()
    async with asyncio.timeout(5):
        await second
        await turns.turn("one")


async def test_what_is_called_for_takes_a_turn_as_slices_do() -> None:
    turns, order, loop = Turns(), list[str](), asyncio.get_running_loop()
    for _ in range(3):
        turns.call("one", lambda: order.append("one"), loop)

    async def work() -> None:
        await turns.turn("other")
        order.append("other")

    task = asyncio.create_task(work())
    while turns.waiting or not task.done():
        before = len(order)
        await asyncio.sleep(0)
        assert len(order) - before <= 1
    await asyncio.sleep(0)
    assert sorted(order) == ["one", "one", "one", "other"]
    assert order.index("other") <= 2


async def test_no_turn_is_given_for_a_while_as_long_as_somebody_is_to_be_done_first() -> None:
    turns, order, under_way = Turns(), list[str](), [True]
    turns.call("one", lambda: order.append("one"), asyncio.get_running_loop())
    turns.let_go_first(lambda: under_way[0])
    for _ in range(4):
        await asyncio.sleep(0)
    assert order == []
    under_way[0] = False
    for _ in range(2):
        await asyncio.sleep(0)
    assert order == ["one"]
    # But not for as long as that takes: it may wait for something else.
    under_way[0] = True
    turns.call("one", lambda: order.append("again"), asyncio.get_running_loop())
    turns.let_go_first(lambda: under_way[0])
    async with asyncio.timeout(5):
        while order[-1] != "again":  # noqa: ASYNC110
            await asyncio.sleep(0)


async def test_no_turn_is_given_while_what_was_done_last_has_more_to_do() -> None:
    turns, order, loop = Turns(), list[str](), asyncio.get_running_loop()

    def one() -> None:
        order.append("one")
        turns.rest(4)

    turns.call("one", one, loop)
    turns.call("one", lambda: order.append("two"), loop)
    while "one" not in order:  # noqa: ASYNC110
        await asyncio.sleep(0)
    for _ in range(3):
        assert order == ["one"]
        await asyncio.sleep(0)
    async with asyncio.timeout(5):
        while "two" not in order:  # noqa: ASYNC110
            await asyncio.sleep(0)
