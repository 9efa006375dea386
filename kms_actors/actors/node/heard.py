"""What a line of the change log becomes in the mailbox of its tenant: events of the controllers that it concerns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from kms_actors.actors.activity.controller import CountingChanged
from kms_actors.actors.cluster.changes import ACTIVITY, IDENTITY, LOGIN, POLICY, TOKEN, TRANSIT, Change
from kms_actors.actors.identity.resolving import IdentityChanged
from kms_actors.actors.login.remembered import LoginsChanged
from kms_actors.actors.policy.controller import PolicyChanged
from kms_actors.actors.token.bearers import TokenChanged
from kms_actors.actors.transit.controller import KeyChanged
from kms_actors.messages import Event

_NAMED: Final[Mapping[str, Callable[[str], Event]]] = {
    TOKEN: TokenChanged,
    IDENTITY: IdentityChanged,
    POLICY: PolicyChanged,
    LOGIN: LoginsChanged,
}


def events_of(change: Change) -> tuple[Event, ...]:
    """Return the events of a change, in order; none where the tenant's actor itself knows what to do."""
    if change.area == TRANSIT:
        mount, _, name = change.name.partition("/")
        return (KeyChanged((int(mount), name)),)
    if change.area == ACTIVITY:
        return (CountingChanged(), TokenChanged("00/"))  # all tokens are loaded anew, and noted then
    kind = _NAMED.get(change.area)
    return () if kind is None else (kind(change.name),)
