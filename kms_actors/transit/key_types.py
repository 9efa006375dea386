"""The table of key types: what each is made of and what it may do.

A new type is a row here, and a module beside this one if the library has no class with the methods of `Cipher`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Protocol

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

from .xchacha import XChaCha20Poly1305


class Cipher(Protocol):
    """One key, ready for any number of messages."""

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None) -> bytes: ...

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None) -> bytes:
        """Raises `cryptography.exceptions.InvalidTag` for what is not authentic."""


class KeyType(msgspec.Struct, frozen=True, kw_only=True):
    """What the API shows and allows for one type of key; the defaults allow nothing."""

    name: str
    key_bytes: int  # of each version; the default where a caller may choose `key_size`
    key_size: range = range(0)  # the sizes a caller may choose; empty: none
    cipher: Callable[[bytes], Cipher] | None = None  # None: neither encrypts nor decrypts
    nonce_bytes: int = 0
    forgery: str = ""  # the text for a ciphertext that does not authenticate
    signing: bool = False
    derivation: bool = False
    convergent: bool = False
    hmac_by_key: bool = False  # HMACs by the key itself, not by the HMAC key each version has
    shows_versions: bool = True  # whether a key object lists creation times


GCM_FORGERY: Final = "cipher: message authentication failed"
CHACHA_FORGERY: Final = "chacha20poly1305: message authentication failed"


def _aead(name: str, key_bytes: int, cipher: Callable[[bytes], Cipher], nonce_bytes: int, forgery: str) -> KeyType:
    return KeyType(
        name=name,
        key_bytes=key_bytes,
        cipher=cipher,
        nonce_bytes=nonce_bytes,
        forgery=forgery,
        derivation=True,
        convergent=True,
    )


#: Every type by its name in the API.
KEY_TYPES: Final[Mapping[str, KeyType]] = {
    key_type.name: key_type
    for key_type in (
        _aead("aes128-gcm96", 16, AESGCM, 12, GCM_FORGERY),
        _aead("aes256-gcm96", 32, AESGCM, 12, GCM_FORGERY),
        _aead("chacha20-poly1305", 32, ChaCha20Poly1305, 12, CHACHA_FORGERY),
        _aead("xchacha20-poly1305", 32, XChaCha20Poly1305, 24, CHACHA_FORGERY),
        KeyType(name="hmac", key_bytes=32, key_size=range(32, 513), hmac_by_key=True, shows_versions=False),
    )
}

DEFAULT_TYPE: Final = "aes256-gcm96"
