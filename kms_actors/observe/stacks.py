"""Where the threads and tasks of a process are, by files and lines: no value of a variable, nothing that was sent."""

from __future__ import annotations

import asyncio
import sys
import threading
import traceback
from types import FrameType
from typing import Final

#: Tasks that are shown, and frames of each.
MOST_TASKS: Final = 1000
_MOST_FRAMES: Final = 64


def describe() -> str:
    """Return the stacks of all threads, and of the tasks of this loop."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    threads = sys._current_frames().items()  # noqa: SLF001  # documented, for this
    parts = [_described(f"thread {names.get(number, number)}", [frame]) for number, frame in threads]
    tasks = list(asyncio.all_tasks())
    parts += [
        _described(f"task {task.get_name()}", task.get_stack(limit=_MOST_FRAMES)) for task in tasks[:MOST_TASKS]
    ]
    if len(tasks) > MOST_TASKS:
        parts.append(f"and {len(tasks) - MOST_TASKS} tasks more\n")
    return "\n".join(parts)


def _described(title: str, frames: list[FrameType]) -> str:
    lines = [
        f"  {place.filename}:{place.lineno} {place.name}"
        for frame in frames
        for place in traceback.extract_stack(frame, limit=_MOST_FRAMES)[::-1]
    ]
    return "\n".join([title, *lines, ""])
