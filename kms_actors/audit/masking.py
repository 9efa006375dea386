"""What entries show in the place of values: their HMAC under the device's key. Who knows a value finds it so.

HMAC-SHA256 (RFC 2104), in hex after `hmac-sha256:`, of every string wherever it stands. Numbers, booleans and the
names of fields stand as they are, as in Vault.

The two states that HMAC begins with are made once a device: most strings are short, and cost less than a beginning.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Mapping
from functools import partial
from typing import Any, Final

from kms_actors import exact_json
from kms_actors.exact_json import RawJson

PREFIX: Final = "hmac-sha256:"
#: Strings, and bytes of them, that are hashed in one step.
_STRINGS: Final = 200
_BYTES: Final = 1 << 18
_BLOCK: Final = 64
#: What stands as it is.
_SHOWN: Final = frozenset({int, bool, float, type(None)})
_INNER: Final = bytes(byte ^ 0x36 for byte in range(256))
_OUTER: Final = bytes(byte ^ 0x5C for byte in range(256))

#: Work of many steps, each of which takes about half a millisecond; what it returns is the result.
Steps = Generator[None, None, Any]


class Masker:
    """The HMACs of one device; with `raw`, everything is shown as it is."""

    __slots__ = ("_empty", "_inner", "_new_inner", "_new_outer", "_outer", "raw")

    def __init__(self, key: bytes, *, raw: bool = False) -> None:
        padded = (key if len(key) <= _BLOCK else hashlib.sha256(key).digest()).ljust(_BLOCK, b"\0")
        self._inner = hashlib.sha256(padded.translate(_INNER))
        self._outer = hashlib.sha256(padded.translate(_OUTER))
        self._new_inner, self._new_outer = self._inner.copy, self._outer.copy
        self._empty = self._of(b"")
        self.raw = raw

    def hmac(self, text: str) -> str:
        """Return what stands for a text, also where the device shows values."""
        return self._of(text.encode("utf-8", "surrogatepass")) if text else self._empty

    def text(self, text: str) -> str:
        """Return what an entry shows of a text."""
        return text if self.raw else self.hmac(text)

    def value(self, value: Any) -> Any:
        """Return what an entry shows of a JSON value, which may hold RawJson."""
        return value if self.raw else self._value(value)

    def fields(self, values: Mapping[str, Any], shown: frozenset[str]) -> Any:
        """As `value`, of an object; texts stand as they are where the nearest name above them is in `shown`.

        So a name tells of fields of any depth, and of no other names below it, as in Vault.
        """
        if self.raw:
            return values
        if shown:
            return self._partly(values, shown)
        of = self._value
        return {name: of(value) for name, value in values.items()}

    def fields_in_steps(self, values: Mapping[str, Any], shown: frozenset[str]) -> Steps:
        """As `fields`, in steps."""
        return values if self.raw else (yield from _Work(self, shown).value(values))

    def _partly(self, value: Any, shown: frozenset[str], *, plain: bool = False) -> Any:
        if isinstance(value, str):
            return value if plain else self.hmac(value)
        if isinstance(value, RawJson):
            return self._partly(exact_json.loads(value.text), shown, plain=plain)
        if isinstance(value, Mapping):
            return {name: self._partly(entry, shown, plain=name in shown) for name, entry in value.items()}
        if isinstance(value, list | tuple):
            return [self._partly(entry, shown, plain=plain) for entry in value]
        return value

    def _value(self, value: Any) -> Any:
        kind = value.__class__
        if kind is str:
            # As `_of`: a call less for each string of a request.
            inner, outer = self._new_inner(), self._new_outer()
            inner.update(value.encode("utf-8", "surrogatepass"))
            outer.update(inner.digest())
            return PREFIX + outer.hexdigest()
        if kind in _SHOWN:
            return value
        if kind is dict:
            of = self._value
            return {name: of(entry) for name, entry in value.items()}
        if kind is list:
            return list(map(self._value, value))
        return self._rare(value)

    def _rare(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.hmac(str(value))
        if isinstance(value, RawJson):
            return self._value(exact_json.loads(value.text))
        if isinstance(value, Mapping):
            return {name: self._value(entry) for name, entry in value.items()}
        return list(map(self._value, value)) if isinstance(value, tuple) else value

    def _of(self, raw: bytes) -> str:
        inner, outer = self._new_inner(), self._new_outer()
        inner.update(raw)
        outer.update(inner.digest())
        return PREFIX + outer.hexdigest()


class _Work:
    """One walk in steps: counts what was hashed since the last one."""

    def __init__(self, masker: Masker, shown: frozenset[str]) -> None:
        self._masker = masker
        self._shown = shown
        self._strings = 0

    def value(self, value: Any, *, plain: bool = False) -> Steps:
        if isinstance(value, str):
            return value if plain else (yield from self._text(value))
        if isinstance(value, RawJson):
            yield
            return (yield from self.value(exact_json.loads(value.text), plain=plain))
        if isinstance(value, Mapping):
            made: dict[str, Any] = {}
            for name, entry in value.items():
                made[name] = yield from self.value(entry, plain=name in self._shown)
            return made
        if isinstance(value, list | tuple):
            place = list(value)
            for index, entry in enumerate(place):
                place[index] = yield from self.value(entry, plain=plain)
            return place
        return value

    def _text(self, text: str) -> Generator[None, None, str]:
        self._strings += 1
        if len(text) <= _BYTES:
            if self._strings % _STRINGS == 0:
                yield
            return self._masker.hmac(text)
        raw = memoryview(text.encode("utf-8", "surrogatepass"))
        inner = self._masker._inner.copy()  # noqa: SLF001 - a part of it, apart since it lasts
        for start in range(0, len(raw), _BYTES):
            yield
            inner.update(raw[start : start + _BYTES])
        outer = self._masker._outer.copy()  # noqa: SLF001
        outer.update(inner.digest())
        return PREFIX + outer.hexdigest()


def counted(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the data of a list with how many there are in the place of its keys (`elide_list_responses`)."""
    counts: dict[str, Callable[[Any], bool]] = {
        "keys": partial(_is, kind=list),
        "key_info": partial(_is, kind=dict),
    }
    return {name: len(value) if name in counts and counts[name](value) else value for name, value in data.items()}


def _is(value: Any, kind: type) -> bool:
    return isinstance(value, kind)
