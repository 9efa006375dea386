"""What is kept of a vault's clients. Months are numbers (`months`)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

import msgspec

from kms_actors.activity.clients import OTHER_MOUNTS
from kms_actors.keyring import stored

#: Clients that a month tells apart; of those beyond, nothing is kept but that there were some.
MOST_CLIENTS: Final = 100_000
#: Mounts that a month tells apart.
MOST_MOUNTS: Final = 50
#: Months before the present one that are kept at most, as in Vault, and where nobody says otherwise.
MOST_RETAINED: Final = 36
_RETAINED: Final = 24
_REPORTED: Final = 12

DEFAULT: Final = "default"
ENABLED: Final = ("default", "enable", "disable")


class Part(NamedTuple):
    """How many clients of a month were there `before` in that month last (0: never), by the mount they came by."""

    before: int
    mount: int
    entities: int
    others: int


class Month(msgspec.Struct, frozen=True):
    """The clients of a month, in the open as other counts of a vault: it names none of them.

    `full`: there were more than are told apart.
    """

    parts: tuple[Part, ...] = ()
    full: bool = False
    format: int = stored.FORMAT

    @property
    def clients(self) -> int:
        """How many there are."""
        return sum(part.entities + part.others for part in self.parts)

    def plus(self, seen: Iterable[tuple[int, int, bool]]) -> Month:
        """Return it with clients that are new to it: for each its month before, its mount, and if it is an entity."""
        counts = {(part.before, part.mount): [part.entities, part.others] for part in self.parts}
        mounts = {mount for _, mount in counts}
        for before, by, entity in seen:
            mount = by if by in mounts or len(mounts) < MOST_MOUNTS else OTHER_MOUNTS
            mounts.add(mount)
            counts.setdefault((before, mount), [0, 0])[not entity] += 1
        return Month(tuple(Part(*key, *numbers) for key, numbers in sorted(counts.items())), self.full)


class SeenClient(msgspec.Struct, frozen=True):
    """A client in a month: when it was first seen in it, in seconds since 1970, and in which month before."""

    id: str
    entity: bool
    mount: int
    seen: int
    before: int = 0
    format: int = stored.FORMAT


class ActivityConfig(msgspec.Struct, frozen=True):
    """What a vault's operator has said of counting."""

    enabled: str = DEFAULT
    retention_months: int = _RETAINED
    report_months: int = _REPORTED
    format: int = stored.FORMAT

    @property
    def counts(self) -> bool:
        """Whether clients are counted: they are where nobody says otherwise."""
        return self.enabled != "disable"

    def oldest(self, month: int) -> int:
        """Return the first month that is kept in `month`."""
        return month - self.retention_months
