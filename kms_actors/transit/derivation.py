"""Keys derived from a version's key and the context of a request."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

#: Bytes of each of the two HMAC keys that convergent encryption derives behind the encryption key.
NONCE_KEY_BYTES: Final = 32


def hkdf_sha256(key: bytes, context: bytes, length: int) -> bytes:
    """Return `length` bytes by HKDF-SHA256 (RFC 5869): no salt, info = context."""
    return HKDF(algorithm=SHA256(), length=length, salt=None, info=context).derive(key)


def hmac_sha256_counter(key: bytes, context: bytes, length: int) -> bytes:
    """Return 32 bytes by one round of the counter mode KDF (NIST SP 800-108); only very old keys use it."""
    return hmac.digest(key, bytes(4) + context + (256).to_bytes(4, "big"), "sha256")


#: By the name a key's policy gives.
KDFS: Final[Mapping[str, Callable[[bytes, bytes, int], bytes]]] = {
    "hkdf_sha256": hkdf_sha256,
    "hmac-sha256-counter": hmac_sha256_counter,
}


def convergent_nonce(nonce_keys: bytes, plaintext: bytes, associated_data: bytes | None, length: int) -> bytes:
    """Return the nonce that equal inputs share; `nonce_keys` holds one 32-byte key, or two with associated data.

    Without associated data this is convergent encryption version 3 of the API. One nonce must never serve two
    messages, so associated data takes part, behind its length and under a key of its own: otherwise a plaintext
    could be made up that has the nonce of another plaintext with associated data.
    """
    if not associated_data:
        return hmac.digest(nonce_keys[:NONCE_KEY_BYTES], plaintext, "sha256")[:length]
    message = len(associated_data).to_bytes(8, "big") + associated_data + plaintext
    return hmac.digest(nonce_keys[NONCE_KEY_BYTES:], message, "sha256")[:length]
