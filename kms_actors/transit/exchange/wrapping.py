"""Wrapped keys: the AES key under RSA-OAEP (RFC 8017), and behind it the key itself under AES-KWP (RFC 5649).

This is how keys come in and go out under another key: the form of Vault's import, which PKCS #11 calls
CKM_RSA_AES_KEY_WRAP.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA224, SHA256, SHA384, SHA512, HashAlgorithm
from cryptography.hazmat.primitives.keywrap import (
    aes_key_unwrap_with_padding,
    aes_key_wrap_with_padding,
)

from kms_actors.errors import InvalidRequest
from kms_actors.untrusted import untrusted

_AES_BYTES: Final = 32
#: Bytes of a key under AES-KWP, wrapped: those of 16 to 8192 bytes of key.
_WRAPPED: Final = range(24, 8201)

DEFAULT_HASH: Final = "SHA256"
_HASHES: Final[Mapping[str, HashAlgorithm]] = {
    "SHA1": SHA1(),  # noqa: S303 - in OAEP nothing rests on collisions
    "SHA224": SHA224(),
    "SHA256": SHA256(),
    "SHA384": SHA384(),
    "SHA512": SHA512(),
}


def check_hash(name: str) -> None:
    """Raise InvalidRequest for hash functions that OAEP does not take here; case plays no part."""
    if name.upper() not in _HASHES:
        raise InvalidRequest(f"unknown hash function: {name}")


def wrap(public: RSAPublicKey, key: bytes, hash_name: str = DEFAULT_HASH) -> bytes:
    """Return `key` (16 to 8192 bytes) wrapped under a fresh AES key, behind that AES key encrypted by `public`."""
    ephemeral = os.urandom(_AES_BYTES)
    return public.encrypt(ephemeral, _oaep(hash_name)) + aes_key_wrap_with_padding(ephemeral, key)


def unwrap(private: RSAPrivateKey, blob: bytes, hash_name: str = DEFAULT_HASH) -> bytes:
    """Return what `wrap` was given; raises InvalidRequest, in the API's words, for anything it did not make."""
    size = private.key_size // 8
    if len(blob) <= size:
        raise InvalidRequest("provided ciphertext is too short")
    with untrusted("crypto/rsa: decryption error"):
        ephemeral = private.decrypt(blob[:size], _oaep(hash_name))
    if len(ephemeral) != _AES_BYTES:
        raise InvalidRequest("expected ephemeral AES key to be 256-bit")
    wrapped = blob[size:]
    if len(wrapped) < _WRAPPED.start:
        raise InvalidRequest("kwp: wrapped key size too small")
    if len(wrapped) >= _WRAPPED.stop:
        raise InvalidRequest("kwp: wrapped key size too large")
    if len(wrapped) % 8:
        raise InvalidRequest("kwp: wrapped key size must be a multiple of 8 bytes")
    with untrusted("kwp: unwrap failed integrity check"):
        return aes_key_unwrap_with_padding(ephemeral, wrapped)


def _oaep(hash_name: str) -> padding.OAEP:
    algorithm = _HASHES[hash_name.upper()]
    return padding.OAEP(padding.MGF1(algorithm), algorithm, label=None)
