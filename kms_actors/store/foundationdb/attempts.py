"""Running a body until it has been applied exactly once, or certainly not, or time is over.

A failure before the commit, or one that says "not committed", leads to another attempt. A commit that ended
unknown (commit_unknown_result, a time-out) is settled first: the body runs again only once it is certain that
this attempt was not applied and never will be.

All of that ends with the request, or after as long as one may take: no attempt is begun after it, and each is
cut off at it. Only settling goes on for a moment, to keep a commit on its way from being applied later.

A cluster at its limit lets no batch work begin. That work waits until it may, for as long as a transaction of batch
priority may take; a request fails.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any, Final

from kms_actors.clock import elapsed
from kms_actors.errors import (
    DeadlinePassed,
    StoreError,
    StoreUnavailable,
    TransactionConflict,
    TransactionTooLarge,
)
from kms_actors.request_context import BATCH_SECONDS, REQUEST_SECONDS, ends_of_run
from kms_actors.store.api import Body, Priority, T
from kms_actors.store.foundationdb.native import (
    Failure,
    Native,
)
from kms_actors.store.foundationdb.operations import Operation
from kms_actors.store.foundationdb.transaction import FoundationDbTransaction

TOO_OLD: Final = 1007
NOT_COMMITTED: Final = 1020
COMMIT_UNKNOWN: Final = 1021
TIMED_OUT: Final = 1031
CLUSTER_VERSION_CHANGED: Final = 1039
BATCH_THROTTLED: Final = 1051

#: Codes of a commit that may have been applied; after a time-out it may even be applied later.
MAYBE_COMMITTED: Final = {COMMIT_UNKNOWN, TIMED_OUT, CLUSTER_VERSION_CHANGED}
#: Seconds that an attempt may take.
ATTEMPT_SECONDS: Final = 4.0
#: Seconds that settling may take past the end of the request.
SETTLE_SECONDS: Final = 1.0
#: Codes that blame what other transactions did meanwhile.
CONFLICTS: Final = {TOO_OLD, NOT_COMMITTED}
#: So many of them are to blame if a transaction runs out of time.
MANY_CONFLICTS: Final = 10
#: A transaction that conflicts is tried again at once, this often. The client library would pause, the longer the
#: more often it lost, and so go on losing to others that write the same over and over: for seconds.
MOST_CONFLICTS: Final = 400
#: Codes of an attempt of batch work that was kept waiting, and not committed.
KEPT_WAITING: Final = {TIMED_OUT, BATCH_THROTTLED}
#: Seconds, about, until batch work that was turned away asks again.
BATCH_PAUSE_SECONDS: Final = 0.25
#: The transaction, a key, a value.
TOO_LARGE: Final = {2101, 2102, 2103}

Begin = Callable[[], Native]


class _Unknown(Exception):
    """The commit of an attempt ended unknown."""

    def __init__(self, result: Any) -> None:
        super().__init__()
        self.result = result


async def run_body(begin: Begin, operation: Operation, body: Body[T], priority: Priority = Priority.REQUEST) -> T:
    """Return the result of the applied attempt, or of the last one if it wrote nothing."""
    ends = ends_of_run(REQUEST_SECONDS if priority is Priority.REQUEST else BATCH_SECONDS)
    native = _begin_by(ends, begin)
    conflicts = 0
    try:
        while True:
            try:
                return await _attempt(native, operation, body, priority)
            except _Unknown as unknown:
                if await _settle(ends + SETTLE_SECONDS, begin, operation):
                    result: T = unknown.result
                    return result
                operation.end()
                native.destroy()
                native = _begin_by(ends, begin, conflicts)
            except Failure as failure:
                operation.end()
                conflicts += failure.code in CONFLICTS
                if failure.code == NOT_COMMITTED and conflicts < MOST_CONFLICTS:
                    native.destroy()
                    native = _begin_by(ends, begin, conflicts)
                elif priority is Priority.BATCH and failure.code in KEPT_WAITING:
                    native.destroy()
                    native = await _begin_in_turn(ends, begin, failure, conflicts)
                else:
                    await back_off(native, failure, conflicts)
    finally:
        native.destroy()


def _begin_by(ends: float, begin: Begin, conflicts: int = 0) -> Native:
    """Begin an attempt that is over when the request is."""
    left = ends - elapsed()
    if left <= 0:
        if conflicts >= MANY_CONFLICTS:
            raise TransactionConflict("a transaction met conflicting ones too often")
        raise DeadlinePassed("the request's time is over")
    native = begin()
    if left < ATTEMPT_SECONDS:
        native.end_within(left)
    return native


async def _begin_in_turn(ends: float, begin: Begin, failure: Failure, conflicts: int) -> Native:
    """Begin a while after batch work was kept waiting; raise that failure if its time is over by then."""
    pause = BATCH_PAUSE_SECONDS * random.uniform(0.5, 1.5)  # noqa: S311
    await asyncio.sleep(min(pause, max(0.0, ends - elapsed())))
    try:
        return _begin_by(ends, begin, conflicts)
    except DeadlinePassed:
        raise _translate(failure, conflicts) from failure


async def back_off(native: Native, failure: Failure, conflicts: int = 0) -> None:
    """Make the transaction, which met so many conflicts, ready for another attempt after a while.

    Raises:
        StoreError: the failure allows none, or there were enough.

    """
    try:
        await native.on_error(failure.code)
    except Failure as final:
        raise _translate(final, conflicts) from failure


def _translate(failure: Failure, conflicts: int) -> StoreError:
    if failure.code in CONFLICTS or (failure.code == TIMED_OUT and conflicts >= MANY_CONFLICTS):
        return TransactionConflict("a transaction met conflicting ones too often")
    if failure.code in TOO_LARGE:
        return TransactionTooLarge(f"more than the store takes at once: {failure}")
    return StoreUnavailable(f"the store does not answer: {failure}")


async def _attempt(native: Native, operation: Operation, body: Body[T], priority: Priority) -> T:
    if priority is Priority.BATCH:
        native.stand_back()
    transaction = FoundationDbTransaction(native)
    try:
        result = await body(transaction)
    except Exception:
        if transaction.failure is not None:
            raise transaction.failure from None
        raise
    finally:
        transaction.end()
    if transaction.failure is not None:  # the body went on without what it could not read
        raise transaction.failure
    if transaction.writes:
        operation.mark(native)
        try:
            await native.commit()
        except Failure as failure:
            if failure.code in MAYBE_COMMITTED:
                raise _Unknown(result) from failure
            raise
    return result


async def _settle(ends: float, begin: Begin, operation: Operation) -> bool:
    """Return whether the attempt was applied; if False, it never will be."""
    native = _begin_by(ends, begin)
    try:
        while True:
            try:
                return await operation.settle(native)
            except Failure as failure:
                await back_off(native, failure)
    finally:
        native.destroy()
