"""Turns on the event loop for long work that is cut into slices: one slice in a pass of the loop, owners in turn.

Were each such task to go on in every pass, a hundred of them would make a pass a hundred slices long, and all other
requests with it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

#: Passes for which no turns are given while somebody is waited for.
_PASSES: Final = 10

_Waiting = asyncio.Future[None] | Callable[[], None]


class Turns:
    """Used on one event loop, by all its tasks that work in slices.

    While others ask beside those who keep the loop busy, it is `crowded`: slices are to be shorter then.
    """

    def __init__(self) -> None:
        self._queues: dict[str, deque[_Waiting]] = {}  # in the order of their turns
        self._loop: asyncio.AbstractEventLoop | None = None  # while anybody waits
        self._first: Callable[[], bool] | None = None  # tells whether somebody is under way who is to be done first
        self._passes = 0  # for which that is looked at
        self.crowded = False

    @property
    def waiting(self) -> bool:
        """True while anybody waits for a turn."""
        return bool(self._queues)

    async def turn(self, owner: str) -> None:
        """Wait for a turn; what is done until the next wait should take half a millisecond."""
        loop = asyncio.get_running_loop()
        waiting: asyncio.Future[None] = loop.create_future()
        self._wait(owner, waiting, loop)
        await waiting

    def call(self, owner: str, then: Callable[[], None], loop: asyncio.AbstractEventLoop) -> None:
        """Have a turn taken by calling `then`."""
        self._wait(owner, then, loop)

    def let_go_first(self, under_way: Callable[[], bool]) -> None:
        """Give no turns while this is true, for a few passes: what is under way waits for some of them."""
        self._first, self._passes = under_way, _PASSES

    def rest(self, passes: int) -> None:
        """Give no turns for so many passes: what was just done has more to do in them."""
        if self._first is None:
            self._first, self._passes = _always, passes

    def _wait(self, owner: str, waiting: _Waiting, loop: asyncio.AbstractEventLoop) -> None:
        self._queues.setdefault(owner, deque()).append(waiting)
        if self._loop is not loop:
            self._loop = loop
            loop.call_soon(self._give)

    def _give(self) -> None:
        """Give the next turn, and come again in the next pass while anybody waits."""
        loop = self._loop
        assert loop is not None
        if self._first is not None:
            self._passes -= 1
            if self._passes and self._first():
                loop.call_soon(self._give)
                return
            self._first = None
        waiting = self._next()
        if waiting is None:
            self._loop = None
            return
        if isinstance(waiting, asyncio.Future):
            waiting.set_result(None)  # its task goes on in the next pass
        else:
            loop.call_soon(waiting)
        loop.call_soon(self._give)

    def _next(self) -> _Waiting | None:
        for owner in list(self._queues):
            queue = self._queues.pop(owner)
            while queue:
                waiting = queue.popleft()
                if not (isinstance(waiting, asyncio.Future) and waiting.done()):
                    if queue:
                        self._queues[owner] = queue
                    return waiting
        return None


def _always() -> bool:
    return True
