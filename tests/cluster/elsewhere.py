"""Waiting until a change on one node shows on the others."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

from tests.support.callers import Callers, Reply
from tests.support.node_cluster import SIZE

#: Seconds after which a change shows everywhere, whatever happens (the default of `tenants.lease_seconds`).
LEASE: Final = 2.0
#: For a request under way on a busy machine.
ALLOWANCE: Final = 2.0

Ask = Callable[[int], Awaitable[Reply]]


async def until(node: int, ask: Ask, shows: Callable[[Reply], bool]) -> float:
    """Ask a node until an answer shows the change; return seconds, at most LEASE and a little."""
    started = time.monotonic()
    while not shows(reply := await ask(node)):
        assert time.monotonic() - started < LEASE + ALLOWANCE, f"node {node} still answers {reply}"
        await asyncio.sleep(0.0005)
    return time.monotonic() - started


async def everywhere(ask: Ask, shows: Callable[[Reply], bool]) -> list[float]:
    """Ask all nodes until the change shows, and see that none of them forgets it; return seconds by node."""
    seconds = await asyncio.gather(*(until(node, ask, shows) for node in range(SIZE)))
    for node in range(SIZE):
        for _ in range(5):
            assert shows(await ask(node)), f"node {node} has forgotten the change"
    return seconds


def status(expected: int) -> Callable[[Reply], bool]:
    return lambda reply: reply.status == expected


def show(seconds: list[float]) -> str:
    return ", ".join(f"{1000 * s:.1f}" for s in seconds) + " ms"


async def warm(callers: Callers, path: str) -> None:
    """Let every node keep what it needs for `path`; it must be there."""
    for node in range(SIZE):
        for _ in range(3):
            assert (await callers.get(node, path)).status == 200
