"""What the rights of bearers come from: changes of it that others have to hear of."""

from __future__ import annotations

from typing import Final

from kms_actors.messages import Event
from kms_actors.store.api import Transaction
from kms_actors.store.keyspace import TenantKeys

#: (`policy-revision`,)   how many changes there were of what policies give
POLICY_REVISION: Final = "policy-revision"


class AuthoritiesChanged(Event, frozen=True):
    """Whoever keeps what a bearer may do asks anew: of those with this entity, or of all where it is empty."""

    entity_id: str = ""


class DutyLeft(Event, frozen=True):
    """Something of identities is left to be removed, or may be."""


def note_change(tr: Transaction, keys: TenantKeys) -> None:
    """Have changes that are allowed by policies, and are on their way, find that these are others now."""
    tr.add(keys.key(POLICY_REVISION), 1)
    tr.add(keys.key("revocations"), 1)
