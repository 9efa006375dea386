"""Messages of identities."""

from __future__ import annotations

from kms_actors.messages import Message, Query
from kms_actors.policy.templates import Subject


class ResolveEntity(Query, frozen=True):
    """What an entity may do now. Answer: Resolved, in the turn where it is kept; raises NotFound if it is gone.

    An entity that was merged into another answers as that one.
    """

    entity_id: str


class Resolved(Message, frozen=True):
    """An entity with all its groups. `policies` are its own and those of the groups it is in, by others too; sorted.

    `changed`: what was kept of it before is out of date, see `kms_actors.actors.identity.resolving.entity_for`.
    """

    entity_id: str
    name: str
    disabled: bool
    policies: tuple[str, ...]
    subject: Subject
    groups: tuple[str, ...] = ()  # ids, sorted
    changed: bool = False
