"""Key check values: they tell whether a key is the expected one, and nothing else about it.

16 bytes of HMAC-SHA256 over a fixed label, keyed by the key itself, in hex. One can be published: for a random
256-bit key it cannot be turned back, and no other use of the key makes the same value.
"""

from __future__ import annotations

import hmac
from typing import Final

from kms_actors.secret import SecretBytes

_LABEL: Final = b"clever-kms key check value v1"
_LENGTH: Final = 16


def key_check_value(key: SecretBytes) -> str:
    """Return the check value of a 32-byte key: 32 hex characters."""
    return hmac.digest(key.reveal(), _LABEL, "sha256")[:_LENGTH].hex()


def has_check_value(key: SecretBytes, expected: str) -> bool:
    """Tell in constant time whether `expected` (hex, any case) is the check value of `key`."""
    return hmac.compare_digest(key_check_value(key).encode(), expected.lower().encode())
