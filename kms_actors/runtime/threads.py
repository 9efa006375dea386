"""Threads for what would hold up the loop, shared fairly by those who ask for them.

Two lanes, so that nobody's RSA signature of a millisecond waits for somebody's RSA key of seconds. Within a lane each
owner, a vault, has a queue of its own, and the queues take turns; an owner has as many threads at once as the lane
allows one, and what it may have waiting is bounded. Work whose callers have gone is dropped when its turn comes.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final, NamedTuple, TypeVar

from kms_actors.errors import Overloaded, Unavailable
from kms_actors.request_context import computed

T = TypeVar("T")

#: Tells whether anybody still waits for what a task computes.
Wanted = Callable[["asyncio.Task[Any]"], bool]


def always(_: asyncio.Task[Any]) -> bool:
    """Go on whether or not anybody waits."""
    return True


class LaneSize(NamedTuple):
    """Threads of a lane, how many of them one owner has at most, and how many jobs of one owner may wait."""

    threads: int
    each: int
    waiting: int


#: For jobs of milliseconds: RSA and the larger curves, ML-DSA, payloads of megabytes, slices of batches.
SHORT: Final = LaneSize(threads=2, each=2, waiting=1024)
#: For jobs up to seconds: RSA keys made, or proved to be keys; whole keys exported. With two threads, of which one
#: owner has one, a second owner never waits for the first.
LONG: Final = LaneSize(threads=2, each=1, waiting=32)


class _Job(NamedTuple):
    compute: Callable[[], Any]
    answer: asyncio.Future[Any]
    wanted: Callable[[], bool]

    @property
    def dropped(self) -> bool:
        if not self.answer.done() and not self.wanted():
            self.answer.set_exception(Unavailable("nobody waits for this any more"))
        return self.answer.done()


class Lane:
    """Threads, and a queue for each owner that has jobs waiting. Used on one event loop."""

    def __init__(self, name: str, size: LaneSize) -> None:
        self._size: Final = size
        self._pool: Final = ThreadPoolExecutor(size.threads, thread_name_prefix=name)
        self._queues: dict[str, deque[_Job]] = {}  # in the order of their turns
        self._running: dict[str, int] = {}
        self._busy = 0

    @property
    def waiting(self) -> int:
        """How many jobs wait, of all owners."""
        return sum(map(len, self._queues.values()))

    async def run(self, owner: str, wanted: Callable[[], bool], compute: Callable[[], T]) -> T:
        """Return what `compute` does, in a thread.

        Raises:
            Overloaded: too many jobs of this owner wait.
            Unavailable: when its turn came, `wanted` was False.

        """
        queue = self._queues.setdefault(owner, deque())
        if len(queue) >= self._size.waiting:
            raise Overloaded("too many requests of this vault wait to be computed")
        job = _Job(compute, asyncio.get_running_loop().create_future(), wanted)
        queue.append(job)
        self._start()
        try:
            result: T = await job.answer
        finally:
            del job  # an error that comes this way knows these variables, and would hold itself
        return result

    def close(self) -> None:
        """End the threads, once what runs in them has ended."""
        self._pool.shutdown()

    def _start(self) -> None:
        while self._busy < self._size.threads and (found := self._next()) is not None:
            owner, job = found
            try:
                running = asyncio.get_running_loop().run_in_executor(self._pool, job.compute)
            except RuntimeError:  # the system starts no thread: nothing runs that would be counted
                job.answer.set_exception(Unavailable("no thread can be started, try again"))
                continue
            self._busy += 1
            self._running[owner] = self._running.get(owner, 0) + 1
            running.add_done_callback(partial(self._ended, owner, job.answer))

    def _next(self) -> tuple[str, _Job] | None:
        """Take the next job: of the owner whose turn it is, and who then is the last in line."""
        for owner, queue in list(self._queues.items()):
            if self._running.get(owner, 0) >= self._size.each:
                continue
            del self._queues[owner]
            while queue:
                job = queue.popleft()
                if job.dropped:
                    continue
                if queue:
                    self._queues[owner] = queue
                return owner, job
        return None

    def _ended(self, owner: str, answer: asyncio.Future[Any], running: asyncio.Future[Any]) -> None:
        self._busy -= 1
        self._running[owner] -= 1
        if not self._running[owner]:
            del self._running[owner]
        error = None if running.cancelled() else running.exception()
        if answer.done():
            pass
        elif running.cancelled():
            answer.cancel()
        elif error is not None:
            answer.set_exception(error)
        else:
            answer.set_result(running.result())
        self._start()


def proceed() -> None:
    """Go on in any case."""


class OwnThreads(NamedTuple):
    """The threads as one owner has them. `wanted` is asked of the task that waits, when its job would begin.

    `proceed` raises where nothing may be computed, nor any result leave, any more: it is asked before and after.
    """

    lanes: tuple[Lane, Lane]
    owner: str
    wanted: Wanted
    proceed: Callable[[], None]

    async def short(self, compute: Callable[..., T], *arguments: Any) -> T:
        """Compute for milliseconds; raises Overloaded."""
        return await self._run(self.lanes[0], partial(compute, *arguments))

    async def long(self, compute: Callable[..., T], *arguments: Any) -> T:
        """Compute for up to seconds; raises Overloaded."""
        return await self._run(self.lanes[1], partial(compute, *arguments))

    async def _run(self, lane: Lane, compute: Callable[[], T]) -> T:
        task = asyncio.current_task()
        assert task is not None
        wanted = partial(self.wanted, task)
        self.proceed()
        result = await computed(lane.run(self.owner, wanted, compute))
        self.proceed()
        return result


class Threads:
    """All threads that compute in a process."""

    def __init__(self, short: LaneSize = SHORT, long: LaneSize = LONG) -> None:
        self._lanes: Final = Lane("crypto", short), Lane("crypto-long", long)

    def of(self, owner: str, wanted: Wanted = always, proceed: Callable[[], None] = proceed) -> OwnThreads:
        """Return them for one owner."""
        return OwnThreads(self._lanes, owner, wanted, proceed)

    @property
    def waiting(self) -> int:
        """How many jobs wait."""
        return sum(lane.waiting for lane in self._lanes)

    def close(self) -> None:
        """End them, once what runs has ended."""
        for lane in self._lanes:
            lane.close()
