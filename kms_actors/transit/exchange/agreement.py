"""Keys that two parties agree on: ECDH (SP 800-56A) on the NIST curves, and HKDF-SHA256 of what it gives."""

from __future__ import annotations

from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from kms_actors.errors import InvalidRequest
from kms_actors.transit.derivation import hkdf_sha256
from kms_actors.transit.key import TransitKey
from kms_actors.transit.key_types import KEY_TYPES
from kms_actors.transit.schemes.ecdsa import Ecdsa
from kms_actors.transit.version import Version
from kms_actors.untrusted import untrusted

ECDH: Final = "ecdh"


def check_agreement(algorithm: str, peer: str, type_name: str) -> None:
    """Raise InvalidRequest unless keys of this type can be agreed on in this way, and with somebody."""
    if algorithm != ECDH:
        raise InvalidRequest(f"key derivation algorithm {algorithm} not supported")
    if not peer:
        raise InvalidRequest("peer public key not provided")
    if type_name not in KEY_TYPES or KEY_TYPES[type_name].cipher is None:
        raise InvalidRequest(f"unknown key type {type_name}")


def agreed_key(base: TransitKey, number: int, peer: str, type_name: str) -> bytes:
    """Return the key of a type that a version (0: the latest) and a peer's public key (PEM) agree on."""
    base.check_usable()
    if not isinstance(base.scheme, Ecdsa):
        raise InvalidRequest(f"base key type {base.type.name} does not support key agreement")
    version, public = _version(base, number), _load(peer)
    if public.curve.name != version.public.curve.name:
        raise InvalidRequest(f"base private key type {base.type.name} does not match peer public key curve")
    if version.private is None:
        raise InvalidRequest("private key not imported for key version selected")
    with untrusted("the peer public key is not one that a key can be agreed on with"):
        shared = version.private.exchange(ec.ECDH(), public)
    return hkdf_sha256(shared, b"", KEY_TYPES[type_name].key_bytes)


def _version(base: TransitKey, number: int) -> Version:
    if number < 0:
        raise InvalidRequest("requested version of the base key is negative")
    if number > base.policy.latest_version:
        raise InvalidRequest("requested version of the base key is higher than the latest key version")
    return base.version(number) if number else base.latest


def _load(peer: str) -> ec.EllipticCurvePublicKey:
    with untrusted("failed to parse supplied peer public key PEM: data does not contain any valid public keys"):
        public = load_pem_public_key(peer.encode("utf-8", "surrogatepass"))
    if not isinstance(public, ec.EllipticCurvePublicKey):
        raise InvalidRequest("supplied peer public key is not an ECDSA key")
    return public
