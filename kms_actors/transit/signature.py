"""The parameters of signatures: what `sign` and `verify` take beside the message, checked once a request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec
from cryptography.hazmat.primitives import hashes

from kms_actors.errors import InvalidRequest
from kms_actors.transit.ciphertext import parse_int64
from kms_actors.transit.digests import DEFAULT_ALGORITHM

#: By the names of the API; `none` is for input that is signed as it is.
HASHES: Final[Mapping[str, hashes.HashAlgorithm | None]] = {
    "sha1": hashes.SHA1(),  # noqa: S303  # the API has it; policies can forbid `sign/<key>/sha1`
    "sha2-224": hashes.SHA224(),
    "sha2-256": hashes.SHA256(),
    "sha2-384": hashes.SHA384(),
    "sha2-512": hashes.SHA512(),
    "sha3-224": hashes.SHA3_224(),
    "sha3-256": hashes.SHA3_256(),
    "sha3-384": hashes.SHA3_384(),
    "sha3-512": hashes.SHA3_512(),
    "none": None,
}

PSS: Final = "pss"
PKCS1V15: Final = "pkcs1v15"

#: Salt lengths that are no number of bytes: the longest that fits (any, to verify), and that of the hash.
SALT_AUTO: Final = 0
SALT_HASH: Final = -1
_SALTS: Final = {"auto": SALT_AUTO, "hash": SALT_HASH}

_NO_HASH: Final = "hash_algorithm=none requires both prehashed=true and signature_algorithm=pkcs1v15"


class SignatureParameters(msgspec.Struct, frozen=True):
    """How to sign. `algorithm` and `salt_length` (bytes, `SALT_AUTO` or `SALT_HASH`) are those of RSA.

    With `jws`, signatures are base64url, and those of ECDSA r ‖ s (RFC 7518) in place of DER.
    """

    hash: hashes.HashAlgorithm | None
    prehashed: bool
    algorithm: str
    jws: bool
    salt_length: int

    def check_hash(self) -> None:
        """Raise InvalidRequest unless input that is no digest is hashed."""
        if self.hash is None and not (self.prehashed and self.algorithm == PKCS1V15):
            raise InvalidRequest(_NO_HASH)


def parameters(
    hash_algorithm: str = DEFAULT_ALGORITHM,
    *,
    prehashed: bool = False,
    signature_algorithm: str = "",
    marshaling_algorithm: str = "asn1",
    salt_length: str = "auto",
) -> SignatureParameters:
    """Return what the parameters of the API say; raises InvalidRequest.

    An unknown signature algorithm shows only where a key uses it: others ignore it.
    """
    if hash_algorithm not in HASHES:
        raise InvalidRequest(f'invalid hash algorithm "{hash_algorithm}"')
    if marshaling_algorithm not in ("asn1", "jws"):
        raise InvalidRequest(f'invalid marshaling type "{marshaling_algorithm}"')
    salt = _salt_length(salt_length)
    jws = marshaling_algorithm == "jws"
    return SignatureParameters(HASHES[hash_algorithm], prehashed, signature_algorithm or PSS, jws, salt)


def _salt_length(text: str) -> int:
    known = _SALTS.get(text)
    if known is not None:
        return known
    number = parse_int64(text)
    if number is None:
        raise InvalidRequest(f"salt length neither 'auto', 'hash', nor an int: {text}")
    if number < SALT_HASH:
        raise InvalidRequest(f"salt length is invalid: {number}")
    return number


#: What most requests ask for.
DEFAULT: Final = parameters()
