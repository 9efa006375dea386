"""Ed25519 signatures (RFC 8032), also by keys derived for a context.

By libsodium, which takes about half the time of OpenSSL; what it does not do (encodings, certificates) is left to
the library of all other algorithms.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    KeySerializationEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_public_key,
)
from nacl.bindings import crypto_sign, crypto_sign_open
from nacl.exceptions import BadSignatureError

from kms_actors.secret import overwrite, overwriting
from kms_actors.transit.derivation import KDFS
from kms_actors.transit.go_base64 import encode
from kms_actors.transit.schemes.scheme import (
    KeyMaterial,
    SingleKey,
    subject_public_key_info,
)
from kms_actors.transit.signature import SignatureParameters

SEED_BYTES = 32
SIGNATURE_BYTES = 64


class VerifyKey:
    """A public key, of 32 bytes."""

    __slots__ = ("_raw",)

    def __init__(self, raw: bytes) -> None:
        self._raw = raw

    def verify(self, signature: bytes, data: bytes) -> bool:
        if len(signature) != SIGNATURE_BYTES:
            return False
        try:
            crypto_sign_open(signature + data, self._raw)
        except BadSignatureError:
            return False
        return True

    def public_bytes(self, encoding: Encoding, layout: PublicFormat) -> bytes:
        return Ed25519PublicKey.from_public_bytes(self._raw).public_bytes(encoding, layout)

    def public_bytes_raw(self) -> bytes:
        return self._raw


class SigningKey:
    """A private key. Its public key is always made anew: signing with another one would give the private key away."""

    __slots__ = ("_pair",)

    def __init__(self, seed: bytes) -> None:
        # OpenSSL overwrites its copy of the seed; the binding of libsodium leaves one behind when it makes a pair.
        self._pair = seed + Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()

    __del__ = overwriting("_pair")

    def sign(self, data: bytes) -> bytes:
        return crypto_sign(data, self._pair)[:SIGNATURE_BYTES]

    def public_key(self) -> VerifyKey:
        return VerifyKey(self._pair[SEED_BYTES:])

    def private_bytes(
        self, encoding: Encoding, layout: PrivateFormat, encryption: KeySerializationEncryption
    ) -> bytes:
        return self.library.private_bytes(encoding, layout, encryption)

    @property
    def library(self) -> Ed25519PrivateKey:
        """The same key for whatever else is done with one."""
        seed = self._pair[:SEED_BYTES]
        try:
            return Ed25519PrivateKey.from_private_bytes(seed)
        finally:
            overwrite(seed)


class Ed25519(SingleKey):
    """Private keys are stored as seed ‖ public key (64 bytes). All parameters but the form play no part."""

    name = "ed25519"
    family = "ed25519"
    bare = True
    sign_us = 20
    verify_us = 55

    def generate(self) -> KeyMaterial:
        private = Ed25519PrivateKey.generate()
        public = private.public_key()
        seed = private.private_bytes_raw()
        try:
            return KeyMaterial(seed + public.public_bytes_raw(), subject_public_key_info(public))
        finally:
            overwrite(seed)

    def private(self, stored: bytes) -> SigningKey:
        seed = stored[:SEED_BYTES]
        try:
            return SigningKey(seed)
        finally:
            overwrite(seed)

    def public(self, stored: bytes) -> VerifyKey:
        public = load_der_public_key(stored)
        assert isinstance(public, Ed25519PublicKey)
        return VerifyKey(public.public_bytes_raw())

    def derived(self, stored: bytes, context: bytes, kdf: str) -> SigningKey:
        """Return the private key of a context; all 64 bytes stored take part."""
        return SigningKey(KDFS[kdf](stored, context, SEED_BYTES))

    def sign(self, private: SigningKey, data: bytes, _: SignatureParameters) -> bytes:
        return private.sign(data)

    def verify(self, public: VerifyKey, data: bytes, signature: bytes, _: SignatureParameters) -> bool:
        return public.verify(signature, data)

    def show(self, stored: bytes) -> str:
        return show(self.public(stored))

    def parts(self, private: SigningKey) -> tuple[Ed25519PrivateKey]:
        return (private.library,)


def show(public: VerifyKey) -> str:
    """Return the base64 of a public key's 32 bytes."""
    return encode(public.public_bytes_raw())
