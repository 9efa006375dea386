"""What a node lends the actors of its tenants, and what it sees of them without asking."""

from __future__ import annotations

import time
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from kms_actors.actors.audit.opening import Audit
from kms_actors.actors.audit.outlets import Outlets
from kms_actors.actors.audit.trail import Trail
from kms_actors.actors.cluster.timekeeping import trusted
from kms_actors.actors.tenant.limits import NearLimits
from kms_actors.actors.tenant.revocations import Revocations
from kms_actors.actors.tenant.tenure import Tenure
from kms_actors.actors.tenant.unmounting import Unmounts
from kms_actors.actors.tenant.unsealing import Unsealing
from kms_actors.cache import Account
from kms_actors.config import Audit as AuditSettings
from kms_actors.config import Cache, Tenants
from kms_actors.fetch import Fetcher
from kms_actors.mounts import MountTable
from kms_actors.quota.limiter import Limiter, Refused
from kms_actors.runtime import Threads, Turns
from kms_actors.store.api import Store
from kms_actors.tenancy.records import Erasure

#: Told what Transit keys were used for: vault id, path of the mount, key, version and operation; and how often.
ObserveUses: TypeAlias = Callable[[tuple[str, str, str, str, str], int], None]


def unobserved(*_: Any) -> None:
    """Tell nobody."""


@dataclass(frozen=True, slots=True)
class Services:
    """What a node lends its tenant actors."""

    store: Store
    unsealing: Unsealing
    threads: Threads
    turns: Turns
    settings: Tenants
    fresh: Callable[[], bool]  # False once the store was not heard within the lease
    clock: Callable[[], int] = time.time_ns
    timely: Callable[[], bool] = lambda: True  # see TenantContext
    usage_seconds: float = 10.0  # how long uses of transit keys, and clients, may wait to be written
    observe_uses: ObserveUses = unobserved
    near_limits: NearLimits = field(default_factory=NearLimits)
    unmounts: Unmounts = field(default_factory=Unmounts)
    let_go: Callable[[], None] = unobserved  # told that a tenant's keys were dropped, which cycles may still hold
    cache: Cache = field(default_factory=Cache)
    service: str = ""  # as the configuration calls it
    fetcher: Fetcher = field(default_factory=lambda: Fetcher(()))
    workers: int = 1  # of this node, which share what a quota lets through
    refused: Refused = unobserved  # told of requests that quotas refuse
    audit: Audit = field(default_factory=lambda: Audit(Outlets(AuditSettings()), Turns(), time.time_ns))

    def trusted_time(self) -> int | None:
        """Return the time by which something may be found due, or over; None while the clock must not decide that."""
        return trusted(self.clock, self.timely)


class TenantView:
    """What others may see of a tenant without asking: replaced values, changed only in the actor's turns.

    `account` counts the memory it takes.
    """

    __slots__ = (
        *("account", "erasure", "limiter", "mounts", "number", "revocations", "sealed", "seen"),
        *("seen_until", "tenure", "trail"),
    )

    def __init__(self, account: Account) -> None:
        self.account = account
        self.limiter: Limiter | None = None
        self.erasure: Erasure | None = None
        self.number = 0
        self.sealed = True
        self.tenure = Tenure(lambda: False)
        self.mounts = MountTable(())
        self.revocations = Revocations()
        self.trail: Trail | None = None
        self.seen: AbstractSet[str] = frozenset()  # biscuits, by their revocation ids
        self.seen_until = 0.0  # in seconds since 1970
