"""Derived keys: keys for callers, made of a version's HMAC key and what they say, the same again each time.

How Vault derives them is not published, so the values are our own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from kms_actors.errors import InvalidRequest
from kms_actors.transit.items import (
    Encrypted,
    EncryptItem,
)
from kms_actors.transit.key import TransitKey
from kms_actors.transit.macs import hmac_key

_LABEL: Final = b"clever-kms derived key v1"


class Derivation(msgspec.Struct, frozen=True):
    """What a caller says of keys; `length` in bytes."""

    length: int
    salt: bytes
    info: bytes

    def key(self, secret: bytes, index: int) -> bytes:
        """Return key number `index` (0 … 2^64 - 1): HKDF-SHA256 (RFC 5869) of `secret` with the salt.

        What HKDF calls info is a label, the caller's info behind its length (4 bytes), and the index (8 bytes), so
        that no two choices give the same.
        """
        info = _LABEL + len(self.info).to_bytes(4, "big") + self.info + index.to_bytes(8, "big")
        return HKDF(algorithm=SHA256(), length=self.length, salt=self.salt, info=info).derive(secret)


def derived_keys(
    key: TransitKey, derivation: Derivation, indices: Sequence[int], item: EncryptItem | InvalidRequest
) -> list[tuple[Encrypted, bytes]]:
    """Return the keys with these indices, encrypted as `item` says and in the clear.

    They come from the HMAC key of the version that encrypts them.
    """
    if isinstance(item, InvalidRequest):
        raise item
    key.check_usable()
    secret = hmac_key(key, key.version_for("encryption", item.key_version))
    made = [derivation.key(secret, index) for index in indices]
    pairs = []
    for encrypted, plaintext in zip(
        key.encrypt([msgspec.structs.replace(item, plaintext=plaintext) for plaintext in made]), made, strict=True
    ):
        if isinstance(encrypted, InvalidRequest):
            raise encrypted
        pairs.append((encrypted, plaintext))
    return pairs
