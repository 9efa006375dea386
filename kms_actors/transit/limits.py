"""How many messages one version of a key may encrypt under random nonces, and who is near it.

A nonce of 96 bits that is drawn at random may come twice: NIST SP 800-38D, 8.3, allows 2^32 messages under one key of
AES-GCM, which leaves a chance of 2^-33; ChaCha20-Poly1305 has nonces as long. Those of XChaCha20 are long enough for
any number, and keys that derive others spread their messages over these. `usage` has the counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from kms_actors.transit.key_types import KEY_TYPES
from kms_actors.transit.records import KeyPolicy
from kms_actors.transit.usage import DATA_KEY, ENCRYPT, Uses

#: Messages under one key.
MOST: Final = 2**32
#: From here on it is told, and from there on a version that may be is followed by the next.
NEAR: Final = MOST // 2
WORN: Final = MOST // 10 * 9

#: Bytes of a nonce for which the number of messages matters.
_SHORT_NONCE: Final = 12


def is_bounded(policy: KeyPolicy) -> bool:
    """Tell whether the versions of a key encrypt a bounded number of messages."""
    key_type = KEY_TYPES.get(policy.type)
    return key_type is not None and key_type.nonce_bytes == _SHORT_NONCE and not policy.derived


def messages(uses: Uses) -> int:
    """Return how many messages were encrypted."""
    return sum(use.count for operation, use in uses.items() if operation in {ENCRYPT, DATA_KEY})


def warnings(policy: KeyPolicy, usage: Mapping[int, Uses]) -> tuple[str, ...]:
    """Return what to tell who looks at a key."""
    if not is_bounded(policy):
        return ()
    oldest = policy.min_encryption_version or 1
    counts = {version: messages(uses) for version, uses in usage.items() if version >= oldest}
    return tuple(
        f"version {version} has encrypted {count} messages; no more than {MOST} should be under one key of this type"
        + (": rotate it" if version == policy.latest_version else ": encrypt by a later one")
        for version, count in counts.items()
        if count >= NEAR
    )
