"""The clock of all leases and deadlines: one machine's own, never set, and never compared with another's."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Final, TypeAlias

#: Returns seconds since some moment.
Clock: TypeAlias = Callable[[], float]

#: Goes on while the machine is suspended, where the system has such a clock.
elapsed: Final[Clock] = (
    partial(time.clock_gettime, time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic
)
