"""How far a reseal has come: kept in the store, moved in the transaction that reseals a page.

(`reseal`, namespace, scope)   Place; `scope` is a vault id, or `all`
"""

from __future__ import annotations

import msgspec

from kms_actors.keyring import stored
from kms_actors.store import keyspace


class Place(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where to go on; `began` in seconds since 1970, `rotated` tells that a keyring met so far is younger than that.

    Counted are records that were sealed anew, and vaults that were left out, since they were sealed.
    """

    next: bytes
    began: float
    resealed: int = 0
    left_out: int = 0
    rotated: bool = False
    format: int = stored.FORMAT

    def encode(self) -> bytes:
        """Return the stored form."""
        return stored.encode(self)

    @classmethod
    def decode(cls, raw: bytes) -> Place:
        """Return the record in `raw`; raises FormatError."""
        return stored.decode(raw, cls, "place of a reseal")


def place_key(namespace: str, scope: str) -> bytes:
    """Return where it is kept."""
    return keyspace.pack("reseal", namespace, scope)
