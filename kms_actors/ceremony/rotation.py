"""When a keyring gets its next version by itself: after so many records, or so much time.

Source: Vault's API page `sys/rotate/config`; the bounds are Vault's.
"""

from __future__ import annotations

from typing import Final

import msgspec

from kms_actors.errors import InvalidRequest
from kms_actors.keyring import stored

LEAST_OPERATIONS: Final = 1_000_000
MOST_OPERATIONS: Final = 3_865_470_566
LEAST_INTERVAL: Final = 86_400 * 10**9  # nanoseconds


class RotateConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`interval` is in nanoseconds; 0: by the number of records alone."""

    max_operations: int = MOST_OPERATIONS
    interval: int = 0
    enabled: bool = True
    format: int = stored.FORMAT

    @classmethod
    def decode(cls, raw: bytes) -> RotateConfig:
        """Return the record in `raw`; raises FormatError."""
        return stored.decode(raw, cls, "rotation config")

    def encode(self) -> bytes:
        """Return the stored form."""
        return stored.encode(self)


def validate(config: RotateConfig) -> None:
    """Raise InvalidRequest, worded as Vault does, for what no keyring may be rotated by."""
    if not LEAST_OPERATIONS <= config.max_operations <= MOST_OPERATIONS:
        raise InvalidRequest(f"max_operations must be in the range [{LEAST_OPERATIONS},{MOST_OPERATIONS}]")
    if config.interval and config.interval < LEAST_INTERVAL:
        raise InvalidRequest("interval must be greater or equal to 24h0m0s")


def due_at(config: RotateConfig, since: float) -> int | None:
    """Return when a version that is active `since` (seconds since 1970) is to be replaced, in nanoseconds; or never.

    Only by time: see `is_due`.
    """
    return int(since * 1e9) + config.interval if config.enabled and config.interval else None


def is_due(config: RotateConfig, since: float, encryptions: int, now: int) -> bool:
    """Tell whether a version is to be replaced `now` (nanoseconds), which has sealed so many records."""
    by_time = due_at(config, since)
    return config.enabled and (encryptions >= config.max_operations or (by_time is not None and by_time <= now))
