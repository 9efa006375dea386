"""What a process asks of the system: memory and files kept private, memory given back, and files to open."""

from __future__ import annotations

import ctypes
import os
import resource
import struct
import sys
from pathlib import Path
from typing import Final

_PR_SET_DUMPABLE: Final = 4
_PR_SET_NO_NEW_PRIVS: Final = 38
_CAPABILITY_VERSION: Final = 0x20080522  # `_LINUX_CAPABILITY_VERSION_3`
#: Nothing for the group, nothing for others, of whatever a process makes and says no mode for.
_PRIVATE: Final = 0o077
_M_MMAP_THRESHOLD: Final = -3
#: Bytes from which a block is asked of the system, and given back to it when it is freed.
_LARGE: Final = 256 * 1024


def keep_memory_private() -> None:
    """Leave no core dump, and let no other process of the same user read or trace this one's memory (on Linux).

    Nor is more allowed to what is run from here than to this process. The memory is not locked: what is locked cannot
    be given back in pieces, and a limit of locked memory would end the process. See `may_be_swapped`.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        library = ctypes.CDLL(None)
        library.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
        library.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def give_up_capabilities() -> None:
    """Have no capability from now on, nor any that a program run from here could get (on Linux). Raises OSError.

    Who is not root any more has none by itself, unless the system was told to leave them (`SECBIT_NO_SETUID_FIXUP`).
    """
    if sys.platform == "linux":
        library = ctypes.CDLL(None, use_errno=True)
        header = struct.pack("=Ii", _CAPABILITY_VERSION, 0)  # of this thread: there is no other yet
        if library.capset(header, bytes(24)) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))


def keep_files_private() -> None:
    """Have files, folders and sockets be the user's alone, unless whoever makes them says otherwise."""
    os.umask(_PRIVATE)


def may_be_swapped(system: Path = Path("/")) -> bool:
    """Tell whether memory of this process, and keys in it, could come to lie on a swap device (on Linux).

    That is so where there is one, and no cgroup of this process forbids its use (version 2, as systemd's
    `MemorySwapMax=0` does). `system` is where the file systems of the kernel are.
    """
    try:
        devices = (system / "proc/swaps").read_text(encoding="ascii").splitlines()[1:]
        groups = (system / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return False
    own = next((line.removeprefix("0::/") for line in groups if line.startswith("0::/")), "")
    place = system / "sys/fs/cgroup" / own
    return bool(devices) and not any(_forbids_swap(each) for each in (place, *place.parents))


def _forbids_swap(group: Path) -> bool:
    try:
        return (group / "memory.swap.max").read_text(encoding="ascii").strip() == "0"
    except OSError:
        return False


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
