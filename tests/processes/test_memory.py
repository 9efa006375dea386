"""Memory that is free in a process goes back to the system, once the process has worked."""

from __future__ import annotations

import asyncio
import threading

from kms_actors.processes.memory import WORKED_SECONDS, FreeMemory, give_back


class Process:
    def __init__(self) -> None:
        self.worked = 100.0
        self.asked = 0
        self.trimmed = threading.Event()

    def trim(self) -> None:
        self.asked += 1
        self.trimmed.set()


async def test_it_is_asked_for_once_the_process_has_worked() -> None:
    process = Process()
    memory = FreeMemory(lambda: None, 60, 60, lambda: process.worked, process.trim)
    assert not await memory.look()
    process.worked += WORKED_SECONDS
    assert await memory.look()
    assert not await memory.look()
    process.worked += WORKED_SECONDS / 2
    assert not await memory.look()
    process.worked += WORKED_SECONDS / 2
    assert await memory.look()
    assert process.asked == 2


async def test_it_looks_by_itself() -> None:
    process = Process()
    memory = FreeMemory(lambda: None, 60, 0.01, lambda: process.worked, process.trim)
    memory.start()
    process.worked += WORKED_SECONDS
    assert await asyncio.to_thread(process.trimmed.wait, 10)
    await memory.stop()


async def test_what_is_idle_is_forgotten_now_and_then() -> None:
    times: list[float] = []
    twice = asyncio.Event()

    def forget() -> None:
        times.append(asyncio.get_running_loop().time())
        if len(times) == 2:
            twice.set()

    memory = FreeMemory(forget, 0.05, 60, lambda: 0.0, lambda: None)
    memory.start()
    await asyncio.wait_for(twice.wait(), 10)
    await memory.stop()
    assert times[1] - times[0] >= 0.05


def test_the_library_takes_the_call() -> None:
    give_back()
