"""Secret bytes that no log, repr or traceback shows, and that are overwritten when let go of.

Memory that Python frees keeps what was there until it is used again. So who holds key material last overwrites it;
the `__del__` that `overwriting` makes does so where nobody else holds the same object.
"""

from __future__ import annotations

import contextlib
import ctypes
import hmac
import sys
from collections.abc import Callable, Iterator
from typing import Final

#: Bytes before the contents of a bytes object.
_HEAD: Final = bytes.__basicsize__ - 1
#: Shorter ones may be objects that the interpreter shares; key material is longer.
_SHORTEST: Final = 16
_CAN_OVERWRITE: Final = sys.implementation.name == "cpython"
#: None once the interpreter ends: modules are emptied then, names with an underscore first.
_at_work = True
_fill: Final = ctypes.memset


@contextlib.contextmanager
def room(size: int) -> Iterator[bytearray]:
    """Lend a buffer of so many bytes, and overwrite it in the end."""
    buffer = bytearray(size)
    try:
        yield buffer
    finally:
        buffer[:] = bytes(len(buffer))


def overwriting(*names: str) -> Callable[[object], None]:
    """Return a `__del__` that overwrites the bytes in these attributes, unless something else holds them, too."""

    def end(self: object) -> None:
        if _at_work:
            for name in names:
                if _references(self, name) <= _UNSHARED:
                    overwrite(getattr(self, name))

    return end


def overwriting_parts(name: str) -> Callable[[object], None]:
    """Return a `__del__` that does so with each bytes object in a tuple that is an attribute."""

    def end(self: object) -> None:
        if _at_work:
            overwrite_unshared_parts(self, name)

    return end


def overwrite_unshared_parts(holder: object, name: str) -> None:
    """Overwrite the bytes objects in a tuple that is an attribute, unless something else holds it, or them."""
    if _references(holder, name) <= _UNSHARED:
        parts: tuple[bytes, ...] = getattr(holder, name, ())
        for place in range(len(parts)):
            if _references_of_part(parts, place) <= _UNSHARED:
                overwrite(parts[place])


def _references(holder: object, name: str) -> int:
    return sys.getrefcount(getattr(holder, name, None))


def _references_of_part(parts: tuple[bytes, ...], place: int) -> int:
    return sys.getrefcount(parts[place])


class _Probe:
    def __init__(self) -> None:
        self.value = bytes(bytearray(_SHORTEST))


#: References to what nothing else holds, while they are counted so; releases of the interpreter differ.
_UNSHARED: Final = min(_references(_Probe(), "value"), _references_of_part((bytes(bytearray(_SHORTEST)),), 0))


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

    __del__ = overwriting("_value")


def overwrite(value: bytes) -> None:
    """Fill a bytes object with zeros, whoever holds it: for what was made on the way, and is known to nobody else."""
    if _CAN_OVERWRITE and len(value) >= _SHORTEST:
        _fill(id(value) + _HEAD, 0, len(value))
