"""Signatures by a loaded key: made by the version asked for, verified by the version they name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kms_actors.errors import InvalidRequest
from kms_actors.transit import ciphertext
from kms_actors.transit.items import (
    Signed,
    SignItem,
    SignResult,
    VerifyItem,
    VerifyResult,
    bare,
    each,
)
from kms_actors.transit.key import (
    MISSING_CONTEXT,
    TransitKey,
)
from kms_actors.transit.schemes import ed25519
from kms_actors.transit.schemes.scheme import Scheme
from kms_actors.transit.signature import SignatureParameters
from kms_actors.transit.version import Version


def sign(
    key: TransitKey, items: Sequence[SignItem | InvalidRequest], how: SignatureParameters, key_version: int = 0
) -> list[SignResult]:
    """Sign each item by one version; 0 means the latest.

    What is wrong with the version is the fault of each item, as in the API. Raises InvalidRequest if keys of this
    type do not sign, or not without a hash.
    """
    scheme = scheme_of(key, "signing")
    how.check_hash()
    encode = ciphertext.encode_jws if how.jws else ciphertext.encode
    try:
        version = _signing_version(key, key_version)
    except InvalidRequest as error:
        return [item if isinstance(item, InvalidRequest) else bare(error) for item in items]

    def signed(item: SignItem) -> Signed:
        private = private_of(key, version, item.context)
        signature = encode(version.prefix, scheme.sign(private, item.input, how))
        shown = ed25519.show(private.public_key()) if key.policy.derived else ""
        return Signed(signature, version.number, shown)

    return each(items, signed)


def verify(
    key: TransitKey, items: Sequence[VerifyItem | InvalidRequest], how: SignatureParameters
) -> list[VerifyResult]:
    """Tell of each item whether its signature is good; an InvalidRequest where it cannot be one.

    Raises InvalidRequest if keys of this type do not sign, or not without a hash.
    """
    scheme = scheme_of(key, "verification")
    how.check_hash()
    policy = key.policy
    if policy.soft_deleted:
        return key.refusals(items)

    def verified(item: VerifyItem) -> bool:
        number, signature = ciphertext.parse_signature(
            item.signature, policy.latest_version, policy.min_decryption_version, jws=how.jws
        )
        return scheme.verify(public_of(key, key.version(number), item.context), item.input, signature, how)

    return each(items, verified)


def scheme_of(key: TransitKey, use: str) -> Scheme:
    """Return how the key signs; raises InvalidRequest if it does not."""
    if key.scheme is None or not key.type.signing:
        raise InvalidRequest(f"key type {key.type.name} does not support {use}")
    return key.scheme


def private_of(key: TransitKey, version: Version, context: bytes) -> Any:
    """Return the private key of a version, for derived keys that of the context."""
    if not key.policy.derived:
        return version.private
    if not context:
        raise InvalidRequest(f"error deriving key: {MISSING_CONTEXT}")
    assert isinstance(key.scheme, ed25519.Ed25519)
    return key.scheme.derived(version.record.key, context, key.policy.kdf)


def public_of(key: TransitKey, version: Version, context: bytes) -> Any:
    """Return the public key of a version, for derived keys that of the context."""
    if not key.policy.derived:
        return version.public
    return private_of(key, version, context).public_key()


def _signing_version(key: TransitKey, number: int) -> Version:
    key.check_usable()
    version = key.version_for("signing", number)
    if not version.record.key:
        raise InvalidRequest("requested version for signing does not contain a private part")
    return version
