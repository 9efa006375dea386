"""The sources of chance and time of a Python process, replaced by those of a simulation.

`replace` comes before anything of `kms_actors` is imported, for functions keep such sources as their defaults. It is
for a process that does nothing but simulate. What native libraries draw for themselves (signatures of biscuits) stays
chance; nothing that happens depends on it.
"""

from __future__ import annotations

import os
import random
import time
from typing import Any, Final

#: Of what libraries draw: `random`, `os.urandom`, `secrets`. Faults and loads have generators of their own.
_drawn: Final = random.Random(0)
_loop: list[Any] = []


def seed(number: int, loop: Any) -> None:
    """Begin a simulation: all chance from `number`, all time from `loop`."""
    _drawn.seed(number)
    random.seed(number)
    _loop[:] = [loop]


def replace() -> None:
    """Replace the sources, for the rest of the process's life."""
    real = time.monotonic

    def monotonic(*_: Any) -> float:
        return 1000.0 + float(_loop[0].now) if _loop else real()

    def wall() -> float:
        return float(_loop[0].wall()) if _loop else 1_800_000_000.0

    time.monotonic = time.perf_counter = monotonic
    time.clock_gettime = monotonic
    time.monotonic_ns = time.perf_counter_ns = lambda: int(monotonic() * 1e9)
    time.time = wall
    time.time_ns = lambda: round(wall() * 1e6) * 1000
    os.urandom = _drawn.randbytes
    random._urandom = _drawn.randbytes  # type: ignore[attr-defined]  # what SystemRandom, and so `secrets`, draws from
