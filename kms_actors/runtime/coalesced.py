"""One piece of work that many ask for: one run is under way, one waits for all who have come since it began."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any


class Coalesced:
    """However many ask, there are two runs at most. `spawn` makes the task of a run."""

    def __init__(
        self,
        work: Callable[[], Coroutine[Any, Any, None]],
        spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
    ) -> None:
        self._work = work
        self._spawn = spawn
        self._running: asyncio.Future[None] | None = None
        self._waiting: asyncio.Future[None] | None = None

    def run(self) -> asyncio.Future[None]:
        """Return a future that ends as a run does that begins no earlier than now. It is for all: shield it."""
        if self._running is None:
            return self._begin(asyncio.get_running_loop().create_future())
        if self._waiting is None:
            self._waiting = asyncio.get_running_loop().create_future()
        return self._waiting

    def _begin(self, ended: asyncio.Future[None]) -> asyncio.Future[None]:
        self._running = ended
        ended.add_done_callback(_retrieve)
        self._spawn(self._work()).add_done_callback(self._end)
        return ended

    def _end(self, run: asyncio.Task[None]) -> None:
        ended, self._running = self._running, None
        waiting, self._waiting = self._waiting, None
        assert ended is not None
        if not ended.done():
            if run.cancelled():
                ended.cancel()
            elif (error := run.exception()) is not None:
                ended.set_exception(error)
            else:
                ended.set_result(None)
        if waiting is None:
            return
        if run.cancelled():
            waiting.cancel()
        else:
            self._begin(waiting)


def _retrieve(ended: asyncio.Future[None]) -> None:
    if not ended.cancelled():
        ended.exception()  # who asks may have gone
