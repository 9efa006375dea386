"""Collections of what cycles hold, where keys may be among it."""

from __future__ import annotations

import asyncio
import gc
import time
from typing import Final

#: Seconds from when a vault is sealed to a collection, and from one of these to the next, for any number of vaults:
#: each stops the process for as long as it takes to look at all that awake tenants hold.
_SOON: Final = 0.5
_APART: Final = 10.0


class Garbage:
    """Of one process."""

    def __init__(self) -> None:
        self._last = float("-inf")
        self._timer: asyncio.TimerHandle | None = None

    def collect_soon(self) -> None:
        """Have a collection within ten seconds: after a vault is sealed, while others are served."""
        if self._timer is None:
            wait = max(_SOON, self._last + _APART - time.monotonic())
            self._timer = asyncio.get_running_loop().call_later(wait, self.collect)

    def collect(self) -> None:
        """Collect now: once the node is sealed, nobody is served meanwhile."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        gc.collect()
        self._last = time.monotonic()
