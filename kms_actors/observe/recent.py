"""The lines that a process has logged lately, for those who follow them from afar. Bounded, whoever follows.

Lines of a lower level than are written are kept only while somebody asks for them.
"""

from __future__ import annotations

import json
import logging
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

#: Lines that are kept, and characters of each.
MOST_LINES: Final = 1024
MOST_CHARACTERS: Final = 4096
#: Seconds for which lines of a level are kept after somebody has asked for that.
_WATCHED_SECONDS: Final = 5.0


class Line(msgspec.Struct, frozen=True):
    """A line in both its forms; `time` is in seconds since 1970."""

    time: float
    level: int
    text: str
    json: str


class Recent:
    """Of one process."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lines: deque[Line] = deque(maxlen=MOST_LINES)
        self._watched: dict[int, float] = {}  # levels that somebody asked for, and until when they are kept

    def wants(self, level: int) -> bool:
        """Tell whether lines of a level are kept that are not written."""
        if not self._watched:
            return False
        now = self._clock()
        self._watched = {least: until for least, until in self._watched.items() if until > now}
        return any(least <= level for least in self._watched)

    def keep(self, level: int, fields: Mapping[str, Any]) -> None:
        """Keep a line."""
        shown = {"@level": logging.getLevelName(level).lower(), **fields}
        text = " ".join(f"{name}={value}" for name, value in fields.items() if name not in _HEAD)
        head = f"{fields.get('timestamp', '')} [{shown['@level'].upper()}] {fields.get('event', '')}"
        self._lines.append(
            Line(
                self._clock(),
                level,
                f"{head}: {text}"[:MOST_CHARACTERS] if text else head[:MOST_CHARACTERS],
                json.dumps(shown, default=str)[:MOST_CHARACTERS],
            )
        )

    def between(self, since: float, until: float, level: int) -> list[Line]:
        """Return the lines that came after `since`, up to `until`, of a level or above; and keep such for a while."""
        self._watched[level] = self._clock() + _WATCHED_SECONDS
        return [line for line in self._lines if since < line.time <= until and line.level >= level]


_HEAD: Final = frozenset({"timestamp", "event", "level"})

#: Of this process.
recent: Final = Recent()
