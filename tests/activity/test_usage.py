"""Clients of months and of spans of them, against a model that keeps who they are."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kms_actors.activity.clients import OTHER_MOUNTS
from kms_actors.activity.messages import ReadActivity
from kms_actors.activity.months import begin_of, month_of, name_of
from kms_actors.activity.records import MOST_MOUNTS, ActivityConfig, Month
from kms_actors.activity.usage import Counts, Span, added, months_of, span_of, sum_of, together
from kms_actors.errors import InvalidRequest
from kms_actors.keyring import stored

FIRST = 2026 * 12
#: What was seen: a month, and a client with its mount, who is an entity or not.
SEEN = st.lists(st.tuples(st.integers(FIRST, FIRST + 7), st.integers(0, 9)), max_size=40)


def seconds(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def entity(client: int) -> bool:
    return client % 2 == 0


def kept(seen: set[tuple[int, int]]) -> dict[int, Month]:
    """Return what is kept of clients that are seen month after month."""
    months: dict[int, Month] = {}
    for month in sorted({month for month, _ in seen}):
        clients = sorted(client for at, client in seen if at == month)
        new = [
            (max((at for at, who in seen if who == client and at < month), default=0), client % 3)
            for client in clients
        ]
        months[month] = Month().plus(
            (before, mount, entity(client)) for (before, mount), client in zip(new, clients, strict=True)
        )
    return months


def counts(clients: set[int]) -> Counts:
    return Counts(sum(map(entity, clients)), sum(not entity(client) for client in clients))


@given(SEEN, st.integers(FIRST, FIRST + 7), st.integers(0, 7))
def test_each_client_of_a_span_is_counted_once(seen: list[tuple[int, int]], start: int, length: int) -> None:
    whole, end = set(seen), start + length
    months = months_of(kept(whole), start, end)
    assert [month.month for month in months] == list(range(start, end + 1))
    there: set[int] = set()
    for month in months:
        clients = {client for at, client in whole if at == month.month}
        assert sum_of(month.all) == counts(clients)
        assert sum_of(month.new) == counts(clients - there)
        there |= clients
    assert sum_of(together(month.new for month in months)) == counts(there)


def test_a_month_that_is_gone_has_had_nobody() -> None:
    """Counting was disabled in it, and what was counted of it removed; who was there then is new later on."""
    months = months_of({FIRST + 2: Month().plus([(FIRST + 1, 3, True), (FIRST, 3, False)])}, FIRST, FIRST + 3)
    assert sum_of(together(month.new for month in months)) == Counts(1, 1)


@given(SEEN, SEEN)
def test_vaults_together_have_the_clients_of_each(
    first: list[tuple[int, int]], second: list[tuple[int, int]]
) -> None:
    both = [months_of(kept(set(seen)), FIRST, FIRST + 7) for seen in (first, second)]
    for one, other, whole in zip(*both, added(*both), strict=True):
        assert sum_of(whole.all) == sum_of(one.all).plus(sum_of(other.all))
        assert sum_of(whole.new) == sum_of(one.new).plus(sum_of(other.new))


def test_mounts_beyond_those_that_are_told_apart_are_others() -> None:
    month = Month().plus((0, number, True) for number in range(MOST_MOUNTS + 20)).plus([(0, 3, False)])
    mounts = months_of({FIRST: month}, FIRST, FIRST)[0].all
    assert len(mounts) == MOST_MOUNTS + 1
    assert (mounts[3], mounts[OTHER_MOUNTS]) == (Counts(1, 1), Counts(20, 0))
    assert month.clients == MOST_MOUNTS + 21


def test_a_month_fits_into_the_store_however_many_clients_and_mounts_it_has() -> None:
    parts = ((before, mount, True) for before in range(FIRST - 36, FIRST) for mount in range(MOST_MOUNTS + 1))
    assert len(stored.encode(Month().plus(parts))) < 90_000


def test_months_begin_and_end_in_utc() -> None:
    assert month_of(seconds("2026-11-30T23:59:59.9")) == month_of(seconds("2026-11-01T00:00:00")) == FIRST + 10
    assert month_of(seconds("2026-12-01T00:00:00")) == FIRST + 11
    assert begin_of(FIRST + 12) == seconds("2027-01-01T00:00:00")
    assert name_of(FIRST + 10) == "2026-11"
    assert month_of(-1.0) == month_of(0.0) == 1970 * 12
    assert name_of(month_of(1e18)) == "9999-12"


NOW = seconds("2026-11-15T12:00:00")
PRESENT = FIRST + 10


@pytest.mark.parametrize(
    ("start", "end", "found"),
    [
        ("", "", Span(PRESENT - 11, PRESENT)),
        ("2026-08-31T23:59:59", "", Span(FIRST + 7, PRESENT)),
        ("", "2026-09-01T00:00:00", Span(FIRST + 8 - 11, FIRST + 8)),
        ("2026-11-30T00:00:00", "2026-12-31T00:00:00", Span(PRESENT, PRESENT)),
        ("2020-01-01T00:00:00", "", Span(PRESENT - 24, PRESENT)),
        ("2020-01-01T00:00:00", "2020-02-01T00:00:00", None),
        ("2027-01-01T00:00:00", "2027-02-01T00:00:00", None),
    ],
)
def test_a_report_is_of_whole_months_that_are_kept_and_not_to_come(start: str, end: str, found: Span | None) -> None:
    asked = ReadActivity(seconds(start) if start else 0.0, seconds(end) if end else 0.0)
    assert span_of(asked, ActivityConfig(), NOW) == found


def test_a_report_begins_as_many_months_before_as_the_vault_says() -> None:
    assert span_of(ReadActivity(), ActivityConfig(report_months=1), NOW) == Span(PRESENT, PRESENT)
    assert span_of(ReadActivity(), ActivityConfig(retention_months=3), NOW) == Span(PRESENT - 3, PRESENT)


@pytest.mark.parametrize("times", [(NOW, NOW - 1), (NOW + 1, 0.0)])
def test_an_end_before_the_start_is_refused(times: tuple[float, float]) -> None:
    with pytest.raises(InvalidRequest, match="start_time is later than end_time"):
        span_of(ReadActivity(*times), ActivityConfig(), NOW)


def test_the_present_month_is_told_while_clients_are_counted() -> None:
    asked = ReadActivity(monthly=True)
    assert span_of(asked, ActivityConfig(), NOW) == Span(PRESENT, PRESENT)
    assert span_of(asked, ActivityConfig(enabled="disable"), NOW) is None
