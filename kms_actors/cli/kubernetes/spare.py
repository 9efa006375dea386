"""What seals while the server is away: a key of this process, which the server has sealed before.

Whoever opens such a ciphertext has the server open the key first, so it is worth no more than the server says.
"""

from __future__ import annotations

import base64
import binascii
import os
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from kms_actors.cli.sender import RequestFailed

#: What its ciphertexts begin with; after it stand the sealed key and, in base64, nonce, ciphertext and tag.
PREFIX: Final = b"spare:"
KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12


@dataclass(frozen=True)
class Spare:
    """A key, its ciphertext of the Transit API, and the id of the version that made it."""

    key: bytes
    sealed: bytes
    key_id: str

    def seal(self, plaintext: bytes) -> bytes:
        """Return a plaintext sealed, bound to the sealed key that opens it."""
        nonce = os.urandom(_NONCE_BYTES)
        box = nonce + AESGCM(self.key).encrypt(nonce, plaintext, self.sealed)
        return PREFIX + self.sealed + b":" + base64.b64encode(box)

    def __repr__(self) -> str:
        return "<Spare>"


def sealed_key(ciphertext: bytes) -> bytes | None:
    """Return the sealed key of a ciphertext that `seal` made; None for one of another kind."""
    if not ciphertext.startswith(PREFIX):
        return None
    return ciphertext.removeprefix(PREFIX).rpartition(b":")[0]


def open_with(key: bytes, ciphertext: bytes) -> bytes:
    """Return the plaintext of what `seal` made. Raises RequestFailed."""
    sealed, _, text = ciphertext.removeprefix(PREFIX).rpartition(b":")
    try:
        box = base64.b64decode(text, validate=True)
        return AESGCM(key).decrypt(box[:_NONCE_BYTES], box[_NONCE_BYTES:], sealed)
    except (binascii.Error, InvalidTag, ValueError):
        raise RequestFailed("this ciphertext was changed, or is of another key") from None
