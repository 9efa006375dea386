"""How long a vault's keys may be used on this node: from when it was found unsealed to its seal, within the lease.

Work that takes longer than a turn asks again: before each part of it, and before its answer leaves.
"""

from __future__ import annotations

from collections.abc import Callable

from kms_actors.errors import Sealed, Unavailable


class Tenure:
    """`fresh` tells whether the lease holds. It ends once, and whoever asks from then on is refused."""

    __slots__ = ("_ended", "_fresh")

    def __init__(self, fresh: Callable[[], bool]) -> None:
        self._fresh = fresh
        self._ended = False

    def end(self) -> None:
        """Let nothing more be done with the keys. Idempotent."""
        self._ended = True

    def check(self) -> None:
        """Raise Sealed once it has ended, Unavailable past the lease."""
        if self._ended:
            raise Sealed
        if not self._fresh():
            raise Unavailable("the store was not heard within the lease")
