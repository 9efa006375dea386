"""The seal of a cluster: its master key is in shares, or in the keeping of a provider that gives it back by itself.

The two are records of one place, told apart by their format; a program that knows only the first says so of the
other.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import msgspec

from kms_actors.keyring import stored
from kms_actors.keyring.seal import SealConfig

SHAMIR: Final = "shamir"

_FORMAT: Final = 2
_NAME: Final = "seal config"


class ProviderSeal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The master key as a provider has wrapped it, which opens to nobody without that.

    `recovery` are shares of another key: they prove that a quorum of operators wants something, and open nothing.
    """

    type: Literal["static", "transit", "pkcs11"]
    key_id: str  # as the provider calls its key, and the version of that
    wrapped: bytes
    key_check_value: str  # hex, of the master key
    created: float  # seconds since 1970
    recovery: SealConfig | None = None
    format: int = _FORMAT

    def encode(self) -> bytes:
        """Return the stored form, which holds no secret in the clear."""
        return stored.encode(self)

    @classmethod
    def decode(cls, raw: bytes) -> ProviderSeal:
        """Return the record in `raw`; raises FormatError."""
        return stored.decode(raw, cls, _NAME, format=_FORMAT)


MasterSeal: TypeAlias = SealConfig | ProviderSeal


def decode_seal(raw: bytes) -> MasterSeal:
    """Return the record in `raw`, of whichever kind; raises FormatError."""
    kind = ProviderSeal if stored.format_of(raw, _NAME) == _FORMAT else SealConfig
    return kind.decode(raw)


def type_of(seal: MasterSeal) -> str:
    """Return who keeps the key."""
    return seal.type if isinstance(seal, ProviderSeal) else SHAMIR


def shares_of(seal: MasterSeal) -> SealConfig | None:
    """Return how the key of its operators is shared out: the master key, or the recovery key, if there is one."""
    return seal.recovery if isinstance(seal, ProviderSeal) else seal
