"""What a line of the change log becomes in the mailbox of its tenant: events of the controllers that it concerns."""

from __future__ import annotations

from kms_actors.actors.cluster.changes import IDENTITY, LOGIN, POLICY, TOKEN, TRANSIT, Change
from kms_actors.actors.identity.resolving import IdentityChanged
from kms_actors.actors.login.remembered import LoginsChanged
from kms_actors.actors.policy.controller import PolicyChanged
from kms_actors.actors.token.bearers import TokenChanged
from kms_actors.actors.transit.controller import KeyChanged
from kms_actors.messages import Event


def events_of(change: Change) -> tuple[Event, ...]:
    """Return the events of a change, in order; none where the tenant's actor itself knows what to do."""
    if change.area == TOKEN:
        return (TokenChanged(change.name),)
    if change.area == TRANSIT:
        mount, _, name = change.name.partition("/")
        return (KeyChanged((int(mount), name)),)
    if change.area == IDENTITY:
        return (IdentityChanged(change.name),)
    if change.area == POLICY:
        return (PolicyChanged(change.name),)
    if change.area == LOGIN:
        return (LoginsChanged(change.name),)
    return ()
