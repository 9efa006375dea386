"""One version of a key in a backup: Go's JSON of Vault's key entries, and the records of this program.

Numbers of key pairs stand as decimals, RSA as Go's `rsa.PrivateKey` does; what does not apply is null.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from kms_actors.transit.exchange.certificates import certified, read_chain
from kms_actors.transit.exchange.importing import check_rsa, checked_version
from kms_actors.transit.go_base64 import decode, encode
from kms_actors.transit.key import parameters_of
from kms_actors.transit.key_types import KEY_TYPES
from kms_actors.transit.records import (
    HMAC_KEY_BYTES,
    KeyPolicy,
    VersionRecord,
)
from kms_actors.transit.schemes import mldsa
from kms_actors.transit.schemes.ecdsa import Ecdsa
from kms_actors.transit.schemes.ed25519 import (
    SEED_BYTES,
    Ed25519,
)
from kms_actors.transit.schemes.mldsa import BareMlDsa, MlDsa
from kms_actors.transit.schemes.rsa import Rsa
from kms_actors.untrusted import untrusted

#: What convergent encryption works by here; the older ways are refused.
CONVERGENT_VERSION: Final = 3

NO_TIME: Final = "0001-01-01T00:00:00Z"
_SECOND: Final = 10**9
_INT64: Final = 1 << 63
_FRACTION: Final = re.compile(r"\.(\d{1,9})", re.ASCII)


class _Secret(msgspec.Struct, frozen=True):
    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


class Precomputed(
    _Secret, frozen=True, rename={"dp": "Dp", "dq": "Dq", "q_inverse": "Qinv", "crt_values": "CRTValues"}
):
    """What speeds up a private key of two primes."""

    dp: int | None = None
    dq: int | None = None
    q_inverse: int | None = None
    crt_values: list[Any] | None = []


class RsaPublic(msgspec.Struct, frozen=True, rename={"modulus": "N", "exponent": "E"}):
    """A public key."""

    modulus: int
    exponent: int


class RsaPrivate(
    _Secret,
    frozen=True,
    rename={"modulus": "N", "exponent": "E", "private": "D", "primes": "Primes", "precomputed": "Precomputed"},
):
    """A private key; its precomputed values are written, and computed anew when it is read."""

    modulus: int
    exponent: int
    private: int
    primes: list[int]
    precomputed: Precomputed | None = None


class Entry(_Secret, frozen=True):
    """A version. The defaults are those of a version that does not exist."""

    key: bytes | None = None
    hmac_key: bytes | None = None
    time: str = NO_TIME
    ec_x: int | None = None
    ec_y: int | None = None
    ec_d: int | None = None
    rsa_key: RsaPrivate | None = None
    rsa_public_key: RsaPublic | None = None
    public_key: str = ""
    convergent_version: int = 0
    creation_time: int = 0  # seconds since 1970; bounded when it is used
    certificate_chain: list[bytes] | None = None


def entry_of(policy: KeyPolicy, version: VersionRecord) -> Entry:
    """Return a version as a backup has it."""
    key_type = KEY_TYPES[policy.type]
    return Entry(
        hmac_key=version.key if key_type.hmac_by_key else version.hmac_key,
        time=rfc3339(version.created),
        creation_time=version.created // _SECOND,
        convergent_version=CONVERGENT_VERSION if policy.convergent else 0,
        certificate_chain=list(version.certificate_chain) or None,
        **_material(policy, version),
    )


def version_of(policy: KeyPolicy, entry: Entry) -> VersionRecord:
    """Return the version that a backup has; raises InvalidRequest if it cannot be one of this key."""
    created = _nanoseconds(entry)
    with untrusted("invalid backup: the key of a version is not one"):
        version = checked_version(policy, _key(policy, entry), created)
    # Vault gives keys that are older than HMAC keys one when it loads them.
    version = msgspec.structs.replace(version, hmac_key=entry.hmac_key or os.urandom(HMAC_KEY_BYTES))
    return certified(policy, version, read_chain(entry.certificate_chain)) if entry.certificate_chain else version


def _material(policy: KeyPolicy, version: VersionRecord) -> Mapping[str, Any]:
    schemes = KEY_TYPES[policy.type].schemes
    if not schemes:
        return {"key": version.key}
    scheme = schemes[parameters_of(policy)]
    if isinstance(scheme, MlDsa):
        raw = scheme.public(version.public_key).public_bytes_raw()
        return {"key": version.key or None, "public_key": encode(raw)}
    public = scheme.public(version.public_key)
    private = scheme.private(version.key) if version.key else None
    if isinstance(public, rsa.RSAPublicKey):
        return _rsa_material(public, private)
    shown = {"public_key": scheme.show(version.public_key)}
    if isinstance(scheme, Ed25519):
        return {"key": version.key or None, **shown}
    point = public.public_numbers()
    scalar = private.private_numbers().private_value if private else None
    return {"ec_x": point.x, "ec_y": point.y, "ec_d": scalar, **shown}


def _rsa_material(public: rsa.RSAPublicKey, private: rsa.RSAPrivateKey | None) -> Mapping[str, Any]:
    numbers = public.public_numbers()
    if private is None:
        return {"rsa_public_key": RsaPublic(numbers.n, numbers.e)}
    own = private.private_numbers()
    precomputed = Precomputed(own.dmp1, own.dmq1, own.iqmp)
    return {"rsa_key": RsaPrivate(numbers.n, numbers.e, own.d, [own.p, own.q], precomputed)}


def _key(policy: KeyPolicy, entry: Entry) -> Any:
    """Return the bytes of a symmetric key, else a key of the library: private, or public where no more is known."""
    schemes = KEY_TYPES[policy.type].schemes
    if not schemes:
        return entry.key or b""
    return _PAIRS[type(next(iter(schemes.values())))](policy, entry)


def _curve_key(policy: KeyPolicy, entry: Entry) -> Any:
    (scheme,) = KEY_TYPES[policy.type].schemes.values()
    assert isinstance(scheme, Ecdsa)
    if entry.ec_x is None or entry.ec_y is None:
        raise ValueError("no point")
    point = ec.EllipticCurvePublicNumbers(entry.ec_x, entry.ec_y, scheme.curve)
    if entry.ec_d is None:
        return point.public_key()
    return ec.EllipticCurvePrivateNumbers(entry.ec_d, point).private_key()


def _ed25519_key(_: KeyPolicy, entry: Entry) -> Any:
    if not entry.key:
        return ed25519.Ed25519PublicKey.from_public_bytes(decode(entry.public_key))
    private = ed25519.Ed25519PrivateKey.from_private_bytes(entry.key[:SEED_BYTES])
    if private.public_key().public_bytes_raw() != entry.key[SEED_BYTES:]:
        raise ValueError("the halves do not fit")
    return private


def _rsa_key(policy: KeyPolicy, entry: Entry) -> Any:
    (scheme,) = KEY_TYPES[policy.type].schemes.values()
    assert isinstance(scheme, Rsa)
    key, public = entry.rsa_key, entry.rsa_public_key
    if key is None:
        if public is None:
            raise ValueError("no key")
        check_rsa(scheme.bits, public.modulus.bit_length(), public.exponent)
        return rsa.RSAPublicNumbers(public.exponent, public.modulus).public_key()
    check_rsa(scheme.bits, key.modulus.bit_length(), key.exponent)
    p, q = key.primes
    if p * q != key.modulus or not 0 < key.private < key.modulus:
        raise ValueError("the numbers do not fit")
    return rsa.RSAPrivateNumbers(
        p,
        q,
        key.private,
        rsa.rsa_crt_dmp1(key.private, p),
        rsa.rsa_crt_dmq1(key.private, q),
        rsa.rsa_crt_iqmp(p, q),
        rsa.RSAPublicNumbers(key.exponent, key.modulus),
    ).private_key()


def _mldsa_key(policy: KeyPolicy, entry: Entry) -> Any:
    (scheme,) = KEY_TYPES[policy.type].schemes.values()
    assert isinstance(scheme, BareMlDsa)
    public = decode(entry.public_key)
    key = scheme.private_of(entry.key or b"", public)
    if entry.key and (len(entry.key) != mldsa.SEED_BYTES or key.public_key().public_bytes_raw() != public):
        raise ValueError("the halves do not fit")
    return key


_PAIRS: Final = {BareMlDsa: _mldsa_key, Ecdsa: _curve_key, Ed25519: _ed25519_key, Rsa: _rsa_key}


def rfc3339(nanoseconds: int) -> str:
    """Return a time since 1970 as Go writes it."""
    seconds, fraction = divmod(nanoseconds, _SECOND)
    return f"{datetime.fromtimestamp(seconds, UTC).isoformat()[:19]}.{fraction:09d}Z"


def parse_time(text: str, what: str) -> int:
    """Return the nanoseconds since 1970 of a time as Go writes it.

    Raises:
        InvalidRequest: it is none, or one that does not fit into 64 bits; the text says what it is the time of.

    """
    with untrusted(f"invalid backup: the time of {what} is not one"):
        fraction = _FRACTION.search(text[:64])
        seconds = int(datetime.fromisoformat(_FRACTION.sub("", text[:64])).timestamp())
        made = seconds * _SECOND + (int(fraction[1].ljust(9, "0")) if fraction else 0)
        if not -_INT64 <= made < _INT64:
            raise ValueError("out of range")
        return made


def _nanoseconds(entry: Entry) -> int:
    """Return when a version was made; the oldest backups have no more than the second."""
    made = parse_time(entry.time, "a version")
    return made if made > 0 else max(0, min(entry.creation_time, 2**33)) * _SECOND
