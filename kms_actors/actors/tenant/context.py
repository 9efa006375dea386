"""What the controllers of a tenant actor work with.

A tenant actor hands each concern (KV, Transit, mounts, tokens) to a controller. Controllers are made when they are
needed while the tenant is unsealed, and are dropped with everything they hold when it is sealed.

A handler runs within a mailbox turn: it is synchronous, may change the controller's state, and returns the
answer, or `context.spawn(coroutine)` when the answer needs the store. The coroutine changes no state: what it
found goes back as an event (`await context.ask(event)`), before it returns its own answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from kms_actors.actors.cluster.timekeeping import trusted
from kms_actors.actors.tenant.limits import NearLimits
from kms_actors.actors.tenant.listing import LongReads
from kms_actors.actors.tenant.store import TenantStore
from kms_actors.actors.tenant.tallies import Tallies
from kms_actors.cache import Account
from kms_actors.fetch import OwnFetch, nowhere
from kms_actors.keyring.keyring import Keyring
from kms_actors.messages import (
    Event,
    Message,
)
from kms_actors.runtime import OwnThreads, Turns
from kms_actors.runtime.threads import always
from kms_actors.store.api import Transaction
from kms_actors.store.keyspace import TenantKeys

T = TypeVar("T")
Handler = Callable[[Any], Any]


def proceed() -> None:
    """Go on with whatever is under way."""


@dataclass(frozen=True, slots=True)
class TenantContext:
    """An unsealed tenant: its place in the store, its keyring, and the actor's own services."""

    vault_id: str
    store: TenantStore
    keys: TenantKeys
    keyring: Keyring
    clock: Callable[[], int]  # nanoseconds since 1970
    spawn: Callable[[Coroutine[Any, Any, Any]], asyncio.Task[Any]]
    spawn_apart: Callable[[Coroutine[Any, Any, Any]], asyncio.Task[Any]]  # for work that belongs to no one request
    ask: Callable[[Message], Awaitable[Any]]  # through this actor's own mailbox
    notify: Callable[[Event], None]  # likewise, for events that must not be refused by a full mailbox
    record: Record  # tells other nodes of a change
    threads: OwnThreads  # for CPU-heavy work: key generation, RSA, large payloads
    service: str = ""  # what the configuration calls this service, for checks of tokens
    account: Account = field(default_factory=Account)  # of all memory this tenant takes
    key_bytes: int = 16 << 20  # what its loaded keys may take of that
    tallies: Tallies = field(default_factory=Tallies)  # what it has, and may have
    near_limits: NearLimits = field(default_factory=NearLimits)
    long_reads: LongReads = field(default_factory=LongReads)  # those of this tenant
    turns: Turns = field(default_factory=Turns)  # for long work in slices on the loop: one for all tenants
    timely: Callable[[], bool] = lambda: True  # False while the clock must not decide that something is due
    wanted: Callable[[asyncio.Task[Any]], bool] = always  # False once nobody waits for a task
    fetch: OwnFetch = field(default_factory=nowhere)  # requests to other servers, for logins
    proceed: Callable[[], None] = proceed  # raises where work on keys must not go on; asked before each slice

    def trusted_time(self) -> int | None:
        """Return the time by which something may be found due, or over; None while the clock must not decide that."""
        return trusted(self.clock, self.timely)


class Record(Protocol):
    """Adds a change to the log: an area, a name within it, and when a revocation is needed no more."""

    def __call__(self, tr: Transaction, area: str, name: str, ends: int = 0) -> None: ...


class Controller(Protocol):
    """One concern of a tenant."""

    def handlers(self) -> Mapping[type[Message], Handler]:
        """Return which message types this controller takes and what handles each."""
