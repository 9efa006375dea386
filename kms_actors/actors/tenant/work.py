"""Where computing is done, so that nothing waits long for anything.

Short work is done within the actor's turn: handing it to a thread costs more than it takes. Long operations (RSA,
the larger curves, ML-DSA, large payloads) go to threads, where the library lets go of the interpreter. A batch of
many short ones is done slice by slice in a task, with other requests between: in a thread it would compete with the
event loop for the interpreter, which makes every step of the loop wait for a switch interval (5 ms).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Executor
from typing import Any, TypeVar

I = TypeVar("I")  # noqa: E741 - an item
T = TypeVar("T")

#: Told items and results of an operation, or slice by slice; always on the event loop.
Count = Callable[[Sequence[I], list[T]], None]

#: Bytes of input up to which work is done in a turn.
INLINE_BYTES = 64 * 1024
#: Microseconds of one operation from which it goes to a thread.
THREAD_US = 150
#: Microseconds that a slice of a batch may take, in turns and in threads.
SLICE_US = 500
THREAD_SLICE_US = 5_000


class Work:
    """Runs operations where they belong. Answers are results, or tasks of results."""

    def __init__(self, spawn: Callable[[Coroutine[Any, Any, Any]], asyncio.Task[Any]], threads: Executor) -> None:
        self._spawn = spawn
        self._threads = threads

    def once(self, size: int, operation: Callable[..., T], *arguments: Any) -> T | asyncio.Task[T]:
        """Run an operation whose input has `size` bytes."""
        if size <= INLINE_BYTES:
            return operation(*arguments)
        return self.apart(operation, *arguments)

    def each(
        self,
        operation: Callable[[Sequence[I]], list[T]],
        items: Sequence[I],
        *,
        microseconds: float,
        field: str,
        count: Count[I, T],
    ) -> list[T] | asyncio.Task[list[T]]:
        """Run an operation over items: about `microseconds` each, and their input is in `field`."""
        length = len(items)
        if (length > 1 and length > _slice_length(microseconds)) or _is_long(items, microseconds, field):
            return self._spawn(self._sliced(operation, items, microseconds, field, count))
        results = operation(items)
        count(items, results)
        return results

    def apart(self, operation: Callable[..., T], *arguments: Any) -> asyncio.Task[T]:
        """Run an operation in a thread, however short it may be."""
        return self._spawn(self.in_thread(operation, *arguments))

    async def in_thread(self, operation: Callable[..., T], *arguments: Any) -> T:
        """Run an operation in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, operation, *arguments)

    async def _sliced(
        self,
        operation: Callable[[Sequence[I]], list[T]],
        items: Sequence[I],
        us: float,
        field: str,
        count: Count[I, T],
    ) -> list[T]:
        results: list[T] = []
        length = _slice_length(us)
        for start in range(0, len(items), length):
            part = items[start : start + length]
            long = _is_long(part, us, field)
            made = await self.in_thread(operation, part) if long else operation(part)
            count(part, made)
            results += made
            if not long:
                await asyncio.sleep(0)
        return results


def _slice_length(microseconds: float) -> int:
    budget = SLICE_US if microseconds < THREAD_US else THREAD_SLICE_US
    return max(1, int(budget / microseconds))


def _is_long(items: Sequence[Any], microseconds: float, field: str) -> bool:
    if microseconds >= THREAD_US:
        return True
    if len(items) == 1:
        return len(getattr(items[0], field, b"")) > INLINE_BYTES
    return sum(len(getattr(item, field, b"")) for item in items) > INLINE_BYTES
