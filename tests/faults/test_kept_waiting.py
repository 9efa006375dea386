"""Batch work that a cluster at its limit keeps waiting goes on when it may, and a request fails in its time.

The kind: work of low priority that gives up as soon as it has to give way. What the client says of it ends an attempt
of it, never the whole, for as long as a transaction of batch priority may take.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from kms_actors.clock import elapsed
from kms_actors.errors import StoreUnavailable
from kms_actors.store.api import Priority, Store, Transaction
from kms_actors.store.foundationdb import attempts
from kms_actors.store.foundationdb.attempts import BATCH_THROTTLED, TIMED_OUT, run_body
from kms_actors.store.foundationdb.native import Failure, Native
from kms_actors.store.foundationdb.operations import Operations
from tests.faults.shim import beginning
from tests.store.access import get

#: More than the client tries again.
OFTEN = 120


class Waiting:
    """Transactions whose reads fail with `code`, so often."""

    def __init__(self, store: Store, code: int, times: float) -> None:
        self._begin = beginning(store)
        self.code = code
        self.left = times
        self.begun = 0

    def begin(self) -> Native:
        native = self._begin()
        self.begun += 1
        return _Kept(native, self)

    async def run(self, priority: Priority) -> None:
        await run_body(self.begin, Operations().take(), _write, priority)


class _Kept:
    def __init__(self, native: Native, waiting: Waiting) -> None:
        self._native = native
        self._waiting = waiting

    def get(self, key: bytes, *, snapshot: bool = False) -> asyncio.Future[bytes | None]:
        if self._waiting.left <= 0:
            return self._native.get(key, snapshot=snapshot)
        self._waiting.left -= 1
        failed: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()
        failed.set_exception(Failure(self._waiting.code))
        return failed

    def __getattr__(self, name: str) -> Any:
        return getattr(self._native, name)


async def _write(transaction: Transaction) -> None:
    await transaction.get(b"key")
    transaction.add(b"key", 1)


@pytest.mark.parametrize("code", [BATCH_THROTTLED, TIMED_OUT])
async def test_batch_work_waits_until_it_may_begin(store: Store, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    monkeypatch.setattr(attempts, "BATCH_PAUSE_SECONDS", 0.001)
    waiting = Waiting(store, code, OFTEN)
    await waiting.run(Priority.BATCH)
    assert waiting.begun == OFTEN + 1
    assert await get(store, b"key") == (1).to_bytes(8, "little")


@pytest.mark.parametrize("code", [BATCH_THROTTLED, TIMED_OUT])
async def test_batch_work_that_never_may_begin_ends(store: Store, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    monkeypatch.setattr(attempts, "BATCH_SECONDS", 0.3)
    monkeypatch.setattr(attempts, "BATCH_PAUSE_SECONDS", 0.02)
    waiting = Waiting(store, code, float("inf"))
    begun = elapsed()
    with pytest.raises(StoreUnavailable, match=str(code)):
        await waiting.run(Priority.BATCH)
    assert elapsed() - begun < 0.3 + attempts.ATTEMPT_SECONDS
    assert waiting.begun > 1
    assert await get(store, b"key") is None


@pytest.mark.parametrize("code", [BATCH_THROTTLED, TIMED_OUT])
async def test_a_request_waits_for_no_turn(store: Store, code: int) -> None:
    waiting = Waiting(store, code, float("inf"))
    with pytest.raises(StoreUnavailable):
        await waiting.run(Priority.REQUEST)
    assert waiting.begun == 1
