"""What a run did not test, by cause."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final

#: So many lines an account has at most.
MOST_LINES: Final = 10


def skips_by_cause(reasons: Iterable[str]) -> list[str]:
    """Return a line for each cause, with how many tests it skips, the most frequent first; at most MOST_LINES."""
    causes = Counter(reason.removeprefix("Skipped: ") for reason in reasons).most_common()
    shown = causes if len(causes) <= MOST_LINES else causes[: MOST_LINES - 1]
    rest = causes[len(shown) :]
    lines = [f"{count:5} x {' '.join(cause.split())}" for cause, count in shown]
    if rest:
        lines.append(f"{sum(count for _, count in rest):5} x of {len(rest)} further causes")
    return lines
