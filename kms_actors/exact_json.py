"""JSON that survives: whole numbers of any size (up to 4300 digits) come back as they were sent.

msgspec decodes, since orjson silently turns integers beyond 64 bits into floats. orjson encodes, as the faster
of the two, and msgspec takes over where orjson refuses.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
import orjson


class RawJson:
    """A value that is JSON already, to be written into an answer as it is."""

    __slots__ = ("text",)

    def __init__(self, text: bytes) -> None:
        self.text = text

    def __repr__(self) -> str:
        return f"<RawJson of {len(self.text)} bytes>"


_DECODER: Final = msgspec.json.Decoder()
_SORTING: Final = msgspec.json.Encoder(order="sorted")


def loads(text: bytes) -> Any:
    """Return the value of `text`; raises ValueError for anything but one JSON value. The last of equal keys wins."""
    try:
        return _DECODER.decode(text)
    except RecursionError:
        raise ValueError("nested too deep") from None


def dumps(value: Any) -> bytes:
    """Return `value`, which may hold RawJson, as JSON."""
    try:
        return orjson.dumps(value, default=_fragment)
    except TypeError as error:
        if "64-bit" not in str(error):  # msgspec would write types that are no JSON, bytes for one
            raise
        return msgspec.json.encode(value, enc_hook=_raw)


def dumps_sorted(value: Any) -> bytes:
    """Return `value` as JSON with the keys of all its objects sorted."""
    return _SORTING.encode(value)


def _fragment(value: Any) -> orjson.Fragment:
    if isinstance(value, RawJson):
        return orjson.Fragment(value.text)
    raise TypeError(f"{type(value).__name__} is no JSON")


def _raw(value: Any) -> msgspec.Raw:
    if isinstance(value, RawJson):
        return msgspec.Raw(value.text)
    raise TypeError(f"{type(value).__name__} is no JSON")
