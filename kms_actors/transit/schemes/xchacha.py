"""XChaCha20-Poly1305: ChaCha20-Poly1305 with 24-byte nonces (draft-irtf-cfrg-xchacha-03)."""

from __future__ import annotations

import struct
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20

_CONSTANTS: Final = struct.unpack("<4I", b"expand 32-byte k")
_EDGES: Final = struct.Struct("<4I32x4I")
_WORDS: Final = struct.Struct("<4I")


def hchacha20(key: bytes, nonce: bytes) -> bytes:
    """Return the 32-byte subkey of a 32-byte key and a 16-byte nonce.

    HChaCha20 is the ChaCha20 block without its last step, the addition of the input words; subtracting
    them from a key stream block of the library gives it.
    """
    block = Cipher(ChaCha20(key, nonce), mode=None).encryptor().update(bytes(64))
    words = _EDGES.unpack(block)
    first = (word - start & 0xFFFFFFFF for word, start in zip(words[:4], _CONSTANTS, strict=True))
    last = (word - start & 0xFFFFFFFF for word, start in zip(words[4:], _WORDS.unpack(nonce), strict=True))
    return _WORDS.pack(*first) + _WORDS.pack(*last)


class XChaCha20Poly1305:
    """One 32-byte key; the methods are those of the library's AEAD classes."""

    __slots__ = ("_key",)

    def __init__(self, key: bytes) -> None:
        self._key: Final = key

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None) -> bytes:
        """Return ciphertext ‖ tag."""
        return self._inner(nonce).encrypt(bytes(4) + nonce[16:], data, associated_data)

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None) -> bytes:
        """Return the plaintext of ciphertext ‖ tag; raises `cryptography.exceptions.InvalidTag`."""
        return self._inner(nonce).decrypt(bytes(4) + nonce[16:], data, associated_data)

    def _inner(self, nonce: bytes) -> ChaCha20Poly1305:
        return ChaCha20Poly1305(hchacha20(self._key, nonce[:16]))
