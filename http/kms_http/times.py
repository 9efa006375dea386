"""Times and durations as Go writes them: RFC3339Nano and Duration.String()."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

_SECOND: Final = 10**9
_BELOW_SECOND: Final = ((10**6, "ms"), (10**3, "µs"), (1, "ns"))


def rfc3339(nanoseconds: int) -> str:
    """Return a time since 1970 in UTC, without trailing zeros in its fraction; empty for 0."""
    if not nanoseconds:
        return ""
    seconds, fraction = divmod(nanoseconds, _SECOND)
    text = datetime.fromtimestamp(seconds, UTC).isoformat()[:19]
    return f"{text}.{fraction:09d}".rstrip("0").rstrip(".") + "Z"


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
