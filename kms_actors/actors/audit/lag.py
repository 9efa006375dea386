"""How far a file is ahead of the disk, and how far it may be."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, NamedTuple

from kms_actors.actors.audit.group import Group
from kms_actors.audit.sink import Synced

#: Bytes, and seconds, that `lagged` may be ahead of the disk.
MOST_UNSYNCED: Final = 4 << 20
MOST_LAG: Final = 1.0


class Mark(NamedTuple):
    """How many bytes were written to a file, all in all, at some time."""

    bytes: int
    time: float


class Lag:
    """How far a file is ahead of the disk."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._bytes = 0  # written, all in all
        self._on_disk = Mark(0, clock())  # what is, at least, and since when nothing that is not was written

    def too_far(self, further: int) -> bool:
        """Tell whether so many bytes more may only be written with all before them on the disk."""
        waiting = self._bytes - self._on_disk.bytes
        late = self._clock() - self._on_disk.time >= MOST_LAG
        return waiting + further >= MOST_UNSYNCED or (waiting > 0 and late)

    @property
    def half(self) -> bool:
        """Whether half as much waits for the disk as may."""
        return self._bytes - self._on_disk.bytes >= MOST_UNSYNCED // 2

    def written(self, further: int = 0) -> Mark:
        """Count bytes; return what is on the disk after a sync that begins now."""
        now = self._clock()
        if self._bytes == self._on_disk.bytes:
            self._on_disk = Mark(self._bytes, now)
        self._bytes += further
        return Mark(self._bytes, now)

    def synced(self, reached: Mark) -> None:
        """Note that all is on the disk which was written by then."""
        self._on_disk = max(self._on_disk, reached)


class CatchingUp:
    """Has what was written put on the disk before anybody has to wait for that."""

    def __init__(self) -> None:
        self._under_way: Synced | None = None

    def look(self, lag: Lag, syncs: Group) -> None:
        """Begin where half as much waits for the disk as may."""
        if self._under_way is not None or not lag.half:
            return
        reached = lag.written()

        def done(synced: Synced) -> None:
            self._under_way = None
            if synced.result() is None:
                lag.synced(reached)

        self._under_way = syncs.sync()
        self._under_way.add_done_callback(done)
