"""What the rights of bearers come from: changes of it that others have to hear of."""

from __future__ import annotations

from kms_actors.messages import Event


class AuthoritiesChanged(Event, frozen=True):
    """Whoever keeps what a bearer may do asks anew: of those with this entity, or of all where it is empty."""

    entity_id: str = ""


class DutyLeft(Event, frozen=True):
    """Something of identities is left to be removed, or may be."""
