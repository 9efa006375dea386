"""Who is sent away before anything is done for him, and why: counted, and said in the log once in a while."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import structlog

#: Each reason, and what the log says of it.
REASONS: Final = {
    "connections": "more connections than limits.connections",
    "connections of an address": "more connections of one address than limits.connections_per_address",
    "pending": "more was sent and is no request yet than limits.pending_bytes",
    "pending of an address": "one address has sent more that is no request yet than limits.pending_bytes_per_address",
    "bodies": "larger bodies of requests under way than limits.body_bytes",
    "slow head": "a head did not arrive in time",
    "slow body": "a body did not arrive in time, or more slowly than limits.body_rate",
    "slow reader": "an answer was not taken in time",
    "overload": "more is asked for than can be done within limits.wait_seconds",
    "late": "a request has waited for its turn for too long",
}
#: Seconds without any of a kind, after which the next one is said again.
_QUIET: Final = 60.0

_log: Final = structlog.get_logger(__name__)


class Refusals:
    """Counts by reason, of one process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.counts: dict[tuple[str, ...], int] = {(reason,): 0 for reason in REASONS}
        self._clock = clock
        self._last: dict[str, float] = {}

    def add(self, reason: str) -> None:
        """Count one more."""
        self.counts[(reason,)] += 1
        now = self._clock()
        last = self._last.get(reason)
        self._last[reason] = now
        if last is None or now - last >= _QUIET:
            _log.warning("clients are sent away", reason=reason, because=REASONS[reason])
