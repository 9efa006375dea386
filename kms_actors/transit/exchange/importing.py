"""Key material that others made: read, checked against the type of its key, brought into the form of its scheme."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, rsa
from cryptography.hazmat.primitives.serialization import load_der_private_key, load_pem_public_key

from kms_actors.errors import InvalidRequest
from kms_actors.transit.key import (
    NO_SUCH_VERSION,
    SOFT_DELETED,
    parameters_of,
)
from kms_actors.transit.key_types import (
    KEY_TYPES,
    KeyType,
)
from kms_actors.transit.policy import (
    NEEDS_ROTATION,
    KeyOptions,
    new_policy,
)
from kms_actors.transit.records import (
    HMAC_KEY_BYTES,
    KeyPolicy,
    VersionRecord,
)
from kms_actors.transit.schemes.ecdsa import Ecdsa
from kms_actors.transit.schemes.ed25519 import Ed25519
from kms_actors.transit.schemes.mldsa import BareMlDsa
from kms_actors.transit.schemes.rsa import Rsa
from kms_actors.transit.schemes.scheme import (
    Scheme,
    pkcs8,
    subject_public_key_info,
)
from kms_actors.untrusted import untrusted

_CURVES: Final = {"secp224r1": "P-224", "secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}
HKDF_ONLY: Final = (
    "unable to import only public key for derived Ed25519 key: imported key should not be an Ed25519 key pair but is "
    "instead an HKDF key"
)
_NO_PAIR: Final = "cannot import key, key pair does not match"
#: Bytes of an RSA exponent: a larger one makes each use of the public key dearer, up to 200 times.
_EXPONENTS: Final = range(3, 2**31)
#: Bytes of what a key can be: its DER or PEM.
_MOST_KEY: Final = 64 * 1024
_NO_PKCS8: Final = "error parsing asymmetric key: not a private key in PKCS#8"
_NO_PUBLIC: Final = "error parsing public key: not in PEM format"
NOT_THE_SAME: Final = "the key was replaced by one of another type meanwhile"
EXISTS: Final = (
    "the import path cannot be used with an existing key; use import-version to rotate an existing imported key"
)


class Imported(msgspec.Struct, frozen=True):
    """What a caller gives: the bytes of a private or symmetric key, or the PEM of a public key."""

    key: bytes = b""
    public_key: str = ""

    def __repr__(self) -> str:
        return "<Imported>"


def _check_type(name: str) -> None:
    """Raise InvalidRequest unless there is a type of this name, and its keys can be imported."""
    key_type = KEY_TYPES.get(name)
    if key_type is None:
        raise InvalidRequest(f"unknown key type: {name}")
    check_importable(key_type)


def check_importable(key_type: KeyType) -> None:
    """Raise InvalidRequest for types whose keys can be made here only."""
    if key_type.schemes and not isinstance(_only_scheme(key_type), Ecdsa | Ed25519 | Rsa | BareMlDsa):
        raise InvalidRequest(f"import is not supported for key type {key_type.name}")


def check_options(options: KeyOptions, *, allow_rotation: bool) -> None:
    """Raise InvalidRequest unless such keys can be imported."""
    if options.auto_rotate_period and not allow_rotation:
        raise InvalidRequest(NEEDS_ROTATION)
    _check_type(options.type)


def imported_policy(name: str, options: KeyOptions, *, allow_rotation: bool) -> KeyPolicy:
    """Return the policy of an imported key with one version; options that no key can have raise InvalidRequest."""
    check_options(options, allow_rotation=allow_rotation)
    policy = new_policy(name, options)
    return msgspec.structs.replace(policy, imported=True, allow_rotation=allow_rotation)


def check_half(type_name: str, given: Imported) -> None:
    """Raise InvalidRequest for the public key of a key that has none."""
    if not given.key and not KEY_TYPES[type_name].schemes:
        raise InvalidRequest("provided type does not support public_key import")


def imported_version(policy: KeyPolicy, given: Imported, now: int, *, completes: bool = False) -> VersionRecord:
    """Return the record of a version of this key, made at `now` (nanoseconds since 1970) of what was given.

    With `completes` it is to be the private key of a version that is there.
    """
    if not KEY_TYPES[policy.type].schemes:
        return checked_version(policy, given.key, now)
    if not given.key and policy.derived:
        raise InvalidRequest(HKDF_ONLY)
    load = partial(_load_private, given.key) if given.key else partial(_load_public, given.public_key)
    try:
        return _version_of(policy, load, now)
    except InvalidRequest:
        if completes:
            raise InvalidRequest(_NO_PAIR) from None
        raise


def checked_version(policy: KeyPolicy, key: Any, now: int) -> VersionRecord:
    """Return the record of a version, with an HMAC key of its own, if `key` is of the type of the policy.

    `key` is the bytes of a symmetric key, or a key of the library: private, or public.
    """
    hmac_key, key_type = os.urandom(HMAC_KEY_BYTES), KEY_TYPES[policy.type]
    if not key_type.schemes:
        _check_size(policy, key_type, len(key))
        return VersionRecord(key, hmac_key, now)
    private = hasattr(key, "public_key")
    _check_fit(_only_scheme(key_type), policy.type, key, "PrivateKey" if private else "PublicKey")
    with untrusted(_NO_PKCS8 if private else _NO_PUBLIC):
        public = key.public_key() if private else key
        return VersionRecord(_stored(key) if private else b"", hmac_key, now, subject_public_key_info(public))


def check_rsa(bits: int, modulus_bits: int, exponent: int) -> None:
    """Raise InvalidRequest unless an RSA key is as large as its type says, and has an exponent that is in use.

    Told from the numbers alone, before anything is proved of them: that takes seconds for a large key.
    """
    if bits != modulus_bits:
        raise InvalidRequest(f"invalid key size: expected {bits // 8} bytes, got {(modulus_bits + 7) // 8} bytes")
    if exponent not in _EXPONENTS or exponent % 2 == 0:
        raise InvalidRequest("invalid RSA key: its public exponent must be odd, at least 3 and below 2^31")


def check_extendable(name: str, policy: KeyPolicy | None) -> KeyPolicy:
    """Return the policy; raises InvalidRequest unless versions can be imported for it."""
    if policy is None:
        raise InvalidRequest(f"no key found with name {name}; to import a new key, use the import/ endpoint")
    if not policy.imported:
        raise InvalidRequest("the import_version endpoint can only be used with an imported key")
    if policy.soft_deleted:
        raise InvalidRequest(SOFT_DELETED)
    return policy


def check_completable(policy: KeyPolicy, version: VersionRecord | None, *, private: bool) -> None:
    """Raise InvalidRequest unless this version lacks its private key, and that is what was given."""
    if version is None:
        raise InvalidRequest(NO_SUCH_VERSION)
    if not KEY_TYPES[policy.type].schemes:
        raise InvalidRequest("provided type does not support importing key versions")
    if not version.key and not private:
        raise InvalidRequest("cannot add a public key to a key version that already has a public key set")
    if version.key:
        raise InvalidRequest("private key imported, key version cannot be updated")


def placed(
    policy: KeyPolicy, versions: Mapping[int, VersionRecord], given: VersionRecord, wanted: int
) -> tuple[int, VersionRecord]:
    """Return the number and record of what is to be written: a new version, or one that gets its private key.

    `wanted` names a version to complete; with 0 the latest one is, if what was given is its private key.
    """
    if wanted:
        check_completable(policy, versions.get(wanted), private=bool(given.key))
        return wanted, _completed(versions[wanted], given)
    latest = versions[policy.latest_version]
    if given.key and not latest.key and latest.public_key == given.public_key:
        return policy.latest_version, _completed(latest, given)
    return policy.latest_version + 1, given


def target_of(policy: KeyPolicy, version: VersionRecord) -> bytes:
    """Return the bytes by which another server imports this version: PKCS#8 (DER) of a private key, or the key."""
    key_type = KEY_TYPES[policy.type]
    if not key_type.schemes:
        return version.key
    if not version.key:
        raise InvalidRequest("private key not imported for key version selected")
    return pkcs8(key_type.schemes[parameters_of(policy)].private(version.key))


