"""The two Ed25519 key pairs that sign tokens: the root key signs the authority block, the service key the second."""

from __future__ import annotations

import re
import secrets
from typing import Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from kms_actors.errors import InvalidRequest
from kms_actors.secret import SecretBytes

_PRIVATE: Final = re.compile(r"(?:ed25519-private/|ed25519/)?([0-9a-fA-F]{64})", re.ASCII)
_PUBLIC: Final = re.compile(r"(?:ed25519/)?([0-9a-fA-F]{64})", re.ASCII)


class TokenKeys(msgspec.Struct, frozen=True):
    """The private keys of one accepted pair, 32 bytes each."""

    root: SecretBytes
    service: SecretBytes

    @classmethod
    def generate(cls) -> TokenKeys:
        """Make two new key pairs."""
        return cls(SecretBytes(secrets.token_bytes(32)), SecretBytes(secrets.token_bytes(32)))

    @property
    def public(self) -> tuple[str, str]:
        """The public keys in hex: one entry of `keys` in the configuration."""
        return public_hex(self.root), public_hex(self.service)


def public_hex(private: SecretBytes) -> str:
    """Return the public key of an Ed25519 private key, in hex."""
    return Ed25519PrivateKey.from_private_bytes(private.reveal()).public_key().public_bytes_raw().hex()


def parse_private(text: str) -> SecretBytes:
    """Return the private key written as 64 hex digits, with or without `ed25519-private/` before them."""
    match = _PRIVATE.fullmatch(text.strip())
    if match is None:
        raise InvalidRequest("a private key is 64 hex digits")
    return SecretBytes(bytes.fromhex(match[1]))


def parse_public(text: str) -> str:
    """Return the 64 hex digits of a public key written with or without `ed25519/` before them."""
    match = _PUBLIC.fullmatch(text.strip())
    if match is None:
        raise InvalidRequest("a public key is 64 hex digits")
    return match[1].lower()
