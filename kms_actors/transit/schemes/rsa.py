"""RSA (RFC 8017): PSS and PKCS #1 v1.5 signatures, OAEP and PKCS #1 v1.5 encryption."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.padding import AsymmetricPadding
from cryptography.hazmat.primitives.asymmetric.utils import NoDigestInfo, Prehashed
from cryptography.hazmat.primitives.hashes import SHA256, HashAlgorithm
from cryptography.hazmat.primitives.serialization import load_der_private_key

from kms_actors.errors import InvalidRequest
from kms_actors.transit.schemes.scheme import (
    KeyMaterial,
    SingleKey,
    pkcs8,
    subject_public_key_info,
)
from kms_actors.transit.signature import (
    PKCS1V15,
    PSS,
    SALT_AUTO,
    SALT_HASH,
    SignatureParameters,
)

_EXPONENT: Final = 65537
_TOO_LONG: Final = "crypto/rsa: message too long for RSA key size"

#: Ways of padding a message to be encrypted, by their names in the API.
PADDING_SCHEMES: Final[Mapping[str, AsymmetricPadding]] = {
    "oaep": padding.OAEP(padding.MGF1(SHA256()), SHA256(), label=None),
    "pkcs1v15": padding.PKCS1v15(),
}


class Rsa(SingleKey):
    """One size of keys. Private keys are stored as PKCS#8."""

    family = "rsa"

    def __init__(self, bits: int, *, sign_us: int, verify_us: int) -> None:
        self.name = f"rsa-{bits}"
        self.bits = bits
        self.sign_us = sign_us
        self.verify_us = verify_us

    def generate(self) -> KeyMaterial:
        private = rsa.generate_private_key(_EXPONENT, self.bits)
        return KeyMaterial(pkcs8(private), subject_public_key_info(private.public_key()))

    def private(self, stored: bytes) -> rsa.RSAPrivateKey:
        # The record was sealed by us, and proving primes again takes a quarter of a second for 4096 bits.
        private = load_der_private_key(stored, None, unsafe_skip_rsa_key_validation=True)
        assert isinstance(private, rsa.RSAPrivateKey)
        return private

    def sign(self, private: rsa.RSAPrivateKey, data: bytes, how: SignatureParameters) -> bytes:
        scheme = self._padding(how)
        if how.prehashed and how.hash is not None and len(data) != how.hash.digest_size:
            with_hash = "message" if how.algorithm == PKCS1V15 else "with given hash"
            raise InvalidRequest(f"crypto/rsa: input must be hashed {with_hash}")
        try:
            return private.sign(data, scheme, _hash(how))
        except ValueError:
            raise InvalidRequest(_TOO_LONG) from None

    def verify(self, public: rsa.RSAPublicKey, data: bytes, signature: bytes, how: SignatureParameters) -> bool:
        scheme = self._padding(how, any_salt=True)
        try:
            public.verify(signature, data, scheme, _hash(how))  # type: ignore[arg-type]  # NoDigestInfo is taken
        except (InvalidSignature, ValueError):  # the latter: a digest of another length
            return False
        return True

    def encrypt(self, public: rsa.RSAPublicKey, plaintext: bytes, padding_scheme: str) -> bytes:
        """Return a ciphertext as long as the key."""
        try:
            return public.encrypt(plaintext, _encryption_padding(padding_scheme))
        except ValueError:
            raise InvalidRequest(f"failed to RSA encrypt the plaintext: {_TOO_LONG}") from None

    def decrypt(self, private: rsa.RSAPrivateKey, blob: bytes, padding_scheme: str) -> bytes:
        """Return the plaintext.

        What PKCS #1 v1.5 finds wrongly padded comes out as random bytes that depend on key and ciphertext: telling
        a caller that the padding is wrong would let him decrypt by trial (Bleichenbacher).
        """
        try:
            return private.decrypt(blob, _encryption_padding(padding_scheme))
        except ValueError:
            raise InvalidRequest("failed to RSA decrypt the ciphertext: crypto/rsa: decryption error") from None

    def _padding(self, how: SignatureParameters, *, any_salt: bool = False) -> AsymmetricPadding:
        if how.algorithm == PKCS1V15:
            return padding.PKCS1v15()
        if how.algorithm != PSS:
            raise InvalidRequest(f"unsupported rsa signature algorithm {how.algorithm}")
        assert how.hash is not None
        mask = padding.MGF1(how.hash)
        if how.salt_length == SALT_AUTO:
            return padding.PSS(mask, padding.PSS.AUTO if any_salt else padding.PSS.MAX_LENGTH)
        if how.salt_length == SALT_HASH:
            return padding.PSS(mask, padding.PSS.DIGEST_LENGTH)
        if how.salt_length > (self.bits + 6) // 8 - 2 - how.hash.digest_size:
            raise InvalidRequest(f"requested salt length {how.salt_length} is invalid")
        return padding.PSS(mask, how.salt_length)


def _hash(how: SignatureParameters) -> HashAlgorithm | Prehashed | NoDigestInfo:
    if how.hash is None:
        return NoDigestInfo()
    return Prehashed(how.hash) if how.prehashed else how.hash


def _encryption_padding(name: str) -> AsymmetricPadding:
    if name not in PADDING_SCHEMES:
        raise InvalidRequest(f"unsupported padding_scheme; must be one of {', '.join(PADDING_SCHEMES)}")
    return PADDING_SCHEMES[name]
