"""A store that breaks off, or lets something happen, before a transaction of one's choice."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from kms_actors.errors import StoreUnavailable
from kms_actors.store.api import Body, Priority, Store, T, Transaction


class Interrupted(Exception):
    """The process ended here."""


class CountingStore:
    """Passes everything on; before transaction number `at` (from 0) it first runs `then`, or `behind` it."""

    def __init__(
        self,
        store: Store,
        at: int = -1,
        then: Callable[[], Awaitable[None]] | None = None,
        *,
        behind: bool = False,
    ) -> None:
        self._store = store
        self.at = at
        self._then = then or self._interrupt
        self._behind = behind
        self.runs = 0

    async def run(
        self, body: Body[T], *, idempotency_key: bytes | None = None, priority: Priority = Priority.REQUEST
    ) -> T:
        self.runs += 1
        here = self.runs - 1 == self.at
        if here and not self._behind:
            await self._then()
        result = await self._store.run(body, idempotency_key=idempotency_key, priority=priority)
        if here and self._behind:
            await self._then()
        return result

    async def watch(self, key: bytes) -> asyncio.Future[None]:
        return await self._store.watch(key)

    async def close(self) -> None:
        await self._store.close()

    async def _interrupt(self) -> None:
        raise Interrupted


class ConflictingStore:
    """Has every body run once in vain before the run that counts, as one does whose commit met another."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.watch = store.watch
        self.close = store.close

    async def run(
        self, body: Body[T], *, idempotency_key: bytes | None = None, priority: Priority = Priority.REQUEST
    ) -> T:
        async def in_vain(tr: Transaction) -> None:
            await body(tr)
            raise Interrupted

        with contextlib.suppress(Interrupted):
            await self._store.run(in_vain, priority=priority)
        return await self._store.run(body, idempotency_key=idempotency_key, priority=priority)


async def away() -> None:
    """Do as a store that does not answer."""
    raise StoreUnavailable("away")
