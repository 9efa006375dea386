"""What is certain, and from when to when, as answers tell those who ask later."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import Final

#: Seconds behind a request's end, as its client saw it, at which it may still be done: it waited for a node that
#: stood still, and its commit for the store.
LATE: Final = 45.0


class Spans:
    """Moments between which something is certain: from when it was answered, until somebody began to undo it."""

    def __init__(self) -> None:
        self._from: list[float] = []
        self._to: list[float] = []
        self._doubtful = 0.0

    def doubt(self, moment: float) -> None:
        """Say that somebody who undoes it was not answered: until that has come to nothing, nothing is certain."""
        self._doubtful = moment + LATE

    def begin(self, moment: float) -> None:
        """Say that it is certain from then on, unless there is doubt."""
        if moment < self._doubtful:
            return
        self._from.append(moment)
        self._to.append(float("inf"))

    def end(self, moment: float) -> None:
        """Say that it is not certain any more. Idempotent."""
        if self._to:
            self._to[-1] = min(self._to[-1], moment)

    def covers(self, sent: float, got: float, after: float = 0.0) -> bool:
        """Tell whether a request was within one, and began `after` seconds behind its beginning or more."""
        place = bisect_right(self._from, sent - after) - 1
        return place >= 0 and got < self._to[place]


class Latest:
    """The highest number known for certain at each moment: answers that came before a request began bind it."""

    def __init__(self) -> None:
        self._moments: list[float] = []
        self._numbers: list[int] = []

    def add(self, moment: float, number: int) -> None:
        """Say that a number was answered at a moment; moments come in order."""
        if not self._numbers or number > self._numbers[-1]:
            self._moments.append(moment)
            self._numbers.append(number)

    def before(self, moment: float) -> int:
        """Return the highest number answered before a moment; 0 if there is none."""
        place = bisect_left(self._moments, moment)
        return self._numbers[place - 1] if place else 0
