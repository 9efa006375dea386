"""Where computing is done: in the turn, slice by slice between turns, or in a thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from kms_actors.actors.tenant.work import (
    INLINE_BYTES,
    SLICE_US,
    THREAD_SLICE_US,
    THREAD_US,
    Work,
)
from kms_actors.transit.items import SignItem


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2, thread_name_prefix="crypto") as executor:
        yield executor


class Operation:
    """Answers each item with the name of the thread it ran in, and notes the slices, and what is told of them."""

    def __init__(self) -> None:
        self.slices: list[int] = []
        self.counted: list[tuple[int, list[str]]] = []

    def count(self, items: Sequence[SignItem], results: list[str]) -> None:
        assert threading.current_thread() is threading.main_thread()
        self.counted.append((len(items), results))

    def __call__(self, items: Sequence[SignItem]) -> list[str]:
        self.slices.append(len(items))
        return [threading.current_thread().name.partition("_")[0] for _ in items]


async def test_short_work_is_done_at_once(threads: ThreadPoolExecutor) -> None:
    operation, work = Operation(), Work(asyncio.create_task, threads)
    answer = work.each(
        operation, [SignItem(b"x")] * 3, microseconds=THREAD_US - 1, field="input", count=operation.count
    )
    assert answer == ["MainThread"] * 3
    assert operation.counted == [(3, answer)]
    assert work.once(INLINE_BYTES, len, b"x") == 1


@pytest.mark.parametrize(("size", "microseconds"), [(1, THREAD_US), (INLINE_BYTES + 1, 1)])
async def test_long_operations_go_to_a_thread(threads: ThreadPoolExecutor, size: int, microseconds: int) -> None:
    operation, work = Operation(), Work(asyncio.create_task, threads)
    answer = work.each(
        operation, [SignItem(bytes(size))], microseconds=microseconds, field="input", count=operation.count
    )
    assert isinstance(answer, asyncio.Task)
    assert await answer == ["crypto"]
    assert operation.counted == [(1, ["crypto"])]


async def test_large_inputs_go_to_a_thread(threads: ThreadPoolExecutor) -> None:
    work = Work(asyncio.create_task, threads)
    answer = work.once(INLINE_BYTES + 1, threading.current_thread)
    assert isinstance(answer, asyncio.Task)
    assert (await answer).name.startswith("crypto")
    assert (await work.apart(threading.current_thread)).name.startswith("crypto")


@pytest.mark.parametrize(
    ("microseconds", "length", "place"),
    [(2, SLICE_US // 2, "MainThread"), (100, SLICE_US // 100, "MainThread"), (250, THREAD_SLICE_US // 250, "crypto")],
)
async def test_batches_are_cut_so_that_no_slice_takes_long(
    threads: ThreadPoolExecutor, microseconds: int, length: int, place: str
) -> None:
    operation, work = Operation(), Work(asyncio.create_task, threads)
    answer = work.each(
        operation,
        [SignItem(b"x")] * (3 * length + 1),
        microseconds=microseconds,
        field="input",
        count=operation.count,
    )
    assert isinstance(answer, asyncio.Task)
    assert await answer == [place] * (3 * length + 1)
    assert operation.slices == [length, length, length, 1]
    assert operation.counted == [(size, [place] * size) for size in operation.slices]


async def test_others_run_between_the_slices_of_a_batch(threads: ThreadPoolExecutor) -> None:
    operation, work = Operation(), Work(asyncio.create_task, threads)
    answer = work.each(operation, [SignItem(b"x")] * 2_500, microseconds=2, field="input", count=operation.count)
    assert isinstance(answer, asyncio.Task)
    seen = []
    while not answer.done():
        await asyncio.sleep(0)
        seen.append(len(operation.slices))
    assert seen == sorted(seen)
    assert len(set(seen)) == len(operation.slices) == 10


async def test_a_large_item_sends_its_slice_to_a_thread(threads: ThreadPoolExecutor) -> None:
    operation, work = Operation(), Work(asyncio.create_task, threads)
    items = [SignItem(b"x")] * 500 + [SignItem(bytes(INLINE_BYTES + 1))]
    answer = work.each(operation, items, microseconds=2, field="input", count=operation.count)
    assert isinstance(answer, asyncio.Task)
    assert await answer == ["MainThread"] * 500 + ["crypto"]


async def test_what_is_wrong_with_the_whole_request_is_raised(threads: ThreadPoolExecutor) -> None:
    def fails(items: Sequence[SignItem]) -> list[str]:
        raise ValueError("soft-deleted")

    def counted(_: Sequence[SignItem], __: list[str]) -> None:
        raise AssertionError("nothing was done")

    work = Work(asyncio.create_task, threads)
    for size, us in ((1, 2), (1, 300), (900, 2)):
        with pytest.raises(ValueError, match="soft-deleted"):
            await _of(work.each(fails, [SignItem(b"x")] * size, microseconds=us, field="input", count=counted))


async def _of(answer: list[str] | asyncio.Task[list[str]]) -> list[str]:
    return await answer if isinstance(answer, asyncio.Task) else answer
