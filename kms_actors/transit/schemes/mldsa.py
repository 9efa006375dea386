"""ML-DSA signatures (FIPS 204), alone or together with those of an elliptic curve."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

import msgspec
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import mldsa

from kms_actors.errors import InvalidRequest
from kms_actors.transit.go_base64 import encode
from kms_actors.transit.schemes.scheme import (
    KeyMaterial,
    Scheme,
    SingleKey,
    pem,
    subject_public_key_info,
)
from kms_actors.transit.signature import SignatureParameters

SEED_BYTES: Final = 32
_PREHASHED: Final = "prehashed input is not supported for key type"

Kind: TypeAlias = type[mldsa.MLDSA44PrivateKey] | type[mldsa.MLDSA65PrivateKey] | type[mldsa.MLDSA87PrivateKey]
Private: TypeAlias = mldsa.MLDSA44PrivateKey | mldsa.MLDSA65PrivateKey | mldsa.MLDSA87PrivateKey
Public: TypeAlias = mldsa.MLDSA44PublicKey | mldsa.MLDSA65PublicKey | mldsa.MLDSA87PublicKey


class MlDsa(SingleKey):
    """One parameter set. Private keys are stored as seeds (32 bytes)."""

    family = "ml-dsa"

    def __init__(self, kind: Kind, parameter_set: str, signature_bytes: int, *, sign_us: int, verify_us: int) -> None:
        self.name = f"ml-dsa-{parameter_set}"
        self.signature_bytes = signature_bytes
        self.sign_us = sign_us
        self.verify_us = verify_us
        self._kind = kind

    def generate(self) -> KeyMaterial:
        private = self._kind.generate()
        return KeyMaterial(private.private_bytes_raw(), subject_public_key_info(private.public_key()))

    def private(self, stored: bytes) -> Private:
        return self._kind.from_seed_bytes(stored)

    def sign(self, private: Private, data: bytes, how: SignatureParameters) -> bytes:
        if how.prehashed:
            raise InvalidRequest(f"{_PREHASHED} {self.family}")
        return private.sign(data)

    def verify(self, public: Public, data: bytes, signature: bytes, how: SignatureParameters) -> bool:
        if how.prehashed:
            raise InvalidRequest(f"{_PREHASHED} {self.family}")
        try:
            public.verify(signature, data)
        except InvalidSignature:
            return False
        return True


class BareMlDsa(MlDsa):
    """One parameter set as OpenBao has it: a type of its own, whose keys are shown and given out without encoding."""

    family = "mldsa"
    bare = True

    def __init__(self, like: MlDsa) -> None:
        self.__dict__.update(like.__dict__)
        self.parameter_set = like.name.rpartition("-")[2]
        self.name = f"mldsa-{self.parameter_set}"

    def sign(self, private: Private, data: bytes, _: SignatureParameters) -> bytes:
        # Whatever is sent is signed as it is, as by OpenBao; a digest, too.
        return private.sign(data)

    def verify(self, public: Public, data: bytes, signature: bytes, how: SignatureParameters) -> bool:
        return super().verify(public, data, signature, msgspec.structs.replace(how, prehashed=False))

    def show(self, stored: bytes) -> str:
        return encode(self.public(stored).public_bytes_raw())

    def private_of(self, seed: bytes, public: bytes) -> Any:
        """Return the private key of a seed, or the public one where there is no seed."""
        if seed:
            return self.private(seed)
        return _PUBLIC[self.parameter_set].from_public_bytes(public)

    def is_key(self, key: object) -> bool:
        """Tell whether a key of the library is of this parameter set."""
        return isinstance(key, (self._kind, _PUBLIC[self.parameter_set]))


class Hybrid:
    """Two signatures of one message, of which both must be good: that of ML-DSA, then that of the curve.

    Keys are stored one behind the other, too: the seed, then the private key of the curve; the public keys with
    the length of the first (4 bytes) before them.
    """

    family = "hybrid"
    bare = False

    def __init__(self, first: MlDsa, second: Scheme) -> None:
        self.name = f"{first.name}-{second.name}"
        self.sign_us = first.sign_us + second.sign_us
        self.verify_us = first.verify_us + second.verify_us
        self._first = first
        self._second = second

    def generate(self) -> KeyMaterial:
        first, second = self._first.generate(), self._second.generate()
        public = len(first.public).to_bytes(4, "big") + first.public + second.public
        return KeyMaterial(first.private + second.private, public)

    def private(self, stored: bytes) -> tuple[Any, Any]:
        return self._first.private(stored[:SEED_BYTES]), self._second.private(stored[SEED_BYTES:])

    def public(self, stored: bytes) -> tuple[Any, Any]:
        first, second = _split(stored)
        return self._first.public(first), self._second.public(second)

    def sign(self, private: tuple[Any, Any], data: bytes, how: SignatureParameters) -> bytes:
        if how.prehashed:
            raise InvalidRequest(f"{_PREHASHED} {self.family}")
        return self._first.sign(private[0], data, how) + self._second.sign(private[1], data, how)

    def verify(self, public: tuple[Any, Any], data: bytes, signature: bytes, how: SignatureParameters) -> bool:
        if how.prehashed:
            raise InvalidRequest(f"{_PREHASHED} {self.family}")
        size = self._first.signature_bytes
        return self._first.verify(public[0], data, signature[:size], how) and self._second.verify(
            public[1], data, signature[size:], how
        )

    def show(self, stored: bytes) -> str:
        return "".join(pem(part) for part in _split(stored))

    def parts(self, private: tuple[Any, Any]) -> tuple[Any, ...]:
        return private


def _split(stored: bytes) -> tuple[bytes, bytes]:
    end = 4 + int.from_bytes(stored[:4], "big")
    return stored[4:end], stored[end:]


def _supported() -> bool:
    try:
        mldsa.MLDSA44PrivateKey.from_seed_bytes(bytes(SEED_BYTES))
    except UnsupportedAlgorithm:  # the library was built on an OpenSSL before 3.5
        return False
    return True


_PUBLIC: Final[Mapping[str, Any]] = {
    "44": mldsa.MLDSA44PublicKey,
    "65": mldsa.MLDSA65PublicKey,
    "87": mldsa.MLDSA87PublicKey,
}
#: By the parameter sets of the API; empty where the library cannot.
PARAMETER_SETS: Final[Mapping[str, MlDsa]] = (
    {
        "44": MlDsa(mldsa.MLDSA44PrivateKey, "44", 2420, sign_us=600, verify_us=110),
        "65": MlDsa(mldsa.MLDSA65PrivateKey, "65", 3309, sign_us=1000, verify_us=170),
        "87": MlDsa(mldsa.MLDSA87PrivateKey, "87", 4627, sign_us=1100, verify_us=260),
    }
    if _supported()
    else {}
)
