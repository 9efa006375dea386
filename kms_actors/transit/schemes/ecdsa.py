"""ECDSA signatures (FIPS 186-5) on the NIST curves."""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    Prehashed,
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.hazmat.primitives.hashes import SHAKE256
from cryptography.hazmat.primitives.serialization import load_der_private_key

from kms_actors.errors import InvalidRequest
from kms_actors.transit.schemes.scheme import (
    KeyMaterial,
    SingleKey,
    pkcs8,
    subject_public_key_info,
)
from kms_actors.transit.signature import SignatureParameters
from kms_actors.untrusted import untrusted


class Ecdsa(SingleKey):
    """One curve. Private keys are stored as PKCS#8."""

    family = "ec"

    def __init__(self, curve: ec.EllipticCurve, name: str, *, sign_us: int, verify_us: int) -> None:
        self.name = name
        self.sign_us = sign_us
        self.verify_us = verify_us
        self.curve = curve
        self._scalar_bytes = (curve.key_size + 7) // 8

    def generate(self) -> KeyMaterial:
        private = ec.generate_private_key(self.curve)
        return KeyMaterial(pkcs8(private), subject_public_key_info(private.public_key()))

    def private(self, stored: bytes) -> ec.EllipticCurvePrivateKey:
        private = load_der_private_key(stored, None)
        assert isinstance(private, ec.EllipticCurvePrivateKey)
        return private

    def sign(self, private: ec.EllipticCurvePrivateKey, data: bytes, how: SignatureParameters) -> bytes:
        if how.prehashed and not data:
            raise InvalidRequest("ecdsa: hash cannot be empty")
        signature = private.sign(*_input(data, how))
        if not how.jws:
            return signature
        r, s = decode_dss_signature(signature)
        return r.to_bytes(self._scalar_bytes, "big") + s.to_bytes(self._scalar_bytes, "big")

    def verify(
        self, public: ec.EllipticCurvePublicKey, data: bytes, signature: bytes, how: SignatureParameters
    ) -> bool:
        if how.jws:
            if len(signature) != 2 * self._scalar_bytes:
                return False
            r, s = signature[: self._scalar_bytes], signature[self._scalar_bytes :]
            signature = encode_dss_signature(int.from_bytes(r, "big"), int.from_bytes(s, "big"))
        else:
            _check_der(signature)
        if how.prehashed and not data:
            return False  # anybody can make what would be a signature of a digest of no bits
        try:
            public.verify(signature, *_input(data, how))
        except InvalidSignature:
            return False
        return True


def _input(data: bytes, how: SignatureParameters) -> tuple[bytes, ec.ECDSA]:
    if how.prehashed:
        # Of a digest the leftmost bits count, whatever its length; an algorithm of free length lets any pass.
        return data, ec.ECDSA(Prehashed(SHAKE256(len(data))))
    assert how.hash is not None
    return data, ec.ECDSA(how.hash)


def _check_der(signature: bytes) -> None:
    """Raise InvalidRequest unless the signature is a sequence of two integers and nothing else."""
    if _is_der(signature):
        return
    if _is_der(signature[: _sequence_bytes(signature)]):
        raise InvalidRequest("supplied signature contains extra data")
    raise InvalidRequest("supplied signature is invalid")


def _is_der(signature: bytes) -> bool:
    try:
        with untrusted("supplied signature is invalid"):
            decode_dss_signature(signature)
    except InvalidRequest:
        return False
    return True


def _sequence_bytes(signature: bytes) -> int:
    """Return how long the outer sequence says it is; lengths above 255 do not occur."""
    if len(signature) > 2 and signature[1] == 0x81:
        return 3 + signature[2]
    return 2 + signature[1] if len(signature) > 1 and signature[1] < 0x80 else 0
