"""What nodes leave in the store about themselves: nothing that is secret, so nothing of it is sealed."""

from __future__ import annotations

from typing import Final

import msgspec

from kms_actors.keyring import stored

#: Seconds between two words of a node, and since the last one until it is left out of lists.
BEAT_SECONDS: Final = 10.0
GONE_SECONDS: Final = 3600.0
#: Nodes and versions that are told of at most: each is one that somebody has set up.
MOST: Final = 1000


class Member(msgspec.Struct, frozen=True):
    """A node, as it said last. Times are seconds since 1970."""

    name: str
    hostname: str
    address: str  # of its API
    version: str
    started: float
    heard: float
    sealed: bool = True
    format: int = stored.FORMAT


class Installed(msgspec.Struct, frozen=True):
    """When a version of the program first ran on this store, in seconds since 1970."""

    installed: float
    format: int = stored.FORMAT


class InstalledVersion(msgspec.Struct, frozen=True):
    """A version, when it first ran, and which one did before; None for the first."""

    version: str
    installed: float
    previous: str | None = None


def in_order(found: dict[str, Installed]) -> list[InstalledVersion]:
    """Return versions in the order in which they first ran."""
    ordered = sorted(found.items(), key=lambda each: (each[1].installed, each[0]))
    previous: list[str | None] = [None, *(version for version, _ in ordered)]
    return [
        InstalledVersion(version, record.installed, before)
        for (version, record), before in zip(ordered, previous, strict=False)
    ]


def living(found: list[Member], now: float) -> list[Member]:
    """Return the nodes that were heard of lately."""
    return [member for member in found if now - member.heard < GONE_SECONDS]
