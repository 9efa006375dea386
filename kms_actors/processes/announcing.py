"""A store that answers a change only when the other workers of the node know of it.

Clients open several connections, and those end at different workers: what one was told is done must hold for the
next request, wherever it goes. Other nodes hear of it through the change log alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from kms_actors.actors.cluster.changes import recording
from kms_actors.store.api import Body, Priority, Store, T


class AnnouncingStore:
    """See `Store`. `announce` is awaited after a commit with entries in the change log; one call may do for many."""

    def __init__(self, store: Store, announce: Callable[[], Awaitable[None]]) -> None:
        self._inner = store
        self._announce = announce
        self._committed = 0
        self._announced = 0
        self._announcing = asyncio.Lock()
        self.watch = store.watch
        self.close = store.close

    async def run(
        self, body: Body[T], *, idempotency_key: bytes | None = None, priority: Priority = Priority.REQUEST
    ) -> T:
        """See `Store.run`."""
        with recording() as recorded:
            result = await self._inner.run(body, idempotency_key=idempotency_key, priority=priority)
        if recorded:
            await self._announce_commit()
        return result

    async def _announce_commit(self) -> None:
        self._committed += 1
        own = self._committed
        async with self._announcing:
            if self._announced < own:
                known = self._committed
                await self._announce()
                self._announced = known
