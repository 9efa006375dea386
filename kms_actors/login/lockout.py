"""When failed logins lock a name: after so many within a time, for a while. Any success forgets them.

Source: "User lockout" in Vault's documentation. Durations are in seconds, times in seconds since 1970.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec

from kms_actors.keyring import stored
from kms_actors.mounts import LockoutConfig

#: What holds where a mount says nothing.
THRESHOLD: Final = 5
DURATION: Final = 15 * 60
COUNTER_RESET: Final = 15 * 60
#: A failure further in the future is none: it comes from a clock that has been set since.
_SKEW: Final = 60


class Failures(msgspec.Struct, frozen=True, kw_only=True):
    """Failed logins of one name, or of all unknown names that fall together. `alias` is empty for those."""

    alias: str
    count: int
    last: float
    format: int = stored.FORMAT

    @classmethod
    def decode(cls, raw: bytes) -> Failures:
        """Return the record that `encode` wrote; FormatError if it is none, or of another format."""
        return stored.decode(raw, cls, "record of failed logins")

    def encode(self) -> bytes:
        """Return the record as JSON."""
        return stored.encode(self)

    def __repr__(self) -> str:
        return "<Failures>"


class LockoutRule(NamedTuple):
    """The rule of one mount."""

    threshold: int = THRESHOLD
    duration: int = DURATION
    counter_reset: int = COUNTER_RESET
    disabled: bool = False

    @classmethod
    def of(cls, config: LockoutConfig | None) -> LockoutRule:
        """Return the rule of a mount; what it leaves out is the system's."""
        if config is None:
            return cls()
        return cls(
            config.threshold or THRESHOLD,
            config.duration or DURATION,
            config.counter_reset or COUNTER_RESET,
            config.disable,
        )

    def locked(self, failures: Failures | None, now: float) -> bool:
        """Tell whether a name is locked."""
        return (
            not self.disabled
            and failures is not None
            and failures.count >= self.threshold
            and _since(failures, now, self.duration)
        )

    def failed(self, failures: Failures | None, alias: str, now: float) -> Failures:
        """Return what one more failure makes of those before; a lock that is over begins to count anew."""
        counts = failures is not None and _since(failures, now, self.counter_reset)
        if failures is None or not counts or failures.count >= self.threshold:
            return Failures(alias=alias, count=1, last=now)
        return Failures(alias=alias, count=failures.count + 1, last=max(now, failures.last))


def _since(failures: Failures, now: float, seconds: int) -> bool:
    return -_SKEW <= now - failures.last < seconds
