"""Turns on the event loop for long work that is cut into slices: one slice in a pass of the loop, owners in turn.

Were each such task to go on in every pass, a hundred of them would make a pass a hundred slices long, and all other
requests with it.
"""

from __future__ import annotations

import asyncio
from collections import deque


class Turns:
    """Used on one event loop, by all its tasks that work in slices."""

    def __init__(self) -> None:
        self._queues: dict[str, deque[asyncio.Future[None]]] = {}  # in the order of their turns
        self._loop: asyncio.AbstractEventLoop | None = None  # while anybody waits

    async def turn(self, owner: str) -> None:
        """Wait for a turn; what is done until the next wait should take half a millisecond."""
        loop = asyncio.get_running_loop()
        waiting: asyncio.Future[None] = loop.create_future()
        self._queues.setdefault(owner, deque()).append(waiting)
        if self._loop is not loop:
            self._loop = loop
            loop.call_soon(self._give)
        await waiting

    def _give(self) -> None:
        """Give the next turn, and come again in the next pass while anybody waits."""
        waiting = self._next()
        if waiting is None:
            self._loop = None
            return
        waiting.set_result(None)
        assert self._loop is not None
        self._loop.call_soon(self._give)

    def _next(self) -> asyncio.Future[None] | None:
        for owner in list(self._queues):
            queue = self._queues.pop(owner)
            while queue:
                waiting = queue.popleft()
                if not waiting.done():
                    if queue:
                        self._queues[owner] = queue
                    return waiting
        return None
