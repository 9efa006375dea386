"""The table of key types: what each is made of and what it may do.

A new type is a row here, and a module beside this one for what the library does not have.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple, Protocol

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

from kms_actors.transit.schemes.ecdsa import Ecdsa
from kms_actors.transit.schemes.ed25519 import Ed25519
from kms_actors.transit.schemes.mldsa import (
    PARAMETER_SETS,
    BareMlDsa,
    Hybrid,
)
from kms_actors.transit.schemes.rsa import Rsa
from kms_actors.transit.schemes.scheme import Scheme
from kms_actors.transit.schemes.xchacha import XChaCha20Poly1305


class Cipher(Protocol):
    """One key, ready for any number of messages."""

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None) -> bytes: ...

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None) -> bytes:
        """Raises `cryptography.exceptions.InvalidTag` for what is not authentic."""


class Parameters(NamedTuple):
    """What picks the scheme of types that have several: the fields of the API with these names."""

    parameter_set: str = ""
    hybrid_key_type_pqc: str = ""
    hybrid_key_type_ec: str = ""


class KeyType(msgspec.Struct, frozen=True, kw_only=True):
    """What the API shows and allows for one type of key; the defaults allow nothing."""

    name: str
    key_bytes: int = 0  # of each version; the default where a caller may choose `key_size`; 0: a key pair
    key_size: range = range(0)  # the sizes a caller may choose; empty: none
    cipher: Callable[[bytes], Cipher] | None = None  # of authenticated encryption
    nonce_bytes: int = 0
    forgery: str = ""  # the text for a ciphertext that does not authenticate
    schemes: Mapping[Parameters, Scheme] = {}  # of key pairs; a type without parameters has one
    encryption: bool = False
    signing: bool = False
    hmac: bool = True  # by the HMAC key that each version has
    hmac_by_key: bool = False  # by the key itself
    cmac: bool = False
    derivation: bool = False
    convergent: bool = False
    shows_versions: bool = True  # whether a key object lists its versions


GCM_FORGERY: Final = "cipher: message authentication failed"
CHACHA_FORGERY: Final = "chacha20poly1305: message authentication failed"


def _aead(name: str, key_bytes: int, cipher: Callable[[bytes], Cipher], nonce_bytes: int, forgery: str) -> KeyType:
    return KeyType(
        name=name,
        key_bytes=key_bytes,
        cipher=cipher,
        nonce_bytes=nonce_bytes,
        forgery=forgery,
        encryption=True,
        derivation=True,
        convergent=True,
    )


def _pair(scheme: Scheme, name: str = "", *, encryption: bool = False, derivation: bool = False) -> KeyType:
    return KeyType(
        name=name or scheme.name,
        schemes={Parameters(): scheme},
        signing=True,
        encryption=encryption,
        derivation=derivation,
    )


def _cmac(name: str, key_bytes: int) -> KeyType:
    return KeyType(name=name, key_bytes=key_bytes, cmac=True, hmac=False)


_ED25519: Final = Ed25519()
_CURVES: Final[Mapping[str, Scheme]] = {
    "ecdsa-p256": Ecdsa(ec.SECP256R1(), "P-256", sign_us=25, verify_us=70),
    "ecdsa-p384": Ecdsa(ec.SECP384R1(), "P-384", sign_us=210, verify_us=470),
    "ecdsa-p521": Ecdsa(ec.SECP521R1(), "P-521", sign_us=250, verify_us=470),
}
_POST_QUANTUM: Final = (
    KeyType(
        name="ml-dsa",
        signing=True,
        schemes={Parameters(name): scheme for name, scheme in PARAMETER_SETS.items()},
    ),
    *(_pair(BareMlDsa(scheme)) for scheme in PARAMETER_SETS.values()),
    KeyType(
        name="hybrid",
        signing=True,
        schemes={
            Parameters(name, "ml-dsa", curve_name): Hybrid(scheme, curve)
            for name, scheme in PARAMETER_SETS.items()
            for curve_name, curve in {"ed25519": _ED25519, **_CURVES}.items()
        },
    ),
)

#: Every type by its name in the API.
KEY_TYPES: Final[Mapping[str, KeyType]] = {
    key_type.name: key_type
    for key_type in (
        _aead("aes128-gcm96", 16, AESGCM, 12, GCM_FORGERY),
        _aead("aes256-gcm96", 32, AESGCM, 12, GCM_FORGERY),
        _aead("chacha20-poly1305", 32, ChaCha20Poly1305, 12, CHACHA_FORGERY),
        _aead("xchacha20-poly1305", 32, XChaCha20Poly1305, 24, CHACHA_FORGERY),
        _pair(_ED25519, derivation=True),
        *(_pair(curve, name) for name, curve in _CURVES.items()),
        _pair(Rsa(2048, sign_us=250, verify_us=25), encryption=True),
        _pair(Rsa(3072, sign_us=700, verify_us=45), encryption=True),
        _pair(Rsa(4096, sign_us=1500, verify_us=70), encryption=True),
        KeyType(name="hmac", key_bytes=32, key_size=range(32, 513), hmac_by_key=True, shows_versions=False),
        _cmac("aes128-cmac", 16),
        _cmac("aes192-cmac", 24),
        _cmac("aes256-cmac", 32),
        *(key_type for key_type in _POST_QUANTUM if key_type.schemes),
    )
}

DEFAULT_TYPE: Final = "aes256-gcm96"
