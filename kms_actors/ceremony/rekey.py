"""A rekey: a quorum of the shares that there are gives others, of a new key that wraps the same keyring.

begin → shares of the old key, one by one → done; or, where it is to be verified, shares of the new key → done. Until
it is done the old shares open what they opened, from then on the new ones alone. An attempt ends an hour after its
last share. Texts are those of Vault, and of OpenBao where it is asked by its newer names.

Source: Vault's API pages `sys/rekey`, OpenBao's `sys/rotate/root`.
"""

from __future__ import annotations

import hmac
from typing import Annotated, Final, NamedTuple

import msgspec

from kms_actors.errors import InvalidRequest, InvalidShares
from kms_actors.keyring import shamir, stored
from kms_actors.keyring.check_value import has_check_value
from kms_actors.keyring.seal import SealConfig, validate_counts
from kms_actors.secret import SecretBytes, overwriting, overwriting_parts

#: Seconds from the last share that was given until an attempt is forgotten.
LIFETIME: Final = 3600.0

_Count = Annotated[int, msgspec.Meta(ge=1, le=255)]


class Words(NamedTuple):
    """What errors call it."""

    invalid: str
    in_progress: str
    none: str
    none_configured: str
    none_to_verify: str
    nonce: str
    finished: str


REKEY: Final = Words(
    invalid="invalid rekey seal configuration: ",
    in_progress="rekey already in progress",
    none="no barrier rekey in progress",
    none_configured="no rekey configuration found",
    none_to_verify="no rekey in progress",
    nonce="incorrect nonce supplied; nonce for this rekey operation is ",
    finished="rekey operation already finished; ",
)
ROTATION: Final = Words(
    invalid="invalid rotate seal configuration: ",
    in_progress="rotation already in progress",
    none="no rotation in progress",
    none_configured="no rotation configuration found",
    none_to_verify="no rotation in progress",
    nonce="incorrect nonce supplied; nonce for rotation is ",
    finished="rotation already finished; ",
)
_ALREADY: Final = "given key has already been provided during this {} operation"
_WRONG: Final = "invalid key: the shares do not give the key; progress was reset"
_NOT_VERIFIED: Final = "rekey verification failed; incorrect key shares supplied"


class NewKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A key that was shared out and is to be verified; `parts` are those of its shares that were given back."""

    key: bytes
    seal: SealConfig
    nonce: str
    parts: tuple[bytes, ...] = ()

    def __repr__(self) -> str:
        return "<NewKey>"

    __del__ = overwriting("key")


class Rekey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An attempt; `parts` are the shares of the old key that were given. Times are in seconds since 1970."""

    nonce: str
    shares: _Count
    threshold: _Count
    touched: float
    pgp_keys: tuple[str, ...] = ()
    fingerprints: tuple[str, ...] = ()
    backup: bool = False
    require_verification: bool = False
    parts: tuple[bytes, ...] = ()
    new: NewKey | None = None
    format: int = stored.FORMAT

    def lives(self, now: float) -> bool:
        """Tell whether the attempt goes on; what a clock far ahead has written does not."""
        return self.touched - LIFETIME <= now < self.touched + LIFETIME

    def encode(self) -> bytes:
        """Return the stored form, shares in the clear: only to be sealed."""
        return stored.encode_secret(self, room_for=_ROOM + sum(map(len, self.pgp_keys)))

    @classmethod
    def decode(cls, raw: bytes) -> Rekey:
        """Return the record in `raw`; raises FormatError."""
        return stored.decode(raw, cls, "rekey")

    def __repr__(self) -> str:
        return "<Rekey>"

    __del__ = overwriting_parts("parts")


#: Bytes for all of an attempt but its PGP keys.
_ROOM: Final = 1 << 17


class Backup(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The shares of the last rekey that was to be backed up, each encrypted to one of `fingerprints`."""

    nonce: str
    fingerprints: tuple[str, ...]
    keys: tuple[bytes, ...]
    format: int = stored.FORMAT

    def encode(self) -> bytes:
        """Return the stored form."""
        return stored.encode(self)

    @classmethod
    def decode(cls, raw: bytes) -> Backup:
        """Return the record in `raw`; raises FormatError."""
        return stored.decode(raw, cls, "rekey backup")


def check(shares: int, threshold: int, words: Words) -> None:
    """Raise InvalidRequest unless a key can be shared out like this."""
    try:
        validate_counts(shares, threshold)
    except InvalidRequest as error:
        raise InvalidRequest(words.invalid + str(error).partition(": ")[2]) from None


def give(rekey: Rekey | None, share: bytes, nonce: str, words: Words, now: float) -> Rekey:
    """Return the attempt with a share of the old key; raises InvalidRequest."""
    if rekey is None:
        raise InvalidRequest(words.none)
    if rekey.new is not None:
        verification = f'nonce for the verification operation is "{rekey.new.nonce}"'
        raise InvalidRequest(f"{words.finished}verification must be performed; {verification}")
    if not hmac.compare_digest(nonce.encode(), rekey.nonce.encode()):
        raise InvalidRequest(f'{words.nonce}"{rekey.nonce}"')
    _check_new(rekey.parts, share, "generation")
    return msgspec.structs.replace(rekey, parts=(*rekey.parts, share), touched=now)


def verify(rekey: Rekey | None, share: bytes, nonce: str, words: Words, now: float) -> tuple[Rekey, NewKey]:
    """Return the attempt with a share of the new key; raises InvalidRequest."""
    if rekey is None or rekey.new is None:
        raise InvalidRequest(words.none_to_verify)
    new = rekey.new
    if not hmac.compare_digest(nonce.encode(), new.nonce.encode()):
        raise InvalidRequest(f'incorrect nonce supplied; nonce for this verify operation is "{new.nonce}"')
    _check_new(new.parts, share, "verify")
    new = msgspec.structs.replace(new, parts=(*new.parts, share))
    return msgspec.structs.replace(rekey, new=new, touched=now), new


def key_of(parts: tuple[bytes, ...], seal: SealConfig) -> SecretBytes | None:
    """Return the key that shares give, or None while they are too few.

    Raises:
        InvalidShares: they do not give the key of `seal`; which of them are wrong is not told.

    """
    if len(parts) < seal.threshold:
        return None
    try:
        key = shamir.combine(parts)
    except InvalidShares:
        raise InvalidShares(_WRONG) from None
    if not has_check_value(key, seal.key_check_value):
        raise InvalidShares(_WRONG)
    return key


def verified(new: NewKey) -> bool:
    """Tell whether the shares that were given back give the new key; False while they are too few.

    Raises:
        InvalidShares: they do not.

    """
    try:
        return key_of(new.parts, new.seal) is not None
    except InvalidShares:
        raise InvalidShares(_NOT_VERIFIED) from None


def _check_new(parts: tuple[bytes, ...], share: bytes, operation: str) -> None:
    if sum(hmac.compare_digest(share, part) for part in parts):  # sum: compare with every one
        raise InvalidRequest(_ALREADY.format(operation))
