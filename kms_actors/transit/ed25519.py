"""Ed25519 signatures (RFC 8032), also by keys derived for a context."""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from .derivation import KDFS
from .go_base64 import encode
from .scheme import KeyMaterial, SingleKey, subject_public_key_info
from .signature import SignatureParameters

SEED_BYTES = 32


class Ed25519(SingleKey):
    """Private keys are stored as seed ‖ public key (64 bytes). All parameters but the form play no part."""

    name = "ed25519"
    family = "ed25519"
    sign_us = 33
    verify_us = 104

    def generate(self) -> KeyMaterial:
        private = Ed25519PrivateKey.generate()
        public = private.public_key()
        return KeyMaterial(private.private_bytes_raw() + public.public_bytes_raw(), subject_public_key_info(public))

    def private(self, stored: bytes) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(stored[:SEED_BYTES])

    def derived(self, stored: bytes, context: bytes, kdf: str) -> Ed25519PrivateKey:
        """Return the private key of a context; all 64 bytes stored take part."""
        return Ed25519PrivateKey.from_private_bytes(KDFS[kdf](stored, context, SEED_BYTES))

    def sign(self, private: Ed25519PrivateKey, data: bytes, _: SignatureParameters) -> bytes:
        return private.sign(data)

    def verify(self, public: Ed25519PublicKey, data: bytes, signature: bytes, _: SignatureParameters) -> bool:
        try:
            public.verify(signature, data)
        except InvalidSignature:
            return False
        return True

    def show(self, stored: bytes) -> str:
        return show(self.public(stored))


def show(public: Ed25519PublicKey) -> str:
    """Return the base64 of a public key's 32 bytes."""
    return encode(public.public_bytes_raw())
