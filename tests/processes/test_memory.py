"""Memory that is free in a process goes back to the system, once there is enough of it."""

from __future__ import annotations

import asyncio
import sys
import threading

import pytest

from kms_actors.processes.memory import GROWTH, FreeMemory, give_back, resident


class Process:
    def __init__(self) -> None:
        self.held = 100 << 20
        self.free = 0
        self.asked = 0
        self.trimmed = threading.Event()

    def trim(self) -> None:
        self.asked += 1
        self.held, self.free = self.held - self.free, 0
        self.trimmed.set()


async def test_it_is_asked_for_once_the_process_has_grown() -> None:
    process = Process()
    memory = FreeMemory(60, lambda: process.held, process.trim)
    memory.start()
    process.held += GROWTH - 1
    assert not await memory.look()
    process.held += 1
    process.free = GROWTH
    assert await memory.look()
    assert process.held == 100 << 20
    assert not await memory.look()
    assert process.asked == 1
    await memory.stop()


async def test_growth_that_stays_is_asked_for_once() -> None:
    process = Process()
    memory = FreeMemory(60, lambda: process.held, process.trim)
    memory.start()
    process.held += GROWTH
    assert [await memory.look() for _ in range(3)] == [True, False, False]
    process.held -= GROWTH
    assert not await memory.look()
    process.held += GROWTH
    assert await memory.look()
    await memory.stop()


async def test_it_looks_by_itself() -> None:
    process = Process()
    memory = FreeMemory(0.01, lambda: process.held, process.trim)
    memory.start()
    process.held += GROWTH
    assert await asyncio.to_thread(process.trimmed.wait, 10)
    await memory.stop()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_system_tells_and_the_library_takes_the_call() -> None:
    assert resident() > 1 << 20
    give_back()
