"""Changes of a key's policy as functions: each takes a policy and returns the next, or says why not."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final, TypeVar

import msgspec

from kms_actors.errors import InvalidRequest
from kms_actors.transit.key import (
    SOFT_DELETED,
    parameters_of,
)
from kms_actors.transit.key_types import (
    DEFAULT_TYPE,
    KEY_TYPES,
    KeyType,
    Parameters,
)
from kms_actors.transit.records import (
    HMAC_KEY_BYTES,
    KeyPolicy,
    VersionRecord,
)
from kms_actors.transit.schemes.rsa import Rsa

T = TypeVar("T")

_HOUR: Final = 3600 * 10**9
_INT64: Final = 1 << 63
FORCED_MINIMUM: Final = "since Vault 0.3, transit key numbering starts at 1; forcing minimum to 1"
NEEDS_ROTATION: Final = "allow_rotation must be set to true if auto-rotation is enabled"
NEEDS_DERIVATION: Final = "convergent encryption requires derivation to be enabled"

#: A policy and what to warn about.
Warned = tuple[KeyPolicy, tuple[str, ...]]


class KeyOptions(msgspec.Struct, frozen=True):
    """What a caller says of a new key. Period in nanoseconds, size in bytes; 0 means none and the default."""

    type: str = DEFAULT_TYPE
    derived: bool = False
    convergent_encryption: bool = False
    exportable: bool = False
    allow_plaintext_backup: bool = False
    auto_rotate_period: int = 0
    key_size: int = 0
    parameter_set: str = ""
    hybrid_key_type_pqc: str = ""
    hybrid_key_type_ec: str = ""

    @property
    def parameters(self) -> Parameters:
        return Parameters(self.parameter_set, self.hybrid_key_type_pqc, self.hybrid_key_type_ec)


class KeyChanges(msgspec.Struct, frozen=True):
    """What a caller changes of a key; None keeps what is."""

    min_decryption_version: int | None = None
    min_encryption_version: int | None = None
    deletion_allowed: bool | None = None
    exportable: bool | None = None
    allow_plaintext_backup: bool | None = None
    auto_rotate_period: int | None = None


def check_options(options: KeyOptions) -> KeyType:
    """Return the type of a new key; raises InvalidRequest for what no key can be, whether there is one or not."""
    _check_period(options.auto_rotate_period)
    if options.convergent_encryption and not options.derived:
        raise InvalidRequest(NEEDS_DERIVATION)
    key_type = KEY_TYPES.get(options.type)
    if key_type is None:
        raise InvalidRequest(f"unknown key type {options.type}")
    _check_key_size(options)
    _check_parameters(key_type, options.parameters)
    return key_type


def new_policy(name: str, options: KeyOptions) -> KeyPolicy:
    """Return the policy of a new key with one version."""
    key_type = check_options(options)
    if options.derived and not key_type.derivation:
        raise InvalidRequest(
            f"key derivation and convergent encryption not supported for keys of type {key_type.name}"
        )
    if options.convergent_encryption and not key_type.convergent:
        raise InvalidRequest(f"convergent encryption not supported for keys of type {key_type.name}")
    return KeyPolicy(
        name=name,
        type=key_type.name,
        derived=options.derived,
        convergent=options.convergent_encryption,
        exportable=options.exportable,
        allow_plaintext_backup=options.allow_plaintext_backup,
        auto_rotate_period=options.auto_rotate_period,
        key_size=options.key_size or (key_type.key_bytes if key_type.key_size else 0),
        incarnation=new_incarnation(),
        **options.parameters._asdict(),
    )


def new_incarnation(random: Callable[[int], bytes] = os.urandom) -> str:
    """Return what tells a key that is made now from any other of its name."""
    return random(8).hex()


def upserted_policy(name: str, type_name: str, *, derived: bool, convergent: bool) -> KeyPolicy:
    """Return the policy of a key that an encryption makes on its way."""
    if convergent and not derived:
        raise InvalidRequest(f"{NEEDS_DERIVATION}, so context is required")
    if type_name.startswith("ecdsa-") and type_name in KEY_TYPES:
        raise InvalidRequest(f"key type {type_name} not supported for this operation")
    if type_name not in KEY_TYPES or not KEY_TYPES[type_name].convergent:
        raise InvalidRequest(f"unknown key type {type_name}")
    return new_policy(name, KeyOptions(type_name, derived, convergent))


def new_version(policy: KeyPolicy, now: int, random: Callable[[int], bytes] = os.urandom) -> VersionRecord:
    """Return fresh material for a version of this key, made at `now` (nanoseconds since 1970)."""
    key_type, hmac_key = KEY_TYPES[policy.type], random(HMAC_KEY_BYTES)
    if key_type.schemes:
        private, public = key_type.schemes[parameters_of(policy)].generate()
        return VersionRecord(key=private, hmac_key=hmac_key, created=now, public_key=public)
    return VersionRecord(key=random(policy.key_size or key_type.key_bytes), hmac_key=hmac_key, created=now)


def makes_slowly(policy: KeyPolicy) -> bool:
    """Tell whether a version of this key takes long to make, up to seconds, where others take half a millisecond."""
    key_type = KEY_TYPES[policy.type]
    return bool(key_type.schemes) and isinstance(key_type.schemes[parameters_of(policy)], Rsa)


def check_policy(policy: KeyPolicy) -> None:
    """Raise InvalidRequest for a policy, not made here, that no key can have."""
    key_type = KEY_TYPES[policy.type]
    _check_period(policy.auto_rotate_period)
    derivation = not policy.derived or key_type.derivation
    convergent = not policy.convergent or (policy.derived and key_type.convergent)
    sizes = policy.key_size in key_type.key_size if key_type.key_size else policy.key_size == 0
    minimum, latest = policy.min_decryption_version, policy.latest_version
    ordered = 0 <= policy.min_available_version <= minimum <= latest < 2**31
    encryption = policy.min_encryption_version == 0 or minimum <= policy.min_encryption_version <= latest
    if not (derivation and convergent and sizes and ordered and encryption):
        raise InvalidRequest("invalid backup: its policy contradicts itself")


def same_material(one: KeyPolicy, other: KeyPolicy) -> bool:
    """Tell whether a version made for one key fits the other."""
    return _material(one) == _material(other)


def rotated(policy: KeyPolicy) -> KeyPolicy:
    """Return the policy with one more version."""
    if policy.soft_deleted:
        raise InvalidRequest(SOFT_DELETED)
    if not policy.allow_rotation:
        raise InvalidRequest(f"imported key {policy.name} does not allow rotation within Vault")
    return msgspec.structs.replace(policy, latest_version=policy.latest_version + 1)


def configured(policy: KeyPolicy, changes: KeyChanges) -> Warned:
    """Apply changes. Exporting and plaintext backup can be allowed, never forbidden again."""
    forced = changes.min_decryption_version == 0
    oldest = 1 if forced else changes.min_decryption_version
    latest = policy.latest_version
    decryption = _checked_minimum("decryption", oldest, policy.min_decryption_version, latest)
    encryption = _checked_minimum("encryption", changes.min_encryption_version, policy.min_encryption_version, latest)
    if 0 < encryption < decryption:
        raise InvalidRequest(
            f"cannot set min encryption/decryption values; min encryption version of {encryption} must be "
            f"greater than or equal to min decryption version of {decryption}"
        )
    period = _or(changes.auto_rotate_period, policy.auto_rotate_period)
    _check_period(period)
    if period and not policy.allow_rotation:
        raise InvalidRequest(NEEDS_ROTATION)
    if policy.min_available_version > encryption:
        raise InvalidRequest("min encryption version should not be less than min available version")
    if policy.min_available_version > decryption:
        raise InvalidRequest("min decryption version should not be less then min available version")
    changed = msgspec.structs.replace(
        policy,
        min_decryption_version=decryption,
        min_encryption_version=encryption,
        deletion_allowed=_or(changes.deletion_allowed, policy.deletion_allowed),
        exportable=policy.exportable or bool(changes.exportable),
        allow_plaintext_backup=policy.allow_plaintext_backup or bool(changes.allow_plaintext_backup),
        auto_rotate_period=period,
    )
    return changed, (FORCED_MINIMUM,) if forced else ()


def trimmed(policy: KeyPolicy, min_available: int | None) -> KeyPolicy:
    """Return the policy without the versions below `min_available`, which are to be destroyed."""
    if min_available is None:
        raise InvalidRequest("missing min_available_version")
    if min_available < policy.min_available_version:
        raise InvalidRequest("minimum available version cannot be decremented")
    if policy.min_encryption_version == 0:
        raise InvalidRequest("minimum available version cannot be set when minimum encryption version is not set")
    if min_available > policy.min_encryption_version:
        raise InvalidRequest("minimum available version cannot be greater than minmum encryption version")
    if min_available > policy.min_decryption_version:
        raise InvalidRequest("minimum available version cannot be greater than minimum decryption version")
    if min_available == 0:
        raise InvalidRequest("minimum available version should be positive")
    return msgspec.structs.replace(policy, min_available_version=min_available)


def soft_deleted(policy: KeyPolicy, deleted: bool) -> Warned:
    """Disable a key, or enable it again."""
    if policy.soft_deleted == deleted:
        return policy, ("key was already marked as soft deleted" if deleted else "key was already restored",)
    return msgspec.structs.replace(policy, soft_deleted=deleted), ()


def check_deletable(name: str, policy: KeyPolicy | None) -> None:
    """Raise unless the key is there and may be destroyed."""
    if policy is None:
        raise InvalidRequest(f"error deleting policy {name}: could not delete key; not found")
    if not policy.deletion_allowed:
        raise InvalidRequest(f"error deleting policy {name}: deletion is not allowed for this key")


def _checked_minimum(use: str, wanted: int | None, current: int, latest: int) -> int:
    if wanted is None:
        return current
    if wanted < 0:
        raise InvalidRequest(f"min {use} version cannot be negative")
    if wanted > latest:
        raise InvalidRequest(f"cannot set min {use} version of {wanted}, latest key version is {latest}")
    return wanted


def _check_key_size(options: KeyOptions) -> None:
    sizes = KEY_TYPES[options.type].key_size
    if options.key_size and not sizes:
        raise InvalidRequest(f"key_size is not valid for algorithm {options.type}")
    if options.key_size and options.key_size not in sizes:
        raise InvalidRequest(f"invalid key_size {options.key_size}")


def _check_parameters(key_type: KeyType, parameters: Parameters) -> None:
    choices = list(key_type.schemes) or [Parameters()]
    for place, (name, value) in enumerate(parameters._asdict().items()):
        allowed = sorted({choice[place] for choice in choices})
        if value in allowed:
            continue
        if allowed == [""]:
            raise InvalidRequest(f"{name} is not valid for algorithm {key_type.name}")
        raise InvalidRequest(f"invalid {name} for key type {key_type.name}; must be one of {', '.join(allowed)}")


def _check_period(nanoseconds: int) -> None:
    if not nanoseconds:
        return
    if not _HOUR <= nanoseconds < _INT64:
        raise InvalidRequest("auto rotate period must be 0 to disable or at least an hour")


def _material(policy: KeyPolicy) -> tuple[str, int, Parameters]:
    return policy.type, policy.key_size, parameters_of(policy)


def _or(wanted: T | None, current: T) -> T:
    return current if wanted is None else wanted
