"""Memory that large requests have left free within the C library's heaps: given back to the system.

Freed blocks lie between others that are in use, where the library keeps them for what is to come: half of all that a
process holds after minutes under attack. It gives them back only when it is asked, which takes milliseconds and holds
nobody up but who allocates; so it is asked in a thread, and only once the process has grown.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from kms_actors import request_context
from kms_actors.runtime.lasting import Lasting

#: Seconds between two looks, and bytes of growth since the last one that are worth asking for.
LOOK_SECONDS: Final = 10.0
GROWTH: Final = 16 << 20
_STATM: Final = Path("/proc/self/statm")


def resident() -> int:
    """Return the bytes of this process that are in memory; 0 where the system does not tell."""
    try:
        return int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def give_back() -> None:
    """Have the C library (glibc) give back to the system what is free in its heaps."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)


class FreeMemory:
    """Looks after what is free in this process, from `start` to `stop`."""

    def __init__(
        self,
        seconds: float = LOOK_SECONDS,
        measure: Callable[[], int] = resident,
        trim: Callable[[], None] = give_back,
    ) -> None:
        self._seconds = seconds
        self._measure = measure
        self._trim = trim
        self._least = 0  # bytes after the last time it was asked, or fewer seen since
        self._task = Lasting("free memory", self._run, seconds)

    def start(self) -> None:
        """Begin to look."""
        self._least = self._measure()
        request_context.apart().run(self._task.start)

    async def stop(self) -> None:
        """End."""
        await self._task.stop()

    async def look(self) -> bool:
        """Give back what is free if the process has grown; return whether it had."""
        held = self._measure()
        if held < self._least + GROWTH:
            self._least = min(self._least, held)
            return False
        await asyncio.to_thread(self._trim)
        self._least = self._measure()
        return True

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._seconds)
            await self.look()
