"""A root token for who has a quorum of a vault's shares: handed out so that only who asked for it can read it.

Either XORed with a one-time password, which he knows from the beginning, or encrypted to his OpenPGP certificate.

Source: Vault's API page `sys/generate-root`, OpenBao's `sys/generate-root-token`.
"""

from __future__ import annotations

import base64
import hmac
import os
import string
from collections.abc import Callable
from typing import Final

import msgspec

from kms_actors.ceremony.rekey import LIFETIME
from kms_actors.errors import InvalidRequest
from kms_actors.keyring import stored
from kms_actors.secret import overwriting_parts

#: Characters of a service token, and so of a one-time password.
OTP_LENGTH: Final = 28

_ALPHABET: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
#: Characters of a token that is encoded, and of a password, whoever has made them.
_LONGEST: Final = 4096
_APART: Final = "the encoded token and the OTP do not belong together"
_NONE: Final = "no root generation in progress"
_NONCE: Final = "incorrect nonce supplied; nonce for this root generation operation is "
_ALREADY: Final = "given key has already been provided during this generation operation"

IN_PROGRESS: Final = "root generation already in progress"


class RootGeneration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An attempt; it has either `otp` or `pgp_key` (in base64, of `fingerprint`). Times: seconds since 1970."""

    nonce: str
    touched: float
    otp: str = ""
    pgp_key: str = ""
    fingerprint: str = ""
    parts: tuple[bytes, ...] = ()
    format: int = stored.FORMAT

    def lives(self, now: float) -> bool:
        """Tell whether the attempt goes on; what a clock far ahead has written does not."""
        return self.touched - LIFETIME <= now < self.touched + LIFETIME

    def encode(self) -> bytes:
        """Return the stored form, shares and password in the clear: only to be sealed."""
        return stored.encode_secret(self, room_for=_ROOM + len(self.pgp_key))

    @classmethod
    def decode(cls, raw: bytes) -> RootGeneration:
        """Return the record in `raw`; raises FormatError."""
        return stored.decode(raw, cls, "root generation")

    def __repr__(self) -> str:
        return "<RootGeneration>"

    __del__ = overwriting_parts("parts")


#: Bytes for all of an attempt but its PGP key.
_ROOM: Final = 1 << 16


def new_otp(random: Callable[[int], bytes] = os.urandom) -> str:
    """Return a one-time password: uniform base62, as long as a token."""
    text = ""
    while len(text) < OTP_LENGTH:
        text += "".join(_ALPHABET[byte % 62] for byte in random(OTP_LENGTH) if byte < 248)
    return text[:OTP_LENGTH]


def check_otp(otp: str) -> None:
    """Raise InvalidRequest for a password of another length than a token's."""
    if len(otp.encode()) != OTP_LENGTH:
        raise InvalidRequest("OTP string has incorrect length")


def give(attempt: RootGeneration | None, share: bytes, nonce: str, now: float) -> RootGeneration:
    """Return the attempt with a share; raises InvalidRequest."""
    if attempt is None:
        raise InvalidRequest(_NONE)
    if not hmac.compare_digest(nonce.encode(), attempt.nonce.encode()):
        raise InvalidRequest(f'{_NONCE}"{attempt.nonce}"')
    if sum(hmac.compare_digest(share, part) for part in attempt.parts):  # sum: compare with every one
        raise InvalidRequest(_ALREADY)
    return msgspec.structs.replace(attempt, parts=(*attempt.parts, share), touched=now)


def encode_token(token: str, otp: str) -> str:
    """Return a token XORed with a password of its length, in base64 without padding."""
    mixed = bytes(one ^ other for one, other in zip(token.encode(), otp.encode(), strict=True))
    return base64.b64encode(mixed).decode().rstrip("=")


def decode_token(encoded: str, otp: str) -> str:
    """Return the token of `encode_token`; raises InvalidRequest where these two do not belong together."""
    if max(len(encoded), len(otp)) > _LONGEST:  # what follows takes time for each byte
        raise InvalidRequest(_APART)
    try:
        mixed = base64.b64decode(encoded.rstrip("=") + "=" * (-len(encoded.rstrip("=")) % 4), validate=True)
        token = bytes(one ^ other for one, other in zip(mixed, otp.encode(), strict=True))
        return token.decode("ascii")
    except ValueError:
        raise InvalidRequest(_APART) from None
