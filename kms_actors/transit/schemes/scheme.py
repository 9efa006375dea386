"""What an asymmetric algorithm is to the engine, whatever it is made of."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_public_key,
)

from kms_actors.transit.go_base64 import encode
from kms_actors.transit.signature import SignatureParameters


class KeyMaterial(NamedTuple):
    """A key pair as it is stored: `private` in the form of its scheme, `public` as SubjectPublicKeyInfo (DER)."""

    private: bytes
    public: bytes


class Scheme(Protocol):
    """How key pairs are made, loaded and used. Stateless; loaded keys are the library's, free for any thread.

    `sign_us` and `verify_us` say about how many microseconds one operation takes, so that long ones can be kept
    from the event loop. The library lets go of the interpreter while it signs or verifies.
    """

    name: str  # in key objects
    family: str  # in texts
    sign_us: int
    verify_us: int
    bare: bool  # whether keys are shown, and given out, as base64 of their bytes unless asked for in a form

    def generate(self) -> KeyMaterial: ...

    def private(self, stored: bytes) -> Any:
        """Return the private key of `KeyMaterial.private`."""

    def public(self, stored: bytes) -> Any:
        """Return the public key of `KeyMaterial.public`."""

    def sign(self, private: Any, data: bytes, how: SignatureParameters) -> bytes:
        """Return a signature; raises InvalidRequest for what the scheme cannot do."""

    def verify(self, public: Any, data: bytes, signature: bytes, how: SignatureParameters) -> bool:
        """Tell whether the signature is good; raises InvalidRequest where it could not be one."""

    def show(self, stored: bytes) -> str:
        """Return `KeyMaterial.public` as key objects show it."""

    def parts(self, private: Any) -> tuple[Any, ...]:
        """Return the library's private keys, of which there is one but in hybrid schemes."""


class SingleKey:
    """What schemes with one key pair of the library have in common."""

    bare = False

    def public(self, stored: bytes) -> Any:
        return load_der_public_key(stored)

    def show(self, stored: bytes) -> str:
        return pem(stored)

    def parts(self, private: Any) -> tuple[Any, ...]:
        return (private,)


def pkcs8(private: Any) -> bytes:
    """Return the PKCS#8 DER of a private key of the library."""
    encoded: bytes = private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return encoded


def subject_public_key_info(public: Any) -> bytes:
    """Return the SubjectPublicKeyInfo DER of a public key of the library."""
    encoded: bytes = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return encoded


def pem(stored: bytes, label: str = "PUBLIC KEY") -> str:
    """Return the PEM (RFC 7468) of DER, by default that of a SubjectPublicKeyInfo, with its last line end."""
    text = encode(stored)
    lines = [text[start : start + 64] for start in range(0, len(text), 64)]
    return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""])
