"""OpenPGP: shares and tokens that only the holder of a private key can read.

By Sequoia's library (RFC 4880, RFC 9580), which decides what is safe to encrypt to.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

from kms_actors.errors import InvalidRequest
from kms_actors.untrusted import untrusted

#: Characters of a certificate in base64, and of all those of one request.
MOST_KEY: Final = 65_536
MOST_KEYS: Final = 1 << 19

_SECRET_KEY: Final = 5  # a packet
_UNREADABLE: Final = "error parsing given PGP key: it is no OpenPGP certificate"
_UNUSABLE: Final = (
    "the given PGP key cannot be encrypted to: it is expired, revoked, too weak, or has no key for encryption"
)


class Recipient(NamedTuple):
    """Who can read what is encrypted: a certificate, and its fingerprint in lower-case hex."""

    certificate: bytes
    fingerprint: str

    def encrypt(self, plaintext: bytes) -> bytes:
        """Return the message, in binary; takes a millisecond or so."""
        from pysequoia import Cert, encrypt  # noqa: PLC0415 - few nodes ever need it, and it is large

        with untrusted(_UNUSABLE):
            return bytes(encrypt(plaintext, [Cert.from_bytes(self.certificate)], armor=False))


def read_recipient(text: str) -> Recipient:
    """Return whom a certificate in base64 is of, once something was encrypted to him.

    Raises:
        InvalidRequest: it is none, or cannot be used; worded as Vault does, as far as that says anything.

    """
    from pysequoia import Cert  # noqa: PLC0415 - see above

    if len(text) > MOST_KEY:
        raise InvalidRequest(f"a PGP key has {MOST_KEY} characters at most")
    with untrusted("error decoding given PGP key: illegal base64 data"):
        raw = base64.b64decode("".join(text.split()), validate=True)
    if _is_private(raw):
        raise InvalidRequest("the given PGP key is a private one: give the public one alone")
    with untrusted(_UNREADABLE):
        certificate = Cert.from_bytes(raw)
        revoked, expires = certificate.is_revoked, certificate.expiration
        found = Recipient(bytes(certificate), certificate.fingerprint)
    if revoked or (expires is not None and expires <= datetime.now(UTC)):
        raise InvalidRequest(_UNUSABLE)
    found.encrypt(b"proof")
    return found


def read_recipients(texts: Sequence[str], shares: int, what: str) -> tuple[Recipient, ...]:
    """Return those of all shares, or none; `what` begins the text of a wrong number of them."""
    if texts and len(texts) != shares:
        raise InvalidRequest(f"{what}count mismatch between number of provided PGP keys and number of shares")
    if sum(map(len, texts)) > MOST_KEYS:
        raise InvalidRequest(f"PGP keys have {MOST_KEYS} characters at most, all together")
    return tuple(map(read_recipient, texts))


def encrypt_shares(shares: Sequence[bytes], recipients: Sequence[Recipient]) -> tuple[bytes, ...]:
    """Return each share, in hex as Vault has it, for the one that it is for; as they are without recipients."""
    if not recipients:
        return tuple(shares)
    return tuple(recipient.encrypt(share.hex().encode()) for share, recipient in zip(shares, recipients, strict=True))


class Readers(NamedTuple):
    """Who can read what an initialisation gives out; everybody who sees it, where nobody is named."""

    shares: tuple[Recipient, ...] = ()
    root_token: Recipient | None = None

    @classmethod
    async def read(cls, shares: int, pgp_keys: Sequence[str], root_token_pgp_key: str) -> Readers:
        """Return those of certificates in base64; raises InvalidRequest."""
        if not pgp_keys and not root_token_pgp_key:
            return NOBODY_ELSE
        recipients = await asyncio.to_thread(read_recipients, pgp_keys, shares, "invalid seal configuration: ")
        return cls(
            recipients,
            await asyncio.to_thread(read_recipient, root_token_pgp_key) if root_token_pgp_key else None,
        )

    async def given(self, shares: tuple[bytes, ...]) -> tuple[bytes, ...]:
        """Return the shares as they are given out."""
        return await asyncio.to_thread(encrypt_shares, shares, self.shares) if self.shares else shares

    def token(self, token: str) -> str:
        """Return the root token as it is given out."""
        if self.root_token is None:
            return token
        return base64.b64encode(self.root_token.encrypt(token.encode())).decode()


NOBODY_ELSE: Final = Readers()


def _is_private(raw: bytes) -> bool:
    """Tell by its first packet whether a key is a private one (RFC 9580, 4.2 and 5)."""
    first = raw[0] if raw else 0
    tag = first & 0x3F if first & 0x40 else first >> 2 & 0x0F
    return (first & 0x80 != 0 and tag == _SECRET_KEY) or b"PRIVATE KEY" in raw[:64]
