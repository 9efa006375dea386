"""Random Transit requests to both servers: same status, same fields, same texts, but for a table of deviations.

`KMS_DIFFERENTIAL_SEED` and `KMS_DIFFERENTIAL_CASES` choose the cases; a failure names what
makes it again. Without a seed they are the same each time, and `random` draws one.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from tests.differential.comparison import masked
from tests.differential.deviation import EXAMPLES, Deviation, drawn_seed, note_examples
from tests.differential.pair import Answer, Pair, Side
from tests.differential.steps import Step, resolved
from tests.differential.transit_cases import Case
from tests.differential.transit_deviations import DEVIATIONS, deviation

SEED = drawn_seed()
CASES = int(os.environ.get("KMS_DIFFERENTIAL_CASES", "40"))
FIRST = int(os.environ.get("KMS_DIFFERENTIAL_FIRST", "0"))

#: What one server made, by kind.
Made = dict[str, list[str]]


def _made(step: Step, data: Any) -> Iterator[tuple[str, str]]:
    """Yield what a server made that it can be given back; of data keys each server made its own."""
    if "/datakey/" in step.path:
        return
    if "/byok-export/" in step.path:
        yield from (("wrapped key", blob) for blob in data["keys"].values())
        return
    versions = data.get("keys")
    if isinstance(versions, dict) and "latest_version" in data:
        latest = versions.get(str(data["latest_version"]))
        if isinstance(latest, dict):
            yield f"public key of {data['name']}", latest["public_key"]
    marshaling = (step.body or {}).get("marshaling_algorithm") if isinstance(step.body, dict) else None
    for entry in [data, *(data.get("batch_results") or ())]:
        for kind in ("ciphertext", "hmac", "signature", "backup"):
            if isinstance(entry.get(kind), str):
                yield (
                    (f"signature {'jws' if marshaling == 'jws' else 'asn1'}" if kind == "signature" else kind),
                    entry[kind],
                )


def _remember(step: Step, answers: tuple[Answer, Answer], made: tuple[Made, Made]) -> None:
    """Keep what both servers made; what only one made is of no use."""
    if not all(isinstance(answer.data, dict) for answer in answers):
        return
    found = [list(_made(step, answer.data)) for answer in answers]
    if [kind for kind, _ in found[0]] == [kind for kind, _ in found[1]]:
        for each, side in zip(found, made, strict=True):
            for kind, text in each:
                side.setdefault(kind, []).append(text)


def _names(side: Side) -> set[str]:
    """Return the names of all keys; the reference lists its wrapping key among them."""
    listed = side("LIST", "transit/keys")
    assert listed.status in (200, 404), listed
    return set(listed.data["keys"]) - {"import/"} if listed.data else set()


def _forget(side: Side) -> None:
    """Delete all keys, and undo what was set."""
    side("POST", "transit/config/keys", {"disable_upsert": False})
    side("POST", "transit/cache-config", {"size": 0})
    for name in _names(side):
        side("POST", f"transit/keys/{name}/soft-delete-restore")
        side("POST", f"transit/keys/{name}/config", {"deletion_allowed": True})
        assert side("DELETE", f"transit/keys/{name}").status == 204


def _run(pair: Pair, wrapping_keys: tuple[str, str], steps: Iterable[Step], seen: list[Deviation]) -> str | None:
    """Run steps up to its first difference; return it in words. The deviations on the way are added to `seen`."""
    made: tuple[Made, Made] = ({"wrapping key": [wrapping_keys[0]]}, {"wrapping key": [wrapping_keys[1]]})
    taken: list[Step] = []
    for step in steps:
        taken.append(step)
        first, second = (
            side(step.method, step.path, resolved(step.body, mine)) for side, mine in zip(pair, made, strict=True)
        )
        ours, reference = masked(first), masked(second)
        if ours != reference and not deviation(step, ours, reference, seen):
            return f"{taken[0]}\n  {step}\n  ours      {ours}\n  reference {reference}"
        if (first.status < 300) is not (second.status < 300):
            break  # from here on they hold different keys
        if step.path.startswith("transit/encrypt/") and second.status != 200 and _names(pair[0]) != _names(pair[1]):
            break  # only one of them made a key, although it could not encrypt
        _remember(step, (first, second), made)
    return None


@pytest.fixture(scope="module")
def wrapping_keys(pair: Pair) -> tuple[str, str]:
    first, second = (side("GET", "transit/wrapping_key").data["public_key"] for side in pair)
    return first, second


def test_both_servers_answer_the_same(pair: Pair, wrapping_keys: tuple[str, str]) -> None:
    found = []
    examples: dict[str, int] = {}
    for number in range(FIRST, FIRST + CASES):
        seen: list[Deviation] = []
        if difference := _run(pair, wrapping_keys, Case(SEED, number), seen):
            found.append(f"case {number}: {difference}")
        for each in seen:
            examples.setdefault(each.reason, number)
        for side in pair:
            _forget(side)
    note_examples(examples)
    assert not found, f"KMS_DIFFERENTIAL_SEED={SEED}: {len(found)} of {CASES} cases differ\n" + "\n".join(found)


@pytest.mark.parametrize("meant", DEVIATIONS, ids=lambda each: each.reason)
def test_each_deviation_is_still_one(pair: Pair, wrapping_keys: tuple[str, str], meant: Deviation) -> None:
    seen: list[Deviation] = []
    steps = Case(EXAMPLES, meant.example) if isinstance(meant.example, int) else meant.example
    assert _run(pair, wrapping_keys, steps, seen) is None
    for side in pair:
        _forget(side)
    assert meant in seen, "the reference answers as this project does, or the drawn cases changed"
