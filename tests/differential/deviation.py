"""What a difference that is meant looks like, and those that are found with every engine."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from tests.differential.pair import Answer
from tests.differential.steps import Step

#: Of the cases and walks that show each deviation.
EXAMPLES: Final = "deviations"


class Deviation(NamedTuple):
    """A difference in more than words; its example shows it, so that one that vanished is found.

    The example is the number of a drawn case, or steps of its own where few cases come to it.
    """

    reason: str
    applies: Callable[[Step, Answer, Answer], bool]  # ours, the reference's
    example: int | tuple[Step, ...] = 0


def first_of(
    deviations: Sequence[Deviation], step: Step, ours: Answer, reference: Answer, seen: list[Deviation]
) -> Deviation | None:
    """Return the first deviation that explains a difference, if any does, and add it to those `seen`."""
    found = next((each for each in deviations if each.applies(step, ours, reference)), None)
    if found is not None:
        seen.append(found)
    return found


def drawn_seed() -> str:
    """Return the seed that the environment names: without one a run shows what changed, not what chance finds."""
    named = os.environ.get("KMS_DIFFERENTIAL_SEED", "everyday")
    return str(random.randrange(10**9)) if named == "random" else named


def note_examples(found: dict[str, int]) -> None:
    """Write down which case showed each deviation first, where KMS_DIFFERENTIAL_NOTES names a file for it."""
    if place := os.environ.get("KMS_DIFFERENTIAL_NOTES"):
        with Path(place).open("a", encoding="utf-8") as file:
            file.writelines(f"{number}\t{reason}\n" for reason, number in found.items())


def other_wrong_type(example: int | tuple[Step, ...]) -> Deviation:
    """Return the deviation that both engines have."""
    return Deviation(
        "of several fields of wrong types another is told",
        lambda _, ours, reference: all(
            answer.status == 400 and "error converting input for field" in "".join(answer.errors)
            for answer in (ours, reference)
        ),
        example,
    )
