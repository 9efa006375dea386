"""How much memory a loaded key takes once it was used, as estimated.

The figures are of CPython 3.11 and OpenSSL 3, measured as the growth of the process over 300 to 1,500 equal keys
(docs/performance.md). Within a third of what was measured, but for Ed25519 and XChaCha20, which take half of what is
said here or less.
"""

from __future__ import annotations

from typing import Final

from kms_actors.transit.key import TransitKey
from kms_actors.transit.schemes.mldsa import Hybrid, MlDsa
from kms_actors.transit.version import Version

_KEY: Final = 900  # policy, tables
_VERSION: Final = 550  # record, beside its bytes
_CIPHER: Final = 2_400  # contexts of the library, both directions
_PAIR: Final = 2_600  # loaded keys of the library, and for each byte of the stored ones:
_PAIR_BYTE: Final = 7
_POST_QUANTUM_BYTE: Final = 18


def footprint(key: TransitKey) -> int:
    """Return bytes; the same each time for the same key."""
    each = _POST_QUANTUM_BYTE if isinstance(key.scheme, MlDsa | Hybrid) else _PAIR_BYTE
    return _KEY + sum(_version_bytes(key, version, each) for version in key.versions())


def _version_bytes(key: TransitKey, version: Version, each: int) -> int:
    record = version.record
    material = len(record.key) + len(record.public_key)
    ready = _PAIR + each * material if key.scheme is not None else _CIPHER * (version.cipher is not None)
    return _VERSION + material + sum(map(len, record.certificate_chain)) + ready
