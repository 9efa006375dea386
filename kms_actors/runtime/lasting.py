"""A task that nothing ends but its owner: whatever ends its work, the work begins again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from kms_actors.errors import KmsError

_log = structlog.get_logger(__name__)


class Lasting:
    """Runs `work` from `start` to `stop`; each end of it is told in the log, and after `pause` seconds it runs again.

    That goes for a return, any error, and a cancellation from within. `restarts` counts them.
    """

    def __init__(self, name: str, work: Callable[[], Coroutine[Any, Any, None]], pause: float) -> None:
        self._name = name
        self._work = work
        self._pause = pause
        self._task: asyncio.Task[None] | None = None
        self.restarts = 0

    def start(self) -> None:
        """Begin. Must be called within a running event loop."""
        self._task = asyncio.create_task(self._last(), name=self._name)

    async def stop(self) -> None:
        """End; what is under way is cancelled. Idempotent."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def _last(self) -> None:
        while True:
            # A task of its own, so that a cancellation of the work, from wherever it comes, is not one of this loop.
            run = asyncio.create_task(self._work(), name=self._name)
            try:
                await asyncio.wait([run])
            except asyncio.CancelledError:
                run.cancel()
                await asyncio.wait([run])
                _retrieve(run)
                raise
            self._tell(_retrieve(run))
            self.restarts += 1
            await asyncio.sleep(self._pause)

    def _tell(self, error: BaseException | None) -> None:
        reason = "returned" if error is None else type(error).__name__
        if isinstance(error, KmsError):
            _log.warning("a task failed and begins again", task=self._name, error=reason)
        else:
            _log.error("a task ended and begins again", task=self._name, error=reason)


def _retrieve(run: asyncio.Task[None]) -> BaseException | None:
    return asyncio.CancelledError() if run.cancelled() else run.exception()
