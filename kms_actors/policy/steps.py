"""Work that can be left and taken up again: a generator that stops after each step and returns what was made.

Whoever holds up others by it pauses between steps; a step takes a fraction of a millisecond.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeAlias, TypeVar

T = TypeVar("T")

Steps: TypeAlias = Generator[None, None, T]


def drained(steps: Steps[T]) -> T:
    """Return what all steps make, without a pause."""
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            made: T = stop.value
            return made
