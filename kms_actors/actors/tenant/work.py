"""Where computing is done, so that no request holds the loop: its cost is counted, and cut into slices.

The cost of a request is what its operations take, and all the bytes they work on, as often as they do. A short one is
done within the actor's turn: handing it to a thread costs more than it takes. All else is done slice by slice in a
task: slices of many short operations on the loop, one in a pass of the loop and each vault in turn, since in a thread
they would compete with the loop for the interpreter; slices of long operations (RSA, the larger curves, ML-DSA, large
payloads) in threads, where the library lets go of the interpreter. Before each slice it is asked whether the work is
still wanted by anybody, and may go on.

Operations are pure and their errors say nothing of an actor's state, so an unexpected one fails the request alone,
also where it is raised within a turn.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import nullcontext
from typing import Any, Final, NamedTuple, TypeVar

from kms_actors.actors.tenant.context import TenantContext
from kms_actors.errors import InvalidRequest, KmsError, Unavailable, UnknownVersion
from kms_actors.runtime import RequestFailed, log_failure
from kms_actors.transit.items import Small, bare

I = TypeVar("I")  # noqa: E741 - an item
T = TypeVar("T")

#: Told items and results of an operation, or slice by slice; always on the event loop.
Count = Callable[[Sequence[I], list[T]], None]

#: Given results some of which are an UnknownVersion, or the one that is all there is; returns what answers instead.
Again = Callable[[Any], asyncio.Task[Any]]

#: Bytes of input up to which work is done in a turn, or in a slice on the loop.
INLINE_BYTES: Final = 64 * 1024
#: Microseconds of one operation from which it goes to a thread.
THREAD_US: Final = 150
#: Microseconds that a slice of a batch may take, on the loop and in threads; and bytes, in threads.
SLICE_US: Final = 500
THREAD_SLICE_US: Final = 5_000
THREAD_SLICE_BYTES: Final = 1024 * 1024
#: Parts that a slice on the loop is cut into where others ask beside those who keep the loop busy.
CROWDED_PARTS: Final = 3
#: Passes from there to the answer of a batch, which is a step of its own.
ANSWER_PASSES: Final = 4
#: Batches of a vault whose slices are done in turn. Others wait: each under way keeps the results it has so far, and
#: a hundred at a time would need all their memory at once, to end no sooner.
TOGETHER: Final = 2
#: Bytes that one request may have worked on which it sent once and uses many times.
MOST_REPEATED: Final = 64 << 20


class Slice(NamedTuple):
    """A range of items, and whether it is done in a thread."""

    start: int
    end: int
    in_thread: bool


class Work:
    """Runs operations where they belong. Answers are results, or tasks of results."""

    def __init__(self, context: TenantContext) -> None:
        self._context = context
        self._places = asyncio.Semaphore(TOGETHER)

    def each(
        self,
        operation: Callable[[Sequence[I]], list[T]],
        items: Sequence[I],
        *,
        microseconds: float,
        count: Count[I, T],
        repeated: int = 0,
        again: Again | None = None,
        into: Callable[[], Any] = list,
    ) -> Any:
        """Run an operation over items: about `microseconds` each; `repeated` bytes are worked on with each of them.

        The results of each slice are added to what `into` makes, and that is what is answered. Where `again` is
        given, and a version is unknown to the operation or in some result, it says what is answered.

        Raises:
            InvalidRequest: the repeated bytes are too many in all.

        """
        if repeated and repeated * len(items) > MOST_REPEATED:
            raise InvalidRequest(
                "the request asks for too much: the number of keys times the bytes of context, associated_data, salt "
                f"and info must be at most {MOST_REPEATED}"
            )
        if microseconds >= THREAD_US or not _is_short(items, microseconds, repeated):
            working = self._sliced(operation, items, microseconds, count, repeated, into=into)
            return self._spawn(_or_again(working, again))
        try:
            results = self._contained(operation, items)
        except UnknownVersion as error:
            if again is None:
                raise
            return again(bare(error))
        count(items, results)
        if into is not list:
            gathered = into()
            gathered += results
            return gathered
        return _checked(results, again)

    def in_thread(self, operation: Callable[..., T], *arguments: Any, again: Again | None = None) -> asyncio.Task[T]:
        """Run an operation of milliseconds in a thread."""
        return self._spawn(_or_again(self._context.threads.short(operation, *arguments), again))

    def apart(self, operation: Callable[..., T], *arguments: Any, again: Again | None = None) -> asyncio.Task[T]:
        """Run an operation that may take seconds in a thread."""
        return self._spawn(_or_again(self._context.threads.long(operation, *arguments), again))

    def _spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        return self._context.spawn(work)

    def _contained(self, operation: Callable[[Sequence[I]], list[T]], items: Sequence[I]) -> list[T]:
        try:
            return operation(items)
        except (KmsError, KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # noqa: BLE001 - panics of native libraries are no Exceptions
            log_failure(self._context.vault_id, error, "request failed in actor")
            raise RequestFailed from None

    async def _sliced(
        self,
        operation: Callable[[Sequence[I]], list[T]],
        items: Sequence[I],
        us: float,
        count: Count[I, T],
        repeated: int,
        *,
        into: Callable[[], Any],
    ) -> Any:
        context, own = self._context, asyncio.current_task()
        assert own is not None

        def part(begin: int, end: int) -> tuple[Sequence[I], list[T]]:
            some = items[begin:end]  # in the thread, too: items may be made of what was sent when they are asked for
            return some, operation(some)

        results = into()
        async with self._places if len(items) > 1 else nullcontext():
            for begin, end, in_thread in self._parts(slices(items, us, repeated)):
                if not in_thread:
                    await context.turns.turn(context.vault_id)
                if not context.wanted(own):
                    raise Unavailable("nobody waits for this any more")
                context.proceed()
                done, made = await context.threads.short(part, begin, end) if in_thread else part(begin, end)
                count(done, made)
                results += made
            if context.turns.crowded:
                context.turns.rest(ANSWER_PASSES)
        context.proceed()
        return results

    def _parts(self, whole: Iterator[Slice]) -> Iterator[Slice]:
        """Yield slices, those on the loop in parts for as long as others ask, too."""
        for each in whole:
            left, most = each, -(-(each.end - each.start) // CROWDED_PARTS)
            while self._context.turns.crowded and not each.in_thread and left.end - left.start > most:
                yield left._replace(end=left.start + most)
                left = left._replace(start=left.start + most)
            yield left


async def _or_again(working: Coroutine[Any, Any, T], again: Again | None) -> Any:
    """Return the results, or a task that answers in their place."""
    try:
        results = await working
    except UnknownVersion as error:
        if again is None:
            raise
        return again(bare(error))
    return _checked(results, again)


def _checked(results: T, again: Again | None) -> Any:
    if again is not None and results.__class__ is list and UnknownVersion in map(type, results):  # type: ignore[call-overload]
        return again(results)
    return results


def slices(items: Sequence[Any], microseconds: float, repeated: int = 0) -> Iterator[Slice]:
    """Cut items so that no slice takes long: by time, and by bytes.

    An item of more than `INLINE_BYTES` is a slice of its own, in a thread.
    """
    in_thread = microseconds >= THREAD_US
    budget, most = (THREAD_SLICE_US, THREAD_SLICE_BYTES) if in_thread else (SLICE_US, INLINE_BYTES)
    length = max(1, int(budget / microseconds))
    weigh = _weigher(items)
    start, size = 0, 0
    for place in range(len(items)):
        own = repeated + weigh(place)
        if place > start and (place - start == length or size + own > most):
            yield Slice(start, place, in_thread or size > INLINE_BYTES)
            start, size = place, 0
        size += own
    if len(items) > start:
        yield Slice(start, len(items), in_thread or size > INLINE_BYTES)


def _weigher(items: Sequence[Any]) -> Callable[[int], int]:
    """Return what tells the bytes of an item by its place."""
    weigh: Callable[[int], int] | None = getattr(items, "weigh", None)
    if weigh is not None:
        return weigh
    return lambda place: getattr(items[place], "size", 0)


def _is_short(items: Sequence[Any], microseconds: float, repeated: int) -> bool:
    if len(items) > 1 and len(items) * microseconds > SLICE_US:
        return False
    if items.__class__ is Small and not repeated:
        return True
    weigh = getattr(items, "weigh", None)
    if weigh is not None:
        size = sum(map(weigh, range(len(items))))
    else:
        size = sum([getattr(item, "size", 0) for item in items])
    return bool(size + repeated * len(items) <= INLINE_BYTES)
