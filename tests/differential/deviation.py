"""What a difference that is meant looks like, and those that are found with every engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from tests.differential.pair import Answer
from tests.differential.steps import Step


class Deviation(NamedTuple):
    """A difference in more than words."""

    reason: str
    applies: Callable[[Step, Answer, Answer], bool]  # ours, the reference's


OTHER_WRONG_TYPE: Final = Deviation(
    "of several fields of wrong types another is told",
    lambda _, ours, reference: all(
        answer.status == 400 and "error converting input for field" in "".join(answer.errors)
        for answer in (ours, reference)
    ),
)
