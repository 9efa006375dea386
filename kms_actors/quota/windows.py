"""How often was asked: windows of an interval each, in memory, of one process.

A window begins with the first request after the last one's end, as in Vault. Within it, the worker's share passes:
of a quota's rate each of n workers lets the n-th part through, rounded up. All together that is less than `rate + n`
in a window, and less than twice that in any time as long, since one window may end where the next begins.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import Final, NamedTuple

from kms_actors.quota.records import TOGETHER, RateLimit

#: Counts of one vault in one process. Past it the one that was used longest ago begins anew.
MOST_COUNTS: Final = 4096


#: Seconds that floating point may add: who waits as long as he was told must be served.
_ROUNDING: Final = 1e-6


class Verdict(NamedTuple):
    """What a quota says of one request. `reset` and `retry_after` are whole seconds, rounded up."""

    allowed: bool
    limit: int
    remaining: int
    reset: int
    retry_after: int = 0
    given: bool = False  # by the cluster's operator
    shown: bool = False  # whether an answer is to tell of it where nothing is refused


class _Window:
    __slots__ = ("blocked", "end", "used")

    def __init__(self) -> None:
        self.end = 0.0
        self.used = 0
        self.blocked = 0.0


def _whole(seconds: float) -> int:
    """Return seconds rounded up, but for what floating point adds."""
    return math.ceil(seconds - _ROUNDING) or 1


def share_of(rate: float, workers: int) -> int:
    """Return how many requests an interval one of so many workers lets through."""
    return max(1, math.ceil(rate / workers))


class Windows:
    """Counts by quota and address. `workers` is how many processes of the node there are."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._counts: OrderedDict[tuple[RateLimit, str], _Window] = OrderedDict()

    def take(self, rule: RateLimit, address: str, now: float) -> Verdict:
        """Count a request at `now` (seconds, of a steady clock). One that is refused counts for nothing."""
        window = self._window(rule, "" if rule.group_by == TOGETHER else address)
        limit = math.ceil(rule.rate)
        if now + _ROUNDING < window.blocked:
            wait = _whole(window.blocked - now)
            return Verdict(False, limit, 0, wait, wait)
        if now + _ROUNDING >= window.end:
            window.end, window.used = now + rule.interval, 0
        share = share_of(rule.rate, self._workers)
        reset = _whole(window.end - now)
        if window.used < share:
            window.used += 1
            return Verdict(True, limit, share - window.used, reset)
        if rule.block_interval:
            window.blocked = now + rule.block_interval
            return Verdict(False, limit, 0, reset, rule.block_interval)
        return Verdict(False, limit, 0, reset, reset)

    def _window(self, rule: RateLimit, address: str) -> _Window:
        key = (rule, address)
        window = self._counts.get(key)
        if window is None:
            if len(self._counts) >= MOST_COUNTS:
                self._counts.popitem(last=False)
            window = self._counts[key] = _Window()
        else:
            self._counts.move_to_end(key)
        return window
