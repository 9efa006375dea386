"""Calendar months of UTC, as numbers that follow each other: twelve times the year, and the month from 0 on."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

_YEAR: Final = 12
#: Seconds since 1970 that are told apart: up to the year 9999.
_LATEST: Final = 253_402_300_799


def month_of(seconds: float) -> int:
    """Return the month of a time in seconds since 1970; times before that are in the first one."""
    moment = datetime.fromtimestamp(min(max(seconds, 0), _LATEST), UTC)
    return moment.year * _YEAR + moment.month - 1


def begin_of(month: int) -> int:
    """Return the first second of a month, in seconds since 1970."""
    year, place = divmod(month, _YEAR)
    return int(datetime(year, place + 1, 1, tzinfo=UTC).timestamp())


def name_of(month: int) -> str:
    """Return a month as people write it: `2026-11`."""
    year, place = divmod(month, _YEAR)
    return f"{year}-{place + 1:02}"
