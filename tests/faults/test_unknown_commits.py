"""Commits that end unknown: applied exactly once, whatever the truth was; the answer is of the applied attempt."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from kms_actors.errors import StoreUnavailable, TransactionConflict
from kms_actors.store.api import Priority, Store, Transaction
from tests.faults.shim import LATEST, Fate, Faults, FaultyStore
from tests.store.access import get, put

ONE = (1).to_bytes(8, "little")


class Counting:
    """A body that adds one to a counter and returns the number of its run."""

    def __init__(self) -> None:
        self.runs = 0

    async def __call__(self, transaction: Transaction) -> int:
        self.runs += 1
        transaction.add(b"counter", 1)
        transaction.set(b"run", b"%d" % self.runs)
        return self.runs


@pytest.mark.parametrize("fate", list(Fate))
@pytest.mark.parametrize("times", [1, 2, 3])
async def test_a_body_is_applied_once_whatever_its_commits_meet(store: Store, fate: Fate, times: int) -> None:
    # Every second commit is the one that settles the first, and is left alone.
    faults = Faults(script=[fate, None] * times)
    result = await FaultyStore(store, faults).run(Counting())
    await faults.arrive()
    assert await get(store, b"counter") == ONE
    assert await get(store, b"run") == b"%d" % result


@pytest.mark.parametrize(
    ("fate", "runs"),
    [
        (Fate.UNKNOWN_APPLIED, 1),
        (Fate.TIMED_OUT_APPLIED, 1),
        (Fate.UNKNOWN_NOT_APPLIED, 2),
        (Fate.TIMED_OUT_NOT_APPLIED, 2),
        (Fate.CONFLICT, 2),
    ],
)
async def test_a_body_runs_again_only_if_it_was_not_applied(store: Store, fate: Fate, runs: int) -> None:
    body = Counting()
    assert await FaultyStore(store, Faults(script=[fate])).run(body) == runs
    assert body.runs == runs


async def test_each_attempt_of_batch_work_stands_back_and_none_of_a_request(store: Store) -> None:
    """The client forgets the option when a transaction is made new."""
    script = [Fate.TOO_OLD, Fate.CONFLICT, Fate.UNKNOWN_NOT_APPLIED]
    faults, body = Faults(script=[*script]), Counting()
    await FaultyStore(store, faults).run(body, priority=Priority.BATCH)
    assert (faults.stood_back, body.runs) == (4, 4)
    faults = Faults(script=[*script])
    await FaultyStore(store, faults).run(Counting())
    assert faults.stood_back == 0


@pytest.mark.parametrize("steps", range(1, LATEST))
async def test_a_late_commit_never_adds_to_the_attempt_after_it(store: Store, steps: int) -> None:
    faults = Faults(script=[Fate.TIMED_OUT_LATE], late_after=steps)
    result = await FaultyStore(store, faults).run(Counting())
    await faults.arrive()
    assert await get(store, b"counter") == ONE
    assert await get(store, b"run") == b"%d" % result


@pytest.mark.parametrize("fates", list(itertools.product(list(Fate)[2:], repeat=2)))
async def test_settling_may_itself_end_unknown(store: Store, fates: tuple[Fate, Fate]) -> None:
    faults = Faults(script=list(fates))
    try:
        result = await FaultyStore(store, faults).run(Counting())
    except StoreUnavailable:
        # Settling timed out: the caller does not know, and the truth is one of the two.
        assert fates[1].name.startswith("TIMED_OUT")
        await faults.arrive()
        assert await get(store, b"counter") in (None, ONE)
        return
    await faults.arrive()
    assert await get(store, b"counter") == ONE
    assert await get(store, b"run") == b"%d" % result


async def test_a_late_commit_is_void_once_the_body_has_refused(store: Store) -> None:
    """The second attempt finds another world and raises: then the first must not come through afterwards."""
    faults = Faults(script=[Fate.TIMED_OUT_LATE], late_after=100)
    runs = 0

    async def claim(transaction: Transaction) -> None:
        nonlocal runs
        runs += 1
        if runs == 2:
            raise PermissionError
        transaction.set(b"owner", b"me")

    with pytest.raises(PermissionError):
        await FaultyStore(store, faults).run(claim)
    await faults.arrive()
    assert await get(store, b"owner") is None


async def test_an_attempt_whose_read_failed_is_not_committed_although_the_body_went_on(store: Store) -> None:
    await put(store, (b"key", b"there"))

    async def body(transaction: Transaction) -> None:
        (found,) = await asyncio.gather(transaction.get(b"key"), return_exceptions=True)
        transaction.set(b"seen", found if isinstance(found, bytes) else b"an error")
        transaction.add(b"counter", 1)

    await FaultyStore(store, Faults(failing_reads=1)).run(body)
    assert await get(store, b"seen") == b"there"
    assert await get(store, b"counter") == ONE


async def test_a_failure_inside_a_group_of_tasks_is_retried(store: Store) -> None:
    async def body(transaction: Transaction) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(transaction.get(b"a"))
            group.create_task(transaction.get(b"b"))
        transaction.add(b"counter", 1)

    await FaultyStore(store, Faults(failing_reads=2)).run(body)
    assert await get(store, b"counter") == ONE


async def test_retries_end(store: Store) -> None:
    with pytest.raises(TransactionConflict):
        await FaultyStore(store, Faults(script=[Fate.CONFLICT] * 1000)).run(Counting())
    assert await get(store, b"counter") is None
