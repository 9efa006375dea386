"""Keys and certificates from outside: imports wrapped for each server, chains for the key that each server has."""

from __future__ import annotations

import base64
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_public_key,
)
from cryptography.x509.oid import NameOID

from kms_actors.transit.exchange.wrapping import wrap
from tests.differential.steps import Made, Own

CURVES: Final[Mapping[str, ec.EllipticCurve]] = {
    "ecdsa-p256": ec.SECP256R1(),
    "ecdsa-p384": ec.SECP384R1(),
    "ecdsa-p521": ec.SECP521R1(),
}
#: Bytes of raw keys.
SIZES: Final = {"aes128-gcm96": 16, "aes256-gcm96": 32, "chacha20-poly1305": 32, "xchacha20-poly1305": 32, "hmac": 48}


def private_key(type_name: str, which: int) -> Any:
    """Return one of the asymmetric keys of a type, the same for the same number; RSA keys are few."""
    if type_name in CURVES:
        return ec.derive_private_key(which + 2, CURVES[type_name])
    if type_name == "ed25519":
        return ed25519.Ed25519PrivateKey.from_private_bytes(which.to_bytes(32, "big"))
    return _rsa_key(int(type_name.removeprefix("rsa-")), which % 2)


@cache
def _rsa_key(bits: int, _: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, bits)


def material(type_name: str, which: int) -> bytes:
    """Return a key as an import takes it: raw, or PKCS #8."""
    if type_name in SIZES:
        return random.Random(which).randbytes(SIZES[type_name])
    encoded: bytes = private_key(type_name, which).private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return encoded


def public_pem(type_name: str, which: int) -> str:
    """Return the public half of one of the asymmetric keys."""
    return _pem(private_key(type_name, which).public_key())


def _pem(public: Any) -> str:
    text: bytes = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return text.decode()


@dataclass(frozen=True)
class Wrapped(Own):
    """Material for an import, under the server's own wrapping key; then changed."""

    material: bytes
    hash_function: str = "SHA256"
    change: str = "as it is"

    def of(self, made: Made) -> str:
        public = load_pem_public_key(made["wrapping key"][0].encode())
        assert isinstance(public, rsa.RSAPublicKey)
        return base64.b64encode(DAMAGE[self.change](wrap(public, self.material, self.hash_function))).decode()


DAMAGE: Final[Mapping[str, Callable[[bytes], bytes]]] = {
    "as it is": lambda blob: blob,
    "short": lambda blob: blob[:100],
    "no key": lambda blob: blob[:512],
    "small": lambda blob: blob[:520],
    "cut": lambda blob: blob[:-8],
    "cut within a block": lambda blob: blob[:-1],
    "tampered": lambda blob: blob[:-1] + bytes([blob[-1] ^ 1]),
    "tampered AES key": lambda blob: bytes([blob[0] ^ 1]) + blob[1:],
    "large": lambda blob: blob + bytes(8192),
}


@dataclass(frozen=True)
class Chain(Own):
    """Certificates for the public key that the server has shown last for a key."""

    key: str
    shape: str

    def of(self, made: Made) -> str:
        shown = made.get(f"public key of {self.key}") or [""]
        public = _loaded(shown[-1])
        return SHAPES[self.shape](lambda: _certificate(public))


def _loaded(text: str) -> Any:
    """Return a public key as a key object shows it; one of no server where it shows none."""
    if not text:
        return private_key("ecdsa-p256", 100).public_key()
    if text.startswith("-----"):
        return load_pem_public_key(text.encode())
    return ed25519.Ed25519PublicKey.from_public_bytes(base64.b64decode(text))


def _certificate(public: Any, *, authority: bool = False) -> str:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ca.example" if authority else "kms.example")])
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ca.example")])
    builder = x509.CertificateBuilder(issuer, name, public, 5, start, start + timedelta(days=3650))
    builder = builder.add_extension(x509.BasicConstraints(authority, None), critical=True)
    return builder.sign(private_key("ecdsa-p256", 1), SHA256()).public_bytes(Encoding.PEM).decode()


@cache
def _root() -> str:
    return _certificate(private_key("ecdsa-p256", 1).public_key(), authority=True)


@cache
def _foreign(type_name: str) -> str:
    return _certificate(private_key(type_name, 99).public_key())


#: What a chain is made of; the leaf is made when it is called.
SHAPES: Final[Mapping[str, Callable[[Callable[[], str]], str]]] = {
    "leaf and root": lambda leaf: leaf() + _root(),
    "leaf": lambda leaf: leaf(),
    "root": lambda _: _root(),
    "root first": lambda leaf: _root() + leaf(),
    "two leaves": lambda leaf: leaf() + leaf() + _root(),
    "of another curve": lambda _: _foreign("ecdsa-p384") + _root(),
    "of another key": lambda _: _foreign("ecdsa-p256") + _root(),
    "of an ed25519 key": lambda _: _foreign("ed25519") + _root(),
    "of an RSA key": lambda _: _foreign("rsa-2048") + _root(),
    "something in front": lambda leaf: "subject: kms\n" + leaf() + _root(),
    "something behind": lambda leaf: leaf() + _root() + "more",
    "of other blocks": lambda _: public_pem("ecdsa-p256", 1),
    "malformed": lambda _: "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    "no PEM": lambda _: "x",
    "empty": lambda _: "",
}


@cache
def csr_template() -> str:
    """Return a request whose subject and extensions another may take over."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kms.example")])
    names = x509.SubjectAlternativeName([x509.DNSName("kms.example")])
    builder = x509.CertificateSigningRequestBuilder(name).add_extension(names, critical=False)
    return builder.sign(private_key("ecdsa-p256", 1), SHA256()).public_bytes(Encoding.PEM).decode()
