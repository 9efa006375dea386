"""What a decision by policies costs: `python -m tests.bench.policies`, the engine alone.

CPU of one decision for a path that was not asked for before, and for one that was; and of what comes before it,
reading policies and compiling them. Medians of several rounds, in brackets the least and the most.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

import click

from kms_actors.policy.acl import KEPT, Acl, compile_acl
from kms_actors.policy.document import Policy, parse
from tests.bench.results import Row, Series

#: Rows of a whole run: the decisions of 100 policies of 100 rules, and where others name a store.
COLD: Final = "ACL decision, cold"
WARM: Final = "ACL decision, warm"
ENGINE: Final = "engine"

_ASKED: Final = 10_000
_ENDS: Final = {
    "exact": ("",),
    "prefixes": ("/*",),
    "segments": ("/+/x",),
    "all kinds": ("", "/*", "/+/x", "*"),
}


class Measured(NamedTuple):
    """Microseconds, a figure a round."""

    what: str
    each: list[float]

    def __str__(self) -> str:
        least, most = min(self.each), max(self.each)
        return f"{self.what:<44} {statistics.median(self.each):9.2f} µs  [{least:.2f} to {most:.2f}]"


@click.command()
@click.option("--policies", default=100, show_default=True, help="Policies of a bearer.")
@click.option("--rules", default=100, show_default=True, help="Rules of a policy.")
@click.option("--rounds", default=7, show_default=True, help="How often each figure is taken.")
def main(*, policies: int, rules: int, rounds: int) -> None:
    """Measure decisions by policies."""
    click.echo(f"{policies} policies of {rules} rules, CPU, medians of {rounds} rounds")
    for kind in _ENDS:
        texts = [_text(number, rules, _ENDS[kind]) for number in range(policies)]
        for row in _rows(kind, texts, rounds):
            click.echo(row)


def measure(rounds: int) -> Iterator[Series]:
    """Yield what a decision costs under 100 policies of 100 rules of all kinds."""
    kind = "all kinds"
    texts = [_text(number, 100, _ENDS[kind]) for number in range(100)]
    names = {f"{kind}: a decision, cold": COLD, f"{kind}: a decision, warm": WARM}
    for row in _rows(kind, texts, rounds):
        if row.what in names:
            yield Series(Row(names[row.what], ENGINE), "decision", row.each)


def _text(number: int, rules: int, ends: Sequence[str]) -> str:
    """Return a policy whose rules lie beside each other, with the ends in turn."""
    return "\n".join(
        f'path "secret/data/team-{number}/app-{rule}{ends[rule % len(ends)]}" {{ capabilities = ["read", "list"] }}'
        for rule in range(rules)
    )


def _rows(kind: str, texts: Sequence[str], rounds: int) -> Iterator[Measured]:
    read: list[Policy] = []

    def read_all() -> None:
        read[:] = [parse(f"p{number}", text) for number, text in enumerate(texts)]

    rules = sum(text.count("path ") for text in texts)
    yield Measured(f"{kind}: reading a rule", [_seconds(read_all) / rules * 1e6 for _ in range(rounds)])
    compiled: list[Acl] = []

    def compile_all() -> None:
        compiled[:] = [compile_acl(read)]

    yield Measured(f"{kind}: compiling a rule", [_seconds(compile_all) / rules * 1e6 for _ in range(rounds)])
    acl = compiled[0]
    paths = [f"secret/data/team-{n % len(texts)}/app-{n % 97}/b{n}/x" for n in range(_ASKED)]
    yield Measured(f"{kind}: a decision, cold", [_decisions(acl, paths) for _ in range(rounds)])
    few = paths[: KEPT // 2] * (_ASKED // (KEPT // 2))
    _decisions(acl, few)
    yield Measured(f"{kind}: a decision, warm", [_decisions(acl, few) for _ in range(rounds)])


def _decisions(acl: Acl, paths: Sequence[str]) -> float:
    rule = acl.rule

    def ask() -> None:
        for path in paths:
            rule(path)

    return _seconds(ask) / len(paths) * 1e6


def _seconds(work: Callable[[], None]) -> float:
    before = time.process_time()
    work()
    return time.process_time() - before


if __name__ == "__main__":
    main()
