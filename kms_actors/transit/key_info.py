"""What is shown of a key: its policy, and of each version when it was made and its public key."""

from __future__ import annotations

from kms_actors.transit.exchange.certificates import show_chain
from kms_actors.transit.key import TransitKey
from kms_actors.transit.messages import (
    KeyInfo,
    VersionInfo,
)
from kms_actors.transit.schemes import ed25519
from kms_actors.transit.signing import public_of
from kms_actors.transit.version import Version


def describe(key: TransitKey, context: bytes = b"", warnings: tuple[str, ...] = ()) -> KeyInfo:
    """Return what is shown of a key. Of derived keys, only the public keys of a context are shown."""
    versions = {version.number: _describe(key, version, context) for version in key.versions()}
    return KeyInfo(key.policy, versions, warnings)


def _describe(key: TransitKey, version: Version, context: bytes) -> VersionInfo:
    record = version.record
    if key.scheme is None:
        return VersionInfo(record.created)
    if not key.policy.derived:
        chain = show_chain(record.certificate_chain)
        return VersionInfo(record.created, key.scheme.name, key.scheme.show(record.public_key), chain)
    public = ed25519.show(public_of(key, version, context)) if context else ""
    return VersionInfo(record.created, key.scheme.name, public)
