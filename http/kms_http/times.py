"""Times and durations as Go writes them: RFC3339Nano and Duration.String()."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

_SECOND: Final = 10**9
_RFC3339: Final = re.compile(
    r"(\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)  # section 5.6, to nanoseconds
_BELOW_SECOND: Final = ((10**6, "ms"), (10**3, "µs"), (1, "ns"))


def rfc3339(nanoseconds: int) -> str:
    """Return a time since 1970 in UTC, without trailing zeros in its fraction; empty for 0."""
    if not nanoseconds:
        return ""
    seconds, fraction = divmod(nanoseconds, _SECOND)
    text = datetime.fromtimestamp(seconds, UTC).isoformat()[:19]
    return f"{text}.{fraction:09d}".rstrip("0").rstrip(".") + "Z"


def nanoseconds(text: str) -> int:
    """Return the time of a text as `rfc3339` makes it, or with another offset; 0 for none, and for any before 1970.

    Raises:
        ValueError: it is no such text, or of after 2262, whose nanoseconds have no 64 bits.

    """
    if not text:
        return 0
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise ValueError("not a time of RFC 3339")
    seconds, fraction, offset = match.groups()
    whole = datetime.fromisoformat(seconds.upper() + offset.upper()).timestamp()
    time = int(whole) * _SECOND + int((fraction or "").ljust(9, "0"))
    if time >= 1 << 63:
        raise ValueError("a time after 2262")
    return max(0, time)


def duration(nanoseconds: int) -> str:
    """Return a duration as hours, minutes and seconds: `1h0m0.5s`; below a second in its largest unit: `1.5ms`."""
    if nanoseconds == 0:
        return "0s"
    sign, rest = ("-", -nanoseconds) if nanoseconds < 0 else ("", nanoseconds)
    if rest < _SECOND:
        size, unit = next((size, unit) for size, unit in _BELOW_SECOND if rest >= size)
        return f"{sign}{_decimal(rest, size)}{unit}"
    minutes, rest = divmod(rest, 60 * _SECOND)
    seconds = f"{_decimal(rest, _SECOND)}s"
    if not minutes:
        return sign + seconds
    hours, minutes = divmod(minutes, 60)
    return f"{sign}{hours}h{minutes}m{seconds}" if hours else f"{sign}{minutes}m{seconds}"


def _decimal(value: int, size: int) -> str:
    whole, rest = divmod(value, size)
    digits = len(str(size)) - 1
    return f"{whole}.{rest:0{digits}d}".rstrip("0") if rest else str(whole)
