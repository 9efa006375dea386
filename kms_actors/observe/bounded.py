"""Log lines that callers cause: at most so many a second of one kind, and a count of those that were left out."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final

import structlog

#: Lines of one kind in a second.
MOST: Final = 10
#: Kinds that are counted at once; the one that was quiet for longest leaves.
_KINDS: Final = 1024
_SECOND: Final = 1.0


class _Window:
    __slots__ = ("began", "left_out", "lines")

    def __init__(self, began: float) -> None:
        self.began = began
        self.lines = 0
        self.left_out = 0


class BoundedLog:
    """Writes `event` with its fields, if not too many of its kind were written in this second.

    A kind is an event and `about`. How many were left out is said once the second is over, as `left out of the log`.
    """

    def __init__(self, name: str, most: int | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = structlog.get_logger(name)
        self._most = most
        self._clock = clock
        self._windows: OrderedDict[tuple[str, str], _Window] = OrderedDict()

    def info(self, event: str, about: str, **fields: Any) -> None:
        """Write a line of level info."""
        if self._admits(event, about):
            self._log.info(event, **fields)

    def warning(self, event: str, about: str, **fields: Any) -> None:
        """Write a line of level warning."""
        if self._admits(event, about):
            self._log.warning(event, **fields)

    def _admits(self, event: str, about: str) -> bool:
        now, kind = self._clock(), (event, about)
        window = self._windows.get(kind)
        if window is None or now - window.began >= _SECOND:
            self._close(kind)
            window = self._windows[kind] = _Window(now)
            if len(self._windows) > _KINDS:
                self._close(next(iter(self._windows)))
        if window.lines < (MOST if self._most is None else self._most):
            window.lines += 1
            return True
        window.left_out += 1
        if window.left_out == 1:
            self._close_later(kind, window)
        return False

    def _close_later(self, kind: tuple[str, str], window: _Window) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return  # told with the next line of this kind
        loop.call_later(_SECOND, lambda: self._close(kind) if self._windows.get(kind) is window else None)

    def _close(self, kind: tuple[str, str]) -> None:
        window = self._windows.pop(kind, None)
        if window is not None and window.left_out:
            self._log.warning("left out of the log", lines=window.left_out, of=kind[0], about=kind[1])
