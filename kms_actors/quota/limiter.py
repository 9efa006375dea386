"""All quotas that hold for requests of one vault: its own, and those that the cluster's operator has given it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from kms_actors.clock import Clock, elapsed
from kms_actors.mounts import MountTable
from kms_actors.quota.records import Quotas, RateLimit
from kms_actors.quota.rules import RateTable
from kms_actors.quota.windows import Verdict, Windows

#: Told of each request that is refused, and whether the cluster's operator gave the quota.
Refused = Callable[[bool], None]


def unobserved(_: bool) -> None:
    """Tell nobody."""


class Limiter:
    """Decides about requests, one after the other. There is none for a vault without quotas."""

    def __init__(
        self,
        given: RateTable,
        own: RateTable,
        quotas: Quotas,
        windows: Windows,
        *,
        refused: Refused = unobserved,
        clock: Clock = elapsed,
    ) -> None:
        self._given = given
        self._own = own
        self._shown = quotas.config.response_headers
        self._exempt = frozenset(path for path in quotas.config.exempt_paths if not path.endswith("*"))
        self._exempt_beginnings = tuple(path[:-1] for path in quotas.config.exempt_paths if path.endswith("*"))
        self.windows: Final = windows
        self._refused = refused
        self._clock = clock

    def has_roles(self, mount: str) -> bool:
        """Tell whether a login at this mount is decided about once its role is known."""
        return self._own.has_roles(mount)

    def admit(self, path: str, mount: str, address: str, role: str = "") -> Verdict | None:
        """Count a request; None where no quota holds for it. `mount` is its mount's path, empty for system paths.

        The vault's own comes first: what it refuses counts for nothing in what the operator has given.
        """
        now = self._clock()
        verdict = None
        own = None if self._is_exempt(path) else self._own.find(path, mount, role)
        if own is not None:
            verdict = self.windows.take(own, address, now)._replace(shown=self._shown)
            if not verdict.allowed:
                self._refused(False)
                return verdict
        given = self._given.find(path, mount)
        if given is not None:
            over = self.windows.take(given, address, now)
            if not over.allowed:
                self._refused(True)
                return over._replace(given=True, shown=self._shown)
            verdict = verdict or over._replace(given=True, shown=self._shown)
        return verdict

    def _is_exempt(self, path: str) -> bool:
        return path in self._exempt or path.startswith(self._exempt_beginnings)


def limiter(
    given: Sequence[RateLimit],
    quotas: Quotas | None,
    mounts: MountTable,
    *,
    workers: int,
    before: Limiter | None,
    refused: Refused = unobserved,
) -> Limiter | None:
    """Return what decides from now on; counts of quotas that stay as they were go on. None where there are none."""
    own = RateTable(quotas.rate_limits if quotas is not None else (), mounts)
    by_operator = RateTable(given, mounts)
    if not own and not by_operator:
        return None
    windows = Windows(workers) if before is None else before.windows
    return Limiter(by_operator, own, quotas or Quotas(), windows, refused=refused)
