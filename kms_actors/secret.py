"""Secret bytes that no log, repr or traceback shows, and that are overwritten when let go of.

Memory that Python frees keeps what was there until it is used again. So who holds key material last overwrites it;
`overwrite_unshared` does so where nobody else holds the same object, which makes it safe to call too often.
"""

from __future__ import annotations

import contextlib
import ctypes
import hmac
import sys
from collections.abc import Iterator
from typing import Final

#: References to an attribute's value while it is counted: the attribute, and the count's own.
_UNSHARED: Final = 2
#: Bytes before the contents of a bytes object.
_HEAD: Final = bytes.__basicsize__ - 1
#: Shorter ones may be objects that the interpreter shares; key material is longer.
_SHORTEST: Final = 16
_CAN_OVERWRITE: Final = sys.implementation.name == "cpython"


@contextlib.contextmanager
def room(size: int) -> Iterator[bytearray]:
    """Lend a buffer of so many bytes, and overwrite it in the end."""
    buffer = bytearray(size)
    try:
        yield buffer
    finally:
        buffer[:] = bytes(len(buffer))


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

    def __del__(self) -> None:
        overwrite_unshared(self, "_value")


def overwrite_unshared(holder: object, name: str) -> None:
    """Overwrite the bytes in an attribute of an object that ends, unless something else holds them, too."""
    if sys.getrefcount(getattr(holder, name, None)) <= _UNSHARED:
        overwrite(getattr(holder, name))


def overwrite_unshared_parts(holder: object, name: str) -> None:
    """Do the same for each bytes object in a tuple that is an attribute."""
    if sys.getrefcount(getattr(holder, name, None)) > _UNSHARED:
        return
    for part in getattr(holder, name, ()):
        if sys.getrefcount(part) <= _UNSHARED + 1:  # the tuple, this loop, and the count
            overwrite(part)


def overwrite(value: bytes) -> None:
    """Fill a bytes object with zeros, whoever holds it: for what was made on the way, and is known to nobody else."""
    if _CAN_OVERWRITE and len(value) >= _SHORTEST:
        ctypes.memset(id(value) + _HEAD, 0, len(value))
