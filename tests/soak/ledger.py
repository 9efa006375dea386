"""What a long run was told, in memory: secrets as they were acknowledged, ciphertexts that were handed out.

A secret is written by one client, one write after the other, each a number above the last. What is read must be the
last number that was acknowledged, or one sent since then whose answer never came; and its versions must be as many.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

#: Ciphertexts that are kept to the end, evenly spread: past it, every second one is let go of.
_KEPT: Final = 4_096


@dataclass(slots=True)
class Secret:
    """One secret: the last write that was acknowledged, and those after it of which nothing was heard."""

    acknowledged: int = 0
    versions: int = 0  # acknowledged, all in all
    unknown: list[int] = field(default_factory=list)
    unknown_versions: int = 0  # that may be there beside them
    last: int = 0  # that was sent

    def next(self) -> int:
        """Return the number of a write that is about to be sent."""
        self.last += 1
        return self.last

    def written(self, number: int) -> None:
        """Note that a write was acknowledged."""
        self.acknowledged = number
        self.versions += 1
        self.unknown.clear()  # whatever became of those, this one came after them

    def unheard(self, number: int) -> None:
        """Note that no answer to a write came: it may be there, or come to be."""
        self.unknown.append(number)
        self.unknown_versions += 1

    def fault(self, number: int, version: int | None = None) -> str | None:
        """Return what is wrong with a number that was read, and its version; None: nothing. 0: there is no secret."""
        if number != self.acknowledged and number not in self.unknown:
            return f"{number} was read where {self.acknowledged} was acknowledged, {self.unknown} unheard of"
        if version is not None and not self.versions <= version <= self.versions + self.unknown_versions:
            return f"version {version}, of {self.versions} acknowledged and {self.unknown_versions} unheard of"
        return None


class Ledger:
    """Secrets by vault and path, and some of the ciphertexts by vault."""

    def __init__(self) -> None:
        self.secrets: dict[tuple[str, str], Secret] = {}
        self.ciphertexts: deque[tuple[str, str, str]] = deque()  # vault, ciphertext, plaintext
        self._every = 1
        self._seen = 0

    def secret(self, vault: str, path: str) -> Secret:
        """Return what is known of a secret."""
        return self.secrets.setdefault((vault, path), Secret())

    def encrypted(self, vault: str, ciphertext: str, plaintext: str) -> None:
        """Note a ciphertext that was handed out, or let it go."""
        self._seen += 1
        if self._seen % self._every:
            return
        self.ciphertexts.append((vault, ciphertext, plaintext))
        if len(self.ciphertexts) > _KEPT:
            self.ciphertexts = deque(list(self.ciphertexts)[::2])
            self._every *= 2
