"""Loaded keys for tests. Key pairs are made once a run: those of RSA take long."""

from __future__ import annotations

from functools import cache
from typing import Any

from kms_actors.transit import policy as policies
from kms_actors.transit.key import TransitKey, parameters_of
from kms_actors.transit.key_types import KEY_TYPES, Parameters
from kms_actors.transit.records import KeyPolicy, VersionRecord
from kms_actors.transit.schemes.scheme import subject_public_key_info

Variant = tuple[str, Parameters]

#: Every type with the parameters of each of its schemes.
VARIANTS: list[Variant] = [
    (name, parameters)
    for name, key_type in KEY_TYPES.items()
    for parameters in (list(key_type.schemes) or [Parameters()])
]
SIGNING = [variant for variant in VARIANTS if KEY_TYPES[variant[0]].signing]


def variant_id(variant: Variant) -> str:
    """Name a variant in a test's id."""
    return "-".join([variant[0], *(part for part in variant[1] if part)])


def make_key(type_name: str = "aes256-gcm96", *, versions: int = 1, **changes: Any) -> TransitKey:
    """Return a key with the versions that its policy allows."""
    policy = KeyPolicy("k", type_name, latest_version=versions, **changes)
    first = policy.min_decryption_version
    return TransitKey(policy, {number: _record(policy, number) for number in range(first, versions + 1)})


def key_of(variant: Variant, **changes: Any) -> TransitKey:
    """Return a key of a type with its parameters."""
    type_name, parameters = variant
    return make_key(type_name, **parameters._asdict(), **changes)


def public_only(type_name: str, public: Any, **policy: Any) -> TransitKey:
    """Return a key of which nothing but the public half is known."""
    material = VersionRecord(b"", bytes(32), 0, subject_public_key_info(public))
    return TransitKey(KeyPolicy("k", type_name, **policy), {1: material})


def _record(policy: KeyPolicy, number: int) -> VersionRecord:
    if KEY_TYPES[policy.type].schemes:
        return _pair(policy.type, parameters_of(policy), number)
    return policies.new_version(policy, 0)


@cache
def _pair(type_name: str, parameters: Parameters, _: int) -> VersionRecord:
    return policies.new_version(KeyPolicy("k", type_name, **parameters._asdict()), 1_700_000_000_123_000_000)
