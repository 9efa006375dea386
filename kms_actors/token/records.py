"""Records of tokens beside a token's own (`auth.service_token`)."""

from __future__ import annotations

import msgspec

from kms_actors.keyring import stored


class Accessor(msgspec.Struct, frozen=True, kw_only=True):
    """Where the records of a token lie that an accessor names: its keyed hash, and the digest of its proof.

    `expires_at` is the token's, in seconds since 1970: what hangs on it ends by then, too.
    """

    hash: bytes
    proof: bytes
    expires_at: float | None = None
    format: int = stored.FORMAT

    @classmethod
    def decode(cls, raw: bytes) -> Accessor:
        """Return the record that `encode` wrote; FormatError if it is none, or of another format."""
        return stored.decode(raw, cls, "accessor record")

    def encode(self) -> bytes:
        """Return the record as JSON."""
        return stored.encode(self)

    def __repr__(self) -> str:
        return "<Accessor>"


class UsesLeft(msgspec.Struct, frozen=True, kw_only=True):
    """How often a token can still be used."""

    uses: int
    format: int = stored.FORMAT

    @classmethod
    def decode(cls, raw: bytes) -> UsesLeft:
        """Return the record that `encode` wrote; FormatError if it is none, or of another format."""
        return stored.decode(raw, cls, "record of a token's uses")

    def encode(self) -> bytes:
        """Return the record as JSON."""
        return stored.encode(self)
