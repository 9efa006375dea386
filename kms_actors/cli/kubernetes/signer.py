"""What the service `ExternalJWTSigner` does: signs tokens of service accounts by a key that never leaves the server.

Source: KEP-740, and `k8s.io/externaljwt/apis/v1/api.proto`.
"""

from __future__ import annotations

import base64
import json
import re
import threading
import time
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Final, NamedTuple

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from kms_actors.cli.kubernetes.transit import NoToken, TransitKey, Unreachable
from kms_actors.cli.sender import RequestFailed

#: By type of key: the algorithm of tokens (RFC 7518), and the hash that it signs.
ALGORITHMS: Final[Mapping[str, tuple[str, str]]] = {
    "rsa-2048": ("RS256", "sha2-256"),
    "rsa-3072": ("RS256", "sha2-256"),
    "rsa-4096": ("RS256", "sha2-256"),
    "ecdsa-p256": ("ES256", "sha2-256"),
    "ecdsa-p384": ("ES384", "sha2-384"),
    "ecdsa-p521": ("ES512", "sha2-512"),
}
_CLAIMS: Final = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
#: Characters of claims; those of service accounts have a thousand or two.
_MOST_CLAIMS: Final = 64 << 10


class PublicKey(NamedTuple):
    """A version of the key: what tokens call it, and its bytes (PKIX, DER)."""

    id: str
    der: bytes


class Keys(NamedTuple):
    """All versions in order, the algorithm of the key, and when they were read, in seconds since 1970."""

    algorithm: str
    hash: str
    versions: Mapping[int, PublicKey]
    latest: int
    read: float


class Signed(NamedTuple):
    """Two parts of a token, as they stand in it."""

    header: str
    signature: str


class Signer:
    """One key for all tokens. For several threads at once."""

    def __init__(self, key: TransitKey, clock: Callable[[], float] = time.time) -> None:
        self._key = key
        self._clock = clock
        self._lock = threading.Lock()
        self._keys: Keys | None = None

    def follow(self) -> Keys:
        """Return the versions that there are. Raises RequestFailed."""
        now, info = self._clock(), self._key.read()
        if info.type not in ALGORITHMS:
            raise RequestFailed(f"the key {self._key.name} is of type {info.type}, which signs no tokens")
        try:
            versions = {number: _public_key(told["public_key"]) for number, told in info.versions.items()}
        except (LookupError, TypeError, ValueError):
            raise Unreachable("the answer is not one of the Transit API") from None
        keys = Keys(*ALGORITHMS[info.type], versions, info.latest, now)
        with self._lock:
            self._keys = keys
        return keys

    def keys(self) -> Keys:
        """Return the versions that there are now; without the server, those that were known. Raises RequestFailed."""
        try:
            return self.follow()
        except (Unreachable, NoToken):
            if self._keys is None:
                raise
            return self._keys

    def sign(self, claims: str) -> Signed:
        """Return header and signature of a token with these claims, base64url. Raises RequestFailed."""
        if not _CLAIMS.fullmatch(claims) or len(claims) > _MOST_CLAIMS or not _is_object(claims):
            raise RequestFailed("claims are a JSON object in base64url")
        keys = self._keys or self.follow()
        header = _encode(
            json.dumps(
                {"alg": keys.algorithm, "kid": keys.versions[keys.latest].id, "typ": "JWT"}, separators=(",", ":")
            ).encode()
        )
        body = {
            "input": base64.b64encode(f"{header}.{claims}".encode()).decode(),
            "key_version": keys.latest,
            "hash_algorithm": keys.hash,
            "signature_algorithm": "pkcs1v15",
            "marshaling_algorithm": "jws",
        }
        text = self._key.ask("sign", body, "signature").rpartition(":")[2]
        return Signed(header, text.replace("+", "-").replace("/", "_").rstrip("="))


def _is_object(claims: str) -> bool:
    """Tell whether these are claims: the key signs nothing that is none, whoever asks."""
    try:
        return isinstance(json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4))), dict)
    except (ValueError, RecursionError):
        return False


def _public_key(pem: str) -> PublicKey:
    der = load_pem_public_key(pem.encode()).public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return PublicKey(_encode(sha256(der).digest()), der)


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
