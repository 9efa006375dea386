"""Loaded keys for tests. Key pairs are made once a run: those of RSA take long."""

from __future__ import annotations

from functools import cache

from kms_actors.transit import policy as policies
from kms_actors.transit.key import TransitKey, parameters_of
from kms_actors.transit.key_types import KEY_TYPES, Parameters
from kms_actors.transit.records import KeyPolicy, VersionRecord

#: Every type with the parameters of each of its schemes.
VARIANTS = [
    (name, parameters)
    for name, key_type in KEY_TYPES.items()
    for parameters in (key_type.schemes or {Parameters(): None})
]


def variant_id(variant: object) -> str:
    """Name a variant in a test's id."""
    return variant if isinstance(variant, str) else "-".join(part for part in variant if part)  # type: ignore[attr-defined]


def make_key(type_name: str = "aes256-gcm96", *, versions: int = 1, **changes: object) -> TransitKey:
    """Return a key with the versions that its policy allows."""
    policy = KeyPolicy("k", type_name, latest_version=versions, **changes)  # type: ignore[arg-type]
    first = policy.min_decryption_version
    return TransitKey(policy, {number: record(policy, number) for number in range(first, versions + 1)})


def key_of(variant: tuple[str, Parameters], **changes: object) -> TransitKey:
    """Return a key of a type with its parameters."""
    type_name, parameters = variant
    return make_key(type_name, **parameters._asdict(), **changes)


def record(policy: KeyPolicy, number: int) -> VersionRecord:
    """Return fresh material, or for key pairs that of this number."""
    if KEY_TYPES[policy.type].schemes:
        return _pair(policy.type, parameters_of(policy), number)
    return policies.new_version(policy, 0)


@cache
def _pair(type_name: str, parameters: Parameters, _: int) -> VersionRecord:
    return policies.new_version(KeyPolicy("k", type_name, **parameters._asdict()), 1_700_000_000_123_000_000)
