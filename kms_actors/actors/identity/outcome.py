"""What a change of identities gives."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from kms_actors.actors.identity.resolving import NewIds

#: What a change of groups may be about: anybody.
EVERYBODY: Final = ("",)
#: Changes of single entities that are told as such; more are told as one of everybody.
_MOST: Final = 16


class Given(NamedTuple):
    """What a transaction may not make itself: ids, and the time in nanoseconds since 1970."""

    ids: NewIds
    now: int


class Outcome(NamedTuple):
    """The answer; the entities that others may have kept; and whether something is left to be removed."""

    answer: Any = None
    changed: tuple[str, ...] = ()
    left: bool = False


def told(entities: tuple[str, ...]) -> tuple[str, ...]:
    """Return how a change of these entities is told."""
    return entities if len(entities) <= _MOST else EVERYBODY
