"""A store whose transactions let others go first at points drawn from a seed."""

from __future__ import annotations

import asyncio
import random
from typing import Final

from kms_actors.store.api import Body, Priority, Store, T, Transaction

#: The longest pause, in seconds: long enough for a commit of somebody else.
_LONGEST: Final = 0.004


class DrawnStore:
    """Pauses before a transaction, between its body and its commit, and behind it, as often as not."""

    def __init__(self, store: Store, seed: int) -> None:
        self._store = store
        self._random = random.Random(seed)
        self.watch = store.watch
        self.close = store.close

    async def run(
        self, body: Body[T], *, idempotency_key: bytes | None = None, priority: Priority = Priority.REQUEST
    ) -> T:
        async def paused(transaction: Transaction) -> T:
            result = await body(transaction)
            await self._pause()
            return result

        await self._pause()
        try:
            return await self._store.run(paused, idempotency_key=idempotency_key, priority=priority)
        finally:
            await self._pause()

    async def _pause(self) -> None:
        drawn = self._random.random()
        if drawn < 0.25:
            await asyncio.sleep(drawn * 4 * _LONGEST)
        else:
            for _ in range(int(drawn * 8)):
                await asyncio.sleep(0)