def _completed(version: VersionRecord, given: VersionRecord) -> VersionRecord:
    """Return a version, of which only the public key was known, with its private key."""
    if version.public_key != given.public_key:
        raise InvalidRequest(_NO_PAIR)
    return msgspec.structs.replace(version, key=given.key)


def _only_scheme(key_type: KeyType) -> Scheme:
    return next(iter(key_type.schemes.values()))


def _check_size(policy: KeyPolicy, key_type: KeyType, size: int) -> None:
    if size not in (key_type.key_size or (key_type.key_bytes,)):
        raise InvalidRequest(f"invalid key size {size} bytes for key type {policy.type}")


def _version_of(policy: KeyPolicy, load: Callable[..., Any], now: int) -> VersionRecord:
    """Load a key, and check what it is before what takes long is proved of it."""
    key = load(proved=False)
    half = "PrivateKey" if hasattr(key, "public_key") else "PublicKey"
    _check_fit(_only_scheme(KEY_TYPES[policy.type]), policy.type, key, half)
    return checked_version(policy, load(proved=True), now)


def _load_private(der: bytes, *, proved: bool) -> Any:
    with untrusted(_NO_PKCS8):
        return load_der_private_key(der[:_MOST_KEY], None, unsafe_skip_rsa_key_validation=not proved)


