"""Random walks over secrets on both servers: same statuses and data, but for times and a table of deviations.

`KMS_DIFFERENTIAL_SEED` and `KMS_DIFFERENTIAL_WALKS` choose the walks; a failure names what makes them
again. Without a seed they are the same each time, and `random` draws one.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

import pytest

from tests.differential.comparison import masked
from tests.differential.deviation import EXAMPLES, Deviation, drawn_seed, note_examples
from tests.differential.kv_deviations import DEVIATIONS, explained
from tests.differential.kv_walk import PATHS, Walk
from tests.differential.pair import Pair, Side
from tests.differential.steps import Step

SEED = drawn_seed()
WALKS = int(os.environ.get("KMS_DIFFERENTIAL_WALKS", "8"))
STEPS = 60


def _run(pair: Pair, steps: Iterable[Step], seen: list[Deviation]) -> str | None:
    """Walk up to the first difference; return it in words. The deviations on the way are added to `seen`."""
    for place, step in enumerate(steps):
        media_type = "application/merge-patch+json" if step.method == "PATCH" else "application/json"
        ours, reference = (masked(side(step.method, step.path, step.body, media_type)) for side in pair)
        if not explained(step, ours, reference, seen):
            return f"step {place}: {step}\n  ours      {ours}\n  reference {reference}"
        if (ours.status < 300) is not (reference.status < 300):
            break  # from here on they may hold different secrets
    return None


def _undo(side: Side, number: int) -> None:
    """Forget the secrets of a walk, and what it set for the mount."""
    for path in PATHS:
        side("DELETE", f"secret/metadata/w{number}/{path}")
    rules = {"max_versions": 0, "cas_required": False, "delete_version_after": "0s"}
    assert side("POST", "secret/config", rules).status == 204


def test_both_servers_keep_the_same_secrets(pair: Pair) -> None:
    found = []
    examples: dict[str, int] = {}
    for number in range(WALKS):
        seen: list[Deviation] = []
        if difference := _run(pair, Walk(SEED, number).steps(STEPS), seen):
            found.append(f"walk {number}, {difference}")
        for each in seen:
            examples.setdefault(each.reason, number)
        for side in pair:
            _undo(side, number)
    note_examples(examples)
    assert not found, f"KMS_DIFFERENTIAL_SEED={SEED}: {len(found)} of {WALKS} walks differ\n" + "\n".join(found)


@pytest.mark.parametrize("meant", DEVIATIONS, ids=lambda each: each.reason)
def test_each_deviation_is_still_one(pair: Pair, meant: Deviation) -> None:
    seen: list[Deviation] = []
    steps = Walk(EXAMPLES, meant.example).steps(STEPS) if isinstance(meant.example, int) else meant.example
    assert _run(pair, steps, seen) is None
    for side in pair:
        _undo(side, meant.example if isinstance(meant.example, int) else 0)
    assert meant in seen, "the reference answers as this project does, or the drawn walks changed"
