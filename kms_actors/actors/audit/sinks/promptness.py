"""Whether lines may be written to a file on the event loop: a thread costs several times what the system takes.

A write to a file of a local disk is a copy to the system's memory, of some microseconds. It is not where the disk
cannot keep up, nor over a network. So a few short lines are written on the loop if the file lies on a local disk, and
no write was slow lately: one that is, there or in a thread, sends what follows to threads for a second, and for twice
as long with each further one, up to `LONGEST` seconds. One that waited for a processor was not slow: it is told by
how often the thread gave its own up, which it does for a disk.
"""

from __future__ import annotations

import os
import resource
import stat
import time
from collections.abc import Callable, Sequence
from math import inf
from pathlib import Path
from typing import Final, NamedTuple

#: Lines, and bytes, that are written on the loop; for more there are threads.
FEW: Final = 64
SHORT: Final = 1 << 16
#: Seconds of a slow write; and until the loop is trusted with one again, at first and at most.
SLOW: Final = 0.05
PAUSE: Final = 1.0
LONGEST: Final = 64.0
#: Types of file systems that need no other machine, nor another process.
_LOCAL: Final = frozenset(
    {"bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "jfs", "overlay", "ramfs", "tmpfs", "xfs", "zfs"}
)
_THREAD: Final[int] = getattr(resource, "RUSAGE_THREAD", resource.RUSAGE_SELF)
_MOUNTS: Final = Path("/proc/self/mountinfo")


class Begun(NamedTuple):
    """When a write began, and how often its thread had waited for something by then."""

    time: float
    waits: int


def waits() -> int:
    """Return how often this thread has waited for something other than a processor."""
    return resource.getrusage(_THREAD).ru_nvcsw


class Promptness:
    """What is known of one device's file."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, waits: Callable[[], int] = waits) -> None:
        self._clock = clock
        self._waits = waits
        self._local = False
        self._pause = PAUSE
        self._resumes = -inf  # when lines may be written on the loop again

    def opened(self, path: Path, file: int) -> None:
        """Look at where an open file lies; for a thread."""
        try:
            self._local = stat.S_ISREG(os.fstat(file).st_mode) and is_local(path)
        except OSError:
            self._local = False

    def allows(self, lines: Sequence[bytes]) -> bool:
        """Tell whether to write these on the loop."""
        return self._local and self._clock() >= self._resumes and is_short(lines)

    def begin(self) -> Begun:
        """Note that a write begins, for `end`."""
        return Begun(self._clock(), self._waits())

    def end(self, begun: Begun) -> None:
        """Note how long a write took, in whatever thread it also began."""
        now = self._clock()
        if now - begun.time > SLOW and self._waits() > begun.waits:
            again = now - self._resumes <= self._pause
            self._pause = min(2 * self._pause, LONGEST) if again else PAUSE
            self._resumes = now + self._pause


def is_short(lines: Sequence[bytes]) -> bool:
    """Tell whether lines are so few and short that all that is done with them may be on the loop."""
    return len(lines) <= FEW and sum(map(len, lines)) <= SHORT


def is_local(path: Path, mounts: Path = _MOUNTS) -> bool:
    """Tell whether a file lies on a disk of this machine; False where that cannot be found out."""
    try:
        real = Path(os.path.realpath(path))
        lines = mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return False
    found, longest = "", -1
    for line in lines:
        fields, _, rest = line.partition(" - ")
        point = Path(_unescaped(fields.split(" ")[4]))
        if real.is_relative_to(point) and len(point.parts) >= longest:  # the last one covers those before it
            found, longest = rest.split(" ")[0], len(point.parts)
    return found in _LOCAL


def _unescaped(text: str) -> str:
    for escaped, meant in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(escaped, meant)
    return text
