"""Times and durations in Go's forms."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kms_http.fields import to_duration
from kms_http.times import (
    duration,
    nanoseconds,
    rfc3339,
)

SECOND = 10**9


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, ""),
        (1, "1970-01-01T00:00:00.000000001Z"),
        (1_795_000_000 * SECOND, "2026-11-18T11:06:40Z"),
        (1_795_000_000 * SECOND + 66_412_969, "2026-11-18T11:06:40.066412969Z"),
        (1_795_000_000 * SECOND + 500_000_000, "2026-11-18T11:06:40.5Z"),
    ],
)
def test_times(nanoseconds: int, text: str) -> None:
    assert rfc3339(nanoseconds) == text


@given(st.integers(0, 2**63 - 1))
def test_a_time_is_read_as_it_was_written(time: int) -> None:
    assert nanoseconds(rfc3339(time)) == time


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("1970-01-01t00:00:01z", SECOND),
        ("1970-01-01T01:00:00.5+01:00", SECOND // 2),
        ("1969-12-31T23:59:59.5Z", 0),
        ("0001-01-01T00:00:00Z", 0),  # Go's zero time
        ("2262-04-11T23:47:16.854775807Z", 2**63 - 1),
    ],
)
def test_times_of_others(text: str, time: int) -> None:
    assert nanoseconds(text) == time


@pytest.mark.parametrize(
    "text",
    [
        " ",
        "2020-01-01",
        "2020-01-01T00:00:00",
        "2020-01-01 00:00:00Z",
        "2020-01-01T00:00:00.1234567890Z",
        "2020-01-01T00:00:00.Z",
        "2020-02-30T00:00:00Z",
        "2020-01-01T00:00:00+99:00",
        "٢020-01-01T00:00:00Z",
        "2262-04-11T23:47:16.854775808Z",
    ],
)
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match=r"time|month|day|offset"):
        nanoseconds(text)


@given(st.integers(1, 2**64))
def test_a_time_loses_nothing(nanoseconds: int) -> None:
    text = rfc3339(nanoseconds)
    seconds, _, fraction = text[:-1].partition(".")
    whole = int(datetime.fromisoformat(seconds).replace(tzinfo=UTC).timestamp())
    assert whole * SECOND + int(fraction.ljust(9, "0") or 0) == nanoseconds
    assert not fraction.endswith("0")


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "0s"),
        (-SECOND, "-1s"),
        (SECOND, "1s"),
        (60 * SECOND, "1m0s"),
        (30 * 60 * SECOND, "30m0s"),
        (3600 * SECOND, "1h0m0s"),
        (86400 * SECOND, "24h0m0s"),
        (12319 * SECOND, "3h25m19s"),
        (1_500_000_000, "1.5s"),
        (90_010_000_000, "1m30.01s"),
        (1_500_000, "1.5ms"),
        (2_000, "2µs"),
        (999, "999ns"),
        (-1_100, "-1.1µs"),
    ],
)
def test_durations(nanoseconds: int, text: str) -> None:
    assert duration(nanoseconds) == text


@given(st.integers(-(2**63) + 1, 2**63 - 1))
def test_a_duration_parses_back(nanoseconds: int) -> None:
    assert to_duration(duration(nanoseconds)) == nanoseconds