def _load_public(text: str, *, proved: bool) -> Any:
    del proved  # there is nothing to prove
    if len(text) > _MOST_KEY:
        raise InvalidRequest(_NO_PUBLIC)
    with untrusted(_NO_PUBLIC):
        return load_pem_public_key(text.encode("utf-8", "surrogatepass"))


def _check_fit(scheme: Scheme, type_name: str, key: Any, half: str) -> None:
    """Raise InvalidRequest unless a key of the library is one of the scheme's."""
    if _FAMILIES.get(_family(key)) is not type(scheme):
        found = f"{_GO_NAMES.get(_family(key), 'unknown')}{half}"
        raise InvalidRequest(f"invalid key type: expected {type_name}, got {found}")
    if isinstance(scheme, Ecdsa) and scheme.name != (got := _CURVES.get(key.curve.name, key.curve.name)):
        raise InvalidRequest(f"invalid curve: expected {scheme.name}, got {got}")
    if isinstance(scheme, BareMlDsa) and not scheme.is_key(key):
        raise InvalidRequest(f"invalid key type: expected {type_name}, got ML-DSA of another parameter set")
    if isinstance(scheme, Rsa):
        check_rsa(scheme.bits, key.key_size, _exponent(key))


def _exponent(key: Any) -> int:
    with untrusted(_NO_PKCS8):
        public = key.public_key() if hasattr(key, "public_key") else key
        exponent: int = public.public_numbers().e
        return exponent


def _family(key: Any) -> str:
    for family, kinds in _KINDS.items():
        if isinstance(key, kinds):
            return family
    return ""


def _stored(private: Any) -> bytes:
    """Return a private key in the form of its scheme."""
    if isinstance(private, ed25519.Ed25519PrivateKey):
        return private.private_bytes_raw() + private.public_key().public_bytes_raw()
    if isinstance(private, _KINDS["mldsa"][0]):
        seed: bytes = private.private_bytes_raw()
        return seed
    return pkcs8(private)


_KINDS: Final[dict[str, tuple[Any, Any]]] = {
    "ec": (ec.EllipticCurvePrivateKey, ec.EllipticCurvePublicKey),
    "ed25519": (ed25519.Ed25519PrivateKey, ed25519.Ed25519PublicKey),
    "rsa": (rsa.RSAPrivateKey, rsa.RSAPublicKey),
    "mldsa": (
        (mldsa.MLDSA44PrivateKey, mldsa.MLDSA65PrivateKey, mldsa.MLDSA87PrivateKey),
        (mldsa.MLDSA44PublicKey, mldsa.MLDSA65PublicKey, mldsa.MLDSA87PublicKey),
    ),
}
_FAMILIES: Final[dict[str, type]] = {"ec": Ecdsa, "ed25519": Ed25519, "rsa": Rsa, "mldsa": BareMlDsa}
_GO_NAMES: Final = {"ec": "*ecdsa.", "ed25519": "ed25519.", "rsa": "*rsa."}
