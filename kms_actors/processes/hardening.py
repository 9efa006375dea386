"""What a process asks of the system: memory kept private and given back, and files to open."""

from __future__ import annotations

import ctypes
import resource
import sys
from typing import Final

_PR_SET_DUMPABLE: Final = 4
_M_MMAP_THRESHOLD: Final = -3
#: Bytes from which a block is asked of the system, and given back to it when it is freed.
_LARGE: Final = 256 * 1024


def keep_memory_private() -> None:
    """Leave no core dump, and let no other process of the same user read this one's memory (on Linux)."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def give_back_large_blocks() -> None:
    """Have what large requests took go back to the system with them, where the C library can be told so (glibc).

    Left alone it takes the first large block that is freed as a sign of more to come, and keeps such blocks in its
    heap from then on; smaller ones between them keep it from shrinking: hundreds of megabytes after few requests.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _LARGE)


def open_as_many_files_as_allowed() -> None:
    """Raise the soft limit of open files to the hard one: each connection takes one, and common limits are 1,024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
