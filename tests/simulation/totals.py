"""What seeds came to, all in all. It imports nothing of what is simulated."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from tests.simulation.run import Outcome


@dataclass
class Totals:
    """What seeds that broke no promise came to."""

    seeds: int = 0
    seconds: float = 0.0  # simulated
    operations: int = 0
    commits: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    met: Counter[str] = field(default_factory=Counter)

    def add(self, outcome: Outcome) -> None:
        """Count one seed more."""
        more = Totals(
            1, outcome.seconds, outcome.operations, outcome.commits, Counter(outcome.faults), Counter(outcome.met)
        )
        self.merge(more)

    def merge(self, others: Totals) -> None:
        """Count those of another process."""
        self.seeds += others.seeds
        self.seconds += others.seconds
        self.operations += others.operations
        self.commits += others.commits
        self.faults.update(others.faults)
        self.met.update(others.met)

    def encode(self) -> str:
        """Return one line of JSON."""
        return json.dumps(vars(self))

    @classmethod
    def decode(cls, line: str) -> Self:
        """Read such a line."""
        fields = json.loads(line)
        return cls(**{**fields, "faults": Counter(fields["faults"]), "met": Counter(fields["met"])})

    def tell(self, real: float) -> None:
        """Print them in words; `real` are the seconds that they took."""
        print(
            f"{self.seeds} seeds, {self.seconds / 3600:.2f} simulated hours in {real:.0f} s "
            f"({self.seconds / real:.0f} a second): "
            f"{self.operations} operations, {self.commits} commits, no promise broken"
        )
        print("faults: " + ", ".join(f"{name} {count}" for name, count in sorted(self.faults.items())))
        print("met: " + ", ".join(f"{name} {count}" for name, count in sorted(self.met.items())))
