"""Virtual time, and processes that are killed or stand still in it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from tests.simulation.loop import Process, VirtualLoop


@pytest.fixture
def loop() -> Iterator[VirtualLoop]:
    loop = VirtualLoop(lambda: 0.5)
    yield loop
    loop.close()


def test_a_year_takes_no_time(loop: VirtualLoop) -> None:
    loop.run_until_complete(asyncio.wait_for(asyncio.sleep(365 * 86_400), None))
    assert loop.now == pytest.approx(365 * 86_400)


def test_waiting_for_nothing_is_told(loop: VirtualLoop) -> None:
    with pytest.raises(RuntimeError, match="wait for ever"):
        loop.run_until_complete(loop.create_future())


def test_a_thread_takes_virtual_time(loop: VirtualLoop) -> None:
    async def work() -> float:
        await asyncio.to_thread(sum, [1, 2])
        return loop.now

    assert 0 < loop.run_until_complete(work()) < 1


class Counting:
    """Counts seconds in a process."""

    def __init__(self, loop: VirtualLoop) -> None:
        self.moments: list[float] = []
        self.process = Process("counting")
        self._loop = loop
        self.task: Any = loop.create_task(self._count(), context=self.process.context)

    async def _count(self) -> None:
        while True:
            await asyncio.sleep(1)
            self.moments.append(round(self._loop.now, 6))


def test_a_killed_process_runs_no_more(loop: VirtualLoop) -> None:
    counting = Counting(loop)
    loop.run_until_complete(asyncio.sleep(3.5))
    counting.process.kill()
    loop.run_until_complete(asyncio.sleep(10))
    assert counting.moments == [1, 2, 3]
    assert not counting.task.done()
    counting.task._log_destroy_pending = False


def test_a_process_that_stood_still_goes_on_later(loop: VirtualLoop) -> None:
    counting = Counting(loop)
    loop.run_until_complete(asyncio.sleep(1.5))
    counting.process.stand_still(loop.now)
    loop.run_until_complete(asyncio.sleep(4))
    counting.process.go_on(loop.now)
    loop.run_until_complete(asyncio.sleep(1.2))
    assert counting.moments == [1, 5.5, 6.5]
    assert counting.process.stood == 4
    counting.process.kill()
    counting.task._log_destroy_pending = False
