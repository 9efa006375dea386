"""A node that unseals itself: at its start, and whenever it is sealed by anything but its operator.

While the provider does not answer, the node serves as a sealed one does, and tries again and again: soon at first, at
most half a minute apart. It looks now and then, too, whether a cluster was initialised, or migrated, on another node.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from kms_actors.actors.node.actor import Attempt
from kms_actors.errors import KmsError, SealRefused

_log: Final = structlog.get_logger(__name__)

#: Seconds between looks while there is nothing to do.
LOOK_SECONDS: Final = 2.0
#: Seconds after a first failure; each in a row doubles it, up to the longest.
FIRST_WAIT: Final = 0.5
LONGEST_WAIT: Final = 30.0


class Unattended:
    """Tries by `attempt` until `stop`. `scope` is what logs call the cluster, `by` is who is asked."""

    def __init__(self, attempt: Callable[[], Awaitable[Attempt]], scope: str, by: str) -> None:
        self._attempt = attempt
        self._log = _log.bind(scope=scope, by=by)
        self._failures = 0
        self._reason = ""
        self._task: asyncio.Task[None] | None = None

    async def once(self) -> None:
        """Try once; raises what is in the way."""
        self._note(await self._attempt())

    async def begin(self, seconds: float) -> None:
        """Go on trying, and return once the first attempt has ended, or after so many seconds."""
        first = asyncio.get_running_loop().create_future()
        self._task = asyncio.get_running_loop().create_task(self._run(first))
        await asyncio.wait([first], timeout=seconds)

    async def stop(self) -> None:
        """Try no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self, first: asyncio.Future[None] | None = None) -> None:
        while True:
            wait = await self._try()
            if first is not None and not first.done():
                first.set_result(None)
            await asyncio.sleep(wait)

    async def _try(self) -> float:
        """Try once, and return after how many seconds to do so again."""
        try:
            self._note(await self._attempt())
        except KmsError as error:
            return self._failed(error)
        except Exception as error:  # noqa: BLE001 - of whatever kind: a node that gave up here would stay sealed
            return self._failed(KmsError(type(error).__name__))
        return LOOK_SECONDS

    def _note(self, outcome: Attempt) -> None:
        if outcome is Attempt.UNSEALED:
            self._log.info("unsealed", after_failures=self._failures)
        self._failures, self._reason = 0, ""

    def _failed(self, error: KmsError) -> float:
        self._failures += 1
        lasting = isinstance(error, SealRefused) and error.lasting
        wait = LONGEST_WAIT if lasting else min(FIRST_WAIT * 2 ** min(self._failures - 1, 16), LONGEST_WAIT)
        if self._reason != str(error):  # and not again and again
            self._reason = str(error)
            self._log.warning("not unsealed; this is tried again", reason=self._reason, failures=self._failures)
        return wait * (1 + random.random()) / 2  # noqa: S311 - so that not all nodes ask at once
