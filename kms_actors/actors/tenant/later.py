"""What is counted in memory, and written some seconds after the first of it, by a task that is there while needed.

What cannot be written is kept for the next time. All is written at once when the vault is sealed or goes to sleep.
"""

from __future__ import annotations

import asyncio
import contextlib
from abc import ABC, abstractmethod
from typing import Final

import pykka

from kms_actors.actors.tenant.context import TenantContext

#: Seconds that writing may take when a seal waits for it, or what is counted is about to be forgotten.
_LAST_SECONDS: Final = 2.0


class WrittenLater(ABC):
    """Of one awake vault in one process, on its actor's loop. `seconds` is how long something may wait."""

    __slots__ = ("_context", "_ending", "_seconds", "_waiting", "_writer")

    def __init__(self, context: TenantContext, seconds: float) -> None:
        self._context = context
        self._seconds = seconds
        self._writer: asyncio.Task[None] | None = None
        self._waiting: asyncio.Future[None] | None = None
        self._ending = False

    @property
    @abstractmethod
    def _waits(self) -> bool:
        """True while there is anything to write."""

    @abstractmethod
    async def flush(self) -> None:
        """Write what is counted; what cannot be written now is kept."""

    @abstractmethod
    def _lose(self) -> None:
        """Let go of what could not be written in time, and say so, if there is any."""

    def end(self) -> None:
        """Have all written at once: what is counted now, and what work under way still counts."""
        self._ending = True
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    async def flush_soon(self) -> None:
        """Write what is counted, as far as that takes no longer than a caller should wait."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LAST_SECONDS):
                await self.flush()

    def _start(self) -> None:
        """Begin to write, where there is no task that does: to be looked at before, which is on the hot path."""
        with contextlib.suppress(pykka.ActorDeadError):  # counted by what a failed actor leaves behind
            self._writer = self._context.spawn_apart(self._write())

    async def _write(self) -> None:
        try:
            while self._waits:
                if not self._ending:
                    self._waiting = asyncio.get_running_loop().create_future()
                    await asyncio.wait([self._waiting], timeout=self._seconds)
                if self._ending:
                    await self.flush_soon()
                    self._lose()
                else:
                    await self.flush()
        finally:
            self._writer = None
