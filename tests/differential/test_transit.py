"""Random Transit requests to both servers: same status, same fields, same texts, but for a table of deviations.

`KMS_DIFFERENTIAL_SEED` and `KMS_DIFFERENTIAL_CASES` choose the cases; a failure names what makes it again.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from typing import Any

from tests.differential.comparison import masked
from tests.differential.pair import Answer, Pair
from tests.differential.transit_cases import Case, Step, resolved
from tests.differential.transit_deviations import deviation

SEED = os.environ.get("KMS_DIFFERENTIAL_SEED") or str(random.randrange(10**9))
CASES = int(os.environ.get("KMS_DIFFERENTIAL_CASES", "40"))
FIRST = int(os.environ.get("KMS_DIFFERENTIAL_FIRST", "0"))


def _made(step: Step, data: Any) -> Iterator[tuple[str, str]]:
    """Yield what a server made that it can be given back; of data keys each server made its own."""
    if "/datakey/" in step.path:
        return
    marshaling = (step.body or {}).get("marshaling_algorithm") if isinstance(step.body, dict) else None
    for entry in [data, *(data.get("batch_results") or ())]:
        for kind in ("ciphertext", "hmac", "signature"):
            if isinstance(entry.get(kind), str):
                yield (
                    (f"signature {'jws' if marshaling == 'jws' else 'asn1'}" if kind == "signature" else kind),
                    entry[kind],
                )


def _remember(step: Step, answers: tuple[Answer, Answer], made: tuple[dict[str, list[str]], ...]) -> None:
    """Keep what both servers made; what only one made is of no use."""
    if not all(isinstance(answer.data, dict) for answer in answers):
        return
    found = [list(_made(step, answer.data)) for answer in answers]
    if [kind for kind, _ in found[0]] == [kind for kind, _ in found[1]]:
        for each, side in zip(found, made, strict=True):
            for kind, text in each:
                side.setdefault(kind, []).append(text)


def _run(pair: Pair, number: int) -> str | None:
    """Run a case up to its first difference; return it in words."""
    made: tuple[dict[str, list[str]], ...] = ({}, {})
    taken: list[Step] = []
    exists = False
    for step in Case(SEED, number):
        taken.append(step)
        first, second = (
            side(step.method, step.path, resolved(step.body, mine)) for side, mine in zip(pair, made, strict=True)
        )
        ours, reference = masked(first), masked(second)
        if len(taken) == 1:
            exists = first.status == 200
        if ours != reference and not deviation(step, ours, reference):
            return f"case {number}: {taken[0]}\n  {step}\n  ours      {ours}\n  reference {reference}"
        if (first.status < 300) is not (second.status < 300):
            break  # from here on they hold different keys
        if not exists and step.path.startswith("transit/encrypt/"):
            break  # only one of them may have made a key for it
        _remember(step, (first, second), made)
    return None


def test_both_servers_answer_the_same(pair: Pair) -> None:
    found = [difference for number in range(FIRST, FIRST + CASES) if (difference := _run(pair, number))]
    assert not found, f"KMS_DIFFERENTIAL_SEED={SEED}: {len(found)} of {CASES} cases differ\n" + "\n".join(found)
