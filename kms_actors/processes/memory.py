"""Memory that nobody needs any more: what was not used for long, and what large requests have left free.

Freed blocks lie between others that are in use, where the library keeps them for what is to come: half of all that a
process holds after minutes under attack. It gives them back only when it is asked, which takes milliseconds and holds
nobody up but who allocates; so it is asked in a thread, and only after the process has worked.
"""

from __future__ import annotations

import asyncio
import ctypes
import sys
import time
from collections.abc import Callable
from typing import Final

from kms_actors import request_context
from kms_actors.runtime.lasting import Lasting

#: Seconds between two looks, and seconds of work since it was last asked that are worth asking.
LOOK_SECONDS: Final = 10.0
WORKED_SECONDS: Final = 0.25

_TRIM: Final = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None


def give_back() -> None:
    """Have the C library (glibc) give back to the system what is free in its heaps."""
    if _TRIM is not None:
        _TRIM(0)


class FreeMemory:
    """Looks after what is free in this process, from `start` to `stop`.

    `worked` gives the seconds of processor time that the process has had. `forget` is called each `idle` seconds, and
    lets go of what was not used since the call before.
    """

    def __init__(
        self,
        forget: Callable[[], None],
        idle: float,
        seconds: float = LOOK_SECONDS,
        worked: Callable[[], float] = time.process_time,
        trim: Callable[[], None] = give_back,
    ) -> None:
        self._forget = forget
        self._idle = idle
        self._seconds = seconds
        self._worked = worked
        self._trim = trim
        self._asked_at = worked()
        self._task = Lasting("free memory", self._run, seconds)

    def start(self) -> None:
        """Begin to look."""
        request_context.apart().run(self._task.start)

    async def stop(self) -> None:
        """End."""
        await self._task.stop()

    async def look(self) -> bool:
        """Give back what is free if the process has worked; return whether it had."""
        if self._worked() < self._asked_at + WORKED_SECONDS:
            return False
        await asyncio.to_thread(self._trim)
        self._asked_at = self._worked()
        return True

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        forgotten = loop.time()
        while True:
            await asyncio.sleep(min(self._seconds, self._idle))
            if loop.time() >= forgotten + self._idle:
                forgotten = loop.time()
                self._forget()
            await self.look()
