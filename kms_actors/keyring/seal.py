"""Seals: how a key is shared out, and the gathering of its shares until they give it back.

One error answers every wrong quorum (a wrong or foreign share, a coordinate given twice), so it never tells
which share was wrong; and only a quorum: until then a wrong share counts like any other, so that nobody ends an
attempt of others by one share. Callers drop the progress on `InvalidShares`, and once the key is there.
"""

from __future__ import annotations

import hmac
import os
from typing import Annotated, Final

import msgspec

from kms_actors.errors import InvalidRequest, InvalidShares
from kms_actors.keyring import shamir, stored
from kms_actors.keyring.check_value import has_check_value, key_check_value
from kms_actors.secret import SecretBytes, overwriting_parts

#: Seconds until shares that were given are forgotten.
PROGRESS_LIFETIME: Final = 600.0

_WRONG_SHARES: Final = "invalid key: the shares do not give the key; unseal progress was reset"

_Count = Annotated[int, msgspec.Meta(ge=1, le=255)]


class SealConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The shares of a root or master key. The key is nowhere; its check value tells a right quorum.

    The check value may come from a configuration, for a key that was made elsewhere.
    """

    shares: _Count
    threshold: _Count
    key_check_value: str  # hex
    created: float  # seconds since 1970
    format: int = stored.FORMAT

    def encode(self) -> bytes:
        """Return the stored form, which holds no secret."""
        return stored.encode(self)

    @classmethod
    def decode(cls, raw: bytes) -> SealConfig:
        """Return the record in `raw`; raises FormatError."""
        return stored.decode(raw, cls, "seal config")


class UnsealProgress(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The shares given so far in one attempt; shows nothing of them."""

    nonce: str  # a UUID that names the attempt
    parts: tuple[bytes, ...]
    started: float  # seconds since 1970
    expires: float  # seconds since 1970
    format: int = stored.FORMAT

    def lives(self, now: float) -> bool:
        """Tell whether the attempt goes on; one that a clock far ahead began would not end in time, and does not."""
        return 2 * self.started - self.expires <= now < self.expires

    def encode(self) -> bytes:
        """Return the stored form, shares in the clear: only to be sealed by a keyring."""
        return stored.encode_secret(self)

    @classmethod
    def decode(cls, raw: bytes) -> UnsealProgress:
        """Return the record in `raw`; raises FormatError."""
        return stored.decode(raw, cls, "unseal progress")

    def __repr__(self) -> str:
        return "<UnsealProgress>"

    __del__ = overwriting_parts("parts")


def validate_counts(shares: int, threshold: int) -> None:
    """Raise InvalidRequest, worded as Vault does, unless a key can be shared out like this."""
    rules = (
        (shares < 1, "shares must be at least one"),
        (threshold < 1, "threshold must be at least one"),
        (shares > 1 and threshold == 1, "threshold must be greater than one for multiple shares"),
        (shares > 255, "shares must be less than 256"),
        (threshold > 255, "threshold must be less than 256"),
        (threshold > shares, "threshold cannot be larger than shares"),
    )
    for broken, text in rules:
        if broken:
            raise InvalidRequest(f"invalid seal configuration: {text}")


def make_key(shares: int, threshold: int, now: float) -> tuple[SecretBytes, tuple[bytes, ...], SealConfig]:
    """Return a new 32-byte key, its shares, and the seal that tells a right quorum of them.

    Raises:
        InvalidRequest: as `validate_counts`.

    """
    validate_counts(shares, threshold)
    key = SecretBytes(os.urandom(shamir.SECRET_LENGTH))
    return key, shamir.split(key, shares, threshold), SealConfig(shares, threshold, key_check_value(key), now)


def add_share(
    progress: UnsealProgress | None,
    share: bytes,
    config: SealConfig,
    now: float,
    nonce: str,
    *,
    lifetime: float = PROGRESS_LIFETIME,
) -> UnsealProgress:
    """Return the progress with `share` added; without one, or with an expired or full one, start anew.

    A new attempt is named `nonce` and ends `lifetime` seconds after `now`. A share given again changes nothing.

    """
    if progress is None or not progress.lives(now) or len(progress.parts) >= config.threshold:
        return UnsealProgress(nonce, (share,), started=now, expires=now + lifetime)
    if sum(hmac.compare_digest(share, part) for part in progress.parts):  # sum: compare with every one
        return progress
    return msgspec.structs.replace(progress, parts=(*progress.parts, share))


def complete(progress: UnsealProgress, config: SealConfig) -> SecretBytes | None:
    """Return the key that the shares give, or None while they are fewer than the threshold.

    Raises:
        InvalidShares: they do not give the key of `config`; the attempt is over.

    """
    if len(progress.parts) < config.threshold:
        return None
    try:
        key = shamir.combine(progress.parts)
    except InvalidShares:
        raise InvalidShares(_WRONG_SHARES) from None
    if not has_check_value(key, config.key_check_value):
        raise InvalidShares(_WRONG_SHARES)
    return key
