"""From what is kept of months to what is told of them: whom a span of months has had, each client once.

A month keeps of its clients in which month each was there before. One that was not there before within the span is
new in that month; so all that are new in any of its months are all clients of the span.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from kms_actors.activity.messages import ReadActivity
from kms_actors.activity.months import month_of
from kms_actors.activity.records import ActivityConfig, Month, Part
from kms_actors.errors import InvalidRequest


class Counts(NamedTuple):
    """Clients with an entity, and without."""

    entities: int = 0
    others: int = 0

    @property
    def clients(self) -> int:
        return self.entities + self.others

    def plus(self, more: Counts) -> Counts:
        """Return both together."""
        return Counts(self.entities + more.entities, self.others + more.others)


#: Counts by the number of the mount that clients came by.
Mounts = Mapping[int, Counts]


class MonthOfUsage(NamedTuple):
    """A month of a span: all its clients, and those that the span did not have before."""

    month: int
    all: Mounts
    new: Mounts
    full: bool = False


class VaultUsage(NamedTuple):
    """The clients of one vault in a span of months."""

    vault_id: str
    number: int  # its integer
    months: tuple[MonthOfUsage, ...]

    @property
    def mounts(self) -> Mounts:
        """All clients of the span, each once."""
        return together(month.new for month in self.months)


class Usage(NamedTuple):
    """What is told of the months from `start` to `end`.

    Of a cluster, `vaults` are those with most clients, whose mounts are not told; `left_out` is how many others had
    any, and `months` count all of them.
    """

    start: int
    end: int
    vaults: tuple[VaultUsage, ...]
    months: tuple[MonthOfUsage, ...]
    left_out: int = 0

    @property
    def total(self) -> Counts:
        return sum_of(together(month.new for month in self.months))


class Span(NamedTuple):
    """Months of a report, the first and the last."""

    start: int
    end: int


def span_of(asked: ReadActivity, config: ActivityConfig, now: float) -> Span | None:
    """Return the months that are asked for, as far as they are kept; None for none of them.

    Raises:
        InvalidRequest: the end is before the start.

    """
    present = month_of(now)
    if asked.monthly:
        return Span(present, present) if config.counts else None
    if asked.start > (asked.end or now):
        raise InvalidRequest("start_time is later than end_time")
    end = min(month_of(asked.end or now), present)
    start = month_of(asked.start) if asked.start else end - config.report_months + 1
    start = max(start, config.oldest(present))
    return Span(start, end) if start <= end else None


def sum_of(mounts: Mounts) -> Counts:
    """Return the counts of all mounts together."""
    return Counts(sum(each.entities for each in mounts.values()), sum(each.others for each in mounts.values()))


def together(counted: Iterable[Mounts]) -> Mounts:
    """Return the counts of several by mount."""
    found: dict[int, Counts] = {}
    for mounts in counted:
        for mount, counts in mounts.items():
            found[mount] = found.get(mount, Counts()).plus(counts)
    return found


def months_of(kept: Mapping[int, Month], start: int, end: int) -> tuple[MonthOfUsage, ...]:
    """Return each month of a span, those without a client too."""
    return tuple(_month(number, kept, start) for number in range(start, end + 1))


def added(first: Iterable[MonthOfUsage], second: Iterable[MonthOfUsage]) -> tuple[MonthOfUsage, ...]:
    """Return the same months of two vaults as one: of clients that no two vaults share."""
    return tuple(
        MonthOfUsage(one.month, _one(one.all, other.all), _one(one.new, other.new), one.full or other.full)
        for one, other in zip(first, second, strict=True)
    )


def _one(first: Mounts, second: Mounts) -> Mounts:
    """Return counts without their mounts, whose numbers are of one vault each."""
    whole = sum_of(first).plus(sum_of(second))
    return {0: whole} if whole.clients else {}


def _month(number: int, kept: Mapping[int, Month], start: int) -> MonthOfUsage:
    month = kept.get(number, Month())
    # A month that was there before may be gone: counting was disabled in it.
    new = (part for part in month.parts if part.before < start or part.before not in kept)
    return MonthOfUsage(number, _by_mount(month.parts), _by_mount(new), month.full)


def _by_mount(parts: Iterable[Part]) -> Mounts:
    return together({part.mount: Counts(part.entities, part.others)} for part in parts)
