"""What the versions of a key are used for: the kinds of operation, how often each was done, and when last.

Only what succeeded counts: a ciphertext that does not open, or a signature that is not valid, shows no use.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, TypeAlias

import msgspec

from kms_actors.keyring import stored
from kms_actors.transit.ciphertext import PREFIX

#: Kinds of operation. A rewrap is a `decrypt` by one version and an `encrypt` by another; a certificate signing
#: request is a `sign`.
ENCRYPT: Final = "encrypt"
DECRYPT: Final = "decrypt"
DATA_KEY: Final = "datakey"
SIGN: Final = "sign"
HMAC: Final = "hmac"
CMAC: Final = "cmac"
VERIFY: Final = "verify"  # of signatures, HMACs and CMACs
DERIVE: Final = "derive"


#: Seconds by which clocks of nodes differ at most.
FAR: Final = 3600


class Use(msgspec.Struct, frozen=True, array_like=True):
    """How often something was done, and when last (seconds since 1970)."""

    count: int
    last: int


#: By kind of operation.
Uses: TypeAlias = Mapping[str, Use]
#: What a record, or a process, has of a version.
Part: TypeAlias = tuple[int, Uses]


class UsageRecord(msgspec.Struct, frozen=True):
    """A part of the uses of one version: what the processes counted that write this record."""

    uses: dict[str, Use]
    format: int = stored.FORMAT


def plus(one: Uses, other: Uses) -> dict[str, Use]:
    """Return the uses of both together."""
    total = dict(one)
    for operation, use in other.items():
        known = total.get(operation)
        total[operation] = use if known is None else Use(known.count + use.count, max(known.last, use.last))
    return total


def added(known: Uses, new: Uses) -> dict[str, Use]:
    """Return what is known with what came last; a time far ahead of that was counted by a clock that was wrong."""
    return plus({operation: _not_ahead(use, new.get(operation)) for operation, use in known.items()}, new)


def _not_ahead(use: Use, new: Use | None) -> Use:
    return Use(use.count, new.last) if new is not None and use.last > new.last + FAR else use


def total(parts: Iterable[Part]) -> dict[int, dict[str, Use]]:
    """Return the uses of each version, in order, of parts by version."""
    found: dict[int, dict[str, Use]] = {}
    for version, uses in parts:
        found[version] = plus(found.get(version, {}), uses)
    return dict(sorted(found.items()))


def version_of(text: str) -> int:
    """Return the version that a ciphertext, signature or MAC names which was found good. 0 stands for 1."""
    return int(text[len(PREFIX) : text.index(":", len(PREFIX))]) or 1
