"""Memory and descriptors of a node's processes while it runs for long, and what becomes of them."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from tests.bench.processes import process_tree

_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
_MEGABYTE: Final = 1 << 20


class Sample(NamedTuple):
    """Seconds since the watch began, megabytes by process, and descriptors by kind (`socket`, `pipe`, `file`)."""

    seconds: float
    memory: dict[int, float]
    descriptors: Counter[str]


class Watch:
    """Looks at a process and its descendants."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._began = time.monotonic()
        self.samples: list[Sample] = []

    def look(self) -> Sample:
        """Take a sample, and keep it."""
        memory: dict[int, float] = {}
        descriptors: Counter[str] = Counter()
        for pid in process_tree(self._pid):
            try:
                resident = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
                links = [str(entry.readlink()) for entry in Path(f"/proc/{pid}/fd").iterdir()]
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue  # it ended meanwhile
            memory[pid] = resident * _PAGE / _MEGABYTE
            descriptors.update(map(_kind, links))
        sample = Sample(time.monotonic() - self._began, memory, descriptors)
        self.samples.append(sample)
        return sample

    def growth(self, since: float) -> dict[int, float]:
        """Return megabytes an hour, by the line of least squares, of processes that were there from `since` on."""
        samples = [sample for sample in self.samples if sample.seconds >= since]
        lasting = set.intersection(*(set(sample.memory) for sample in samples)) if samples else set()
        return {
            pid: 3600 * slope([(sample.seconds, sample.memory[pid]) for sample in samples]) for pid in sorted(lasting)
        }


def _kind(link: str) -> str:
    kind = link.partition(":")[0]
    return kind if kind in {"socket", "pipe", "anon_inode"} else "file"


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Return by how much y grows with x, by the line of least squares; 0 of fewer than two points."""
    if len(points) < 2:
        return 0.0
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread if spread else 0.0
