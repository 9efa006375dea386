"""Hash algorithms by the names of the API, for hashes and HMACs."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import Final

from kms_actors.errors import InvalidRequest
from kms_actors.transit.items import HmacItem, each

DEFAULT_ALGORITHM: Final = "sha2-256"

#: Name in the API to name in `hashlib`.
HASHES: Final[Mapping[str, str]] = {
    "sha2-224": "sha224",
    "sha2-256": "sha256",
    "sha2-384": "sha384",
    "sha2-512": "sha512",
    "sha3-224": "sha3_224",
    "sha3-256": "sha3_256",
    "sha3-384": "sha3_384",
    "sha3-512": "sha3_512",
}
HMAC_HASHES: Final[Mapping[str, str]] = {**HASHES, "sha1": "sha1"}


def hash_of(algorithm: str, data: bytes) -> bytes:
    """Return the digest of `data`; raises InvalidRequest for an unknown algorithm."""
    if algorithm not in HASHES:
        raise InvalidRequest(f"unsupported algorithm {algorithm}")
    return hashlib.new(HASHES[algorithm], data).digest()


def hashes_of(algorithm: str, items: Sequence[HmacItem | InvalidRequest]) -> list[bytes | InvalidRequest]:
    """Return the digest of each item; raises InvalidRequest for an unknown algorithm."""
    return each(items, lambda item: hash_of(algorithm, item.input))


def hmac_of(algorithm: str, key: bytes, data: bytes) -> bytes:
    """Return the HMAC (RFC 2104) of `data`; the algorithm is one of `HMAC_HASHES`."""
    return hmac.digest(key, data, HMAC_HASHES[algorithm])


def check_hmac_algorithm(algorithm: str) -> None:
    """Raise InvalidRequest for an unknown algorithm."""
    if algorithm not in HMAC_HASHES:
        raise InvalidRequest(f'unsupported algorithm "{algorithm}"')
