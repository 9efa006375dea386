"""How long a token lives: one rule for those that are made, renewed, and given by logins.

The system and the mount say how long a token may live and how long it lives where nobody says it; a role or the
request say less. A period lives on by renewals, for ever unless there is an explicit maximum; anything else ends for
good when its maximum is over.

Source: Vault's documentation of tokens and leases, and what its reference does. All durations are in seconds.
"""

from __future__ import annotations

from typing import NamedTuple

from kms_actors.errors import InvalidRequest
from kms_actors.mounts import SYSTEM_LEASE_TTL, MountConfig


class Limits(NamedTuple):
    """What holds where a request says nothing, and at most."""

    default: int = SYSTEM_LEASE_TTL
    most: int = SYSTEM_LEASE_TTL

    @classmethod
    def of(cls, config: MountConfig | None) -> Limits:
        """Return those of a mount; None: the system's."""
        if config is None:
            return cls()
        return cls(config.default_lease_ttl or SYSTEM_LEASE_TTL, config.max_lease_ttl or SYSTEM_LEASE_TTL)

    def within(self, most: int) -> Limits:
        """Return those with a further maximum; 0: none."""
        return Limits(min(self.default, most), min(self.most, most)) if most else self


class Granted(NamedTuple):
    """Seconds that a token lives from now on, and what its holder is told of that."""

    ttl: int
    warnings: tuple[str, ...] = ()


def grant(limits: Limits, *, ttl: int = 0, period: int = 0, explicit_max_ttl: int = 0, age: int = 0) -> Granted:
    """Return how long a token lives from now on, which is at least a second.

    `ttl` is what is asked for (0: what holds where nobody says), `age` how old the token is: 0 when it is made.
    Raises InvalidRequest for one whose time is over for good.
    """
    most = min(limits.most, explicit_max_ttl) if explicit_max_ttl else limits.most
    warnings = []
    if period:
        wanted, end = period, explicit_max_ttl
        if wanted > most:
            warnings.append(
                f'period of "{words(wanted)}" exceeded the effective max_ttl of "{words(most)}"; '
                "period value is capped accordingly"
            )
            wanted = most
    else:
        wanted, end = ttl or limits.default, most
    if end:
        left = end - age
        if left <= 0:
            raise InvalidRequest("past the max TTL, cannot renew")
        if wanted > left:
            warnings.append(
                f'TTL of "{words(wanted)}" exceeded the effective max_ttl of "{words(left)}"; '
                "TTL value is capped accordingly"
            )
            wanted = left
    return Granted(wanted, tuple(warnings))


def words(seconds: int) -> str:
    """Return a duration as texts of the reference have it: `768h`, `1h30m`."""
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    parts = ((hours, "h"), (minutes, "m"), (rest, "s"))
    return "".join(f"{number}{unit}" for number, unit in parts if number) or "0s"
