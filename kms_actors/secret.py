"""Secret bytes that no log, repr or traceback shows."""

from __future__ import annotations

import hmac
from typing import Final


class SecretBytes:
    """Key material. `reveal()` is the one way to the bytes, so that every use can be found by search."""

    __slots__ = ("_value",)

    def __init__(self, value: bytes) -> None:
        self._value: Final = bytes(value)

    def reveal(self) -> bytes:
        """Return the bytes."""
        return self._value

    def __len__(self) -> int:
        return len(self._value)

    def __eq__(self, other: object) -> bool:
        """Compare in constant time."""
        return isinstance(other, SecretBytes) and hmac.compare_digest(self._value, other._value)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<SecretBytes of {len(self._value)} bytes>"

    def __reduce__(self) -> str:
        raise TypeError("secret bytes are not pickled")
