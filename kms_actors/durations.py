"""Durations as Go and Vault write them: `1h30m`, `1.5s`, and `2d`."""

from __future__ import annotations

import re
from typing import Final

_NUMBER: Final = r"\d+(?:\.\d*)?|\.\d+"
_UNIT: Final = r"ns|us|µs|μs|ms|s|m|h|d"
_WHOLE: Final = re.compile(rf"([+-]?)((?:(?:{_NUMBER})(?:{_UNIT}))+)", re.ASCII)
_PART: Final = re.compile(rf"({_NUMBER})({_UNIT})", re.ASCII)
_NANOSECONDS: Final = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,  # the micro sign
    "μs": 10**3,  # the Greek letter
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
    "d": 86400 * 10**9,
}
_LONGEST: Final = 64  # characters


def parse_duration(text: str) -> int | None:
    """Return nanoseconds, of any size, or None for a text that is no duration with units."""
    whole = _WHOLE.fullmatch(text) if len(text) <= _LONGEST else None
    if whole is None:
        return None
    total = 0
    for number, unit in _PART.findall(whole[2]):
        integer, _, fraction = number.partition(".")
        scale = _NANOSECONDS[unit]
        total += int(integer or "0") * scale + (int(fraction) * scale // 10 ** len(fraction) if fraction else 0)
    return -total if whole[1] == "-" else total
