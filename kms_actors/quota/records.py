"""What is kept of quotas. One record holds all of a vault's own: they are few, and read when the vault wakes."""

from __future__ import annotations

from typing import Final

import msgspec

from kms_actors.keyring import stored

#: Whose requests share a count: those of one address, as in Vault, or all.
BY_ADDRESS: Final = "ip"
TOGETHER: Final = "none"
GROUPINGS: Final = (BY_ADDRESS, TOGETHER)

#: What Vault exempts where nobody says otherwise.
EXEMPT: Final = (
    "sys/generate-recovery-token/attempt",
    "sys/generate-recovery-token/update",
    "sys/generate-root/attempt",
    "sys/generate-root/update",
    "sys/health",
    "sys/seal-status",
    "sys/unseal",
)


class RateLimit(msgspec.Struct, frozen=True):
    """At most `rate` requests in an `interval`; who asks more often is refused, for all of `block_interval` if given.

    Below a mount, `mount` is its number and `path` what follows its own; else `path` is whole, without `/v1/`, and
    empty for all of the vault. A star at its end stands for anything. Durations are in seconds.
    """

    name: str
    rate: float
    interval: int = 1
    block_interval: int = 0
    path: str = ""
    mount: int | None = None
    role: str = ""  # of logins at the mount
    inheritable: bool = False  # kept and shown: nothing lies below a vault
    group_by: str = BY_ADDRESS

    @property
    def place(self) -> tuple[int | None, str, str]:
        """What two quotas cannot share."""
        return self.mount, self.path, self.role


class QuotaConfig(msgspec.Struct, frozen=True):
    """What holds for all rate limits of a vault."""

    exempt_paths: tuple[str, ...] = EXEMPT
    response_headers: bool = False


class Quotas(msgspec.Struct, frozen=True):
    """All quotas of a vault that it has given itself; `revision` counts their changes."""

    rate_limits: tuple[RateLimit, ...] = ()
    config: QuotaConfig = QuotaConfig()
    revision: int = 0
    format: int = stored.FORMAT
