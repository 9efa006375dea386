"""Starting processes that use a store, and killing them."""

from __future__ import annotations

import asyncio
import random
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path

from tests.store.engines import Place

ROOT = Path(__file__).parents[2]
DEADLINE = 60.0


async def start(place: Place, task: str, number: int) -> Process:
    """Start a task of `tests.store.child`."""
    command = [sys.executable, "-m", "tests.store.child", place.engine, place.location, task, str(number)]
    return await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=PIPE)


async def write_until_killed(place: Place, first: int) -> set[int]:
    """Let a process write records from `first` on; return those it acknowledged before its sudden end."""
    process = await start(place, "write-forever", first)
    assert process.stdout is not None
    async with asyncio.timeout(DEADLINE):
        lines = [await process.stdout.readline()]
        await asyncio.sleep(random.uniform(0, 0.2))
        process.kill()
        lines += (await process.stdout.read()).splitlines(keepends=True)
        await process.wait()
    return {int(line) for line in lines if line.endswith(b"\n")}
