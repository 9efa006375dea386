"""The tables of docs/vectors.md, counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from tests.vectors.vector import Source, Vector, Way


def sources(found: Iterable[Source]) -> Iterator[str]:
    """Yield a row for each source."""
    for source in found:
        good, bad = _good_and_bad(source.vectors())
        left_out = sum(1 for _ in source.left_out())
        yield (
            f"| {source.algorithm} | {source.publisher} | `{source.file}` | {good} | {bad} | {left_out} |"
            f" {_sampled(source)} |"
        )


def totals(found: Iterable[Source]) -> str:
    """Return one sentence about all sources."""
    everything = list(found)
    good, bad = _good_and_bad(vector for source in everything for vector in source.vectors())
    sampled = [vector for source in everything if source.way is Way.NODE for vector in source.sample()]
    over_http = _good_and_bad(sampled)
    return (
        f"{good + bad:,} vectors go through the engine, {bad:,} of which must fail; of these, {sum(over_http):,} go "
        f"over HTTP, {over_http[1]:,} of which must fail."
    )


def reasons(found: Iterable[Source]) -> Iterator[str]:
    """Yield a row for each reason for which vectors are left out, with their number."""
    counted = Counter(reason for source in found for reason in source.left_out())
    return (f"| {reason} | {number:,} |" for reason, number in sorted(counted.items()))


def choices(found: Iterable[Source]) -> Iterator[str]:
    """Yield a row for each kind of vectors that may be taken or not, with what is done here."""
    counted = Counter((v.kind, v.good) for source in found for v in source.vectors() if v.open)
    for (kind, good), number in sorted(counted.items()):
        yield f"| {', '.join(f'`{flag}`' for flag in kind.split())} | {number} | {'taken' if good else 'refused'} |"


def _good_and_bad(vectors: Iterable[Vector]) -> tuple[int, int]:
    counted = Counter(vector.good for vector in vectors)
    return counted[True], counted[False]


def _sampled(source: Source) -> str:
    if source.way is Way.ENGINE:
        return "none"
    good, bad = _good_and_bad(source.sample())
    return f"{good} + {bad}" + (", edge" if source.way is Way.EDGE else "")
