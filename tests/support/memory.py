"""What lies in the memory of other processes. Needs root, or the right to trace them: nodes keep theirs private."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

_REGION = re.compile(r"([0-9a-f]+)-([0-9a-f]+) r\S+ \S+ \S+ \d+ *(.*)")
_PIECE = 1 << 22


def skip_where_memory_cannot_be_read() -> None:
    """Skip, and say so, where this process may not read a node's memory."""
    if not Path("/proc/self/mem").exists() or os.geteuid() != 0:
        pytest.skip("NOT TESTED: that sealed means gone from memory. It takes Linux and root (or CAP_SYS_PTRACE)")


def family(pid: int) -> list[int]:
    """Return a process and all that descend from it."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    return [pid, *(found for child in children for found in family(int(child)))]


def found_in(pids: Iterable[int], needles: dict[str, bytes]) -> list[str]:
    """Return where any of the needles lies: name, process and region of each place."""
    return [
        f"{name} in {pid} at {place:x} ({region or 'anonymous'})"
        for pid in pids
        for region, start, data in _regions(pid)
        for name, needle in needles.items()
        for place in _places(data, needle, start)
    ]


def _places(data: bytes, needle: bytes, start: int) -> Iterator[int]:
    at = data.find(needle)
    while at >= 0:
        yield start + at
        at = data.find(needle, at + 1)


def _regions(pid: int) -> Iterator[tuple[str, int, bytes]]:
    maps = Path(f"/proc/{pid}/maps").read_text(encoding="utf-8")
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for begin, end, name in _REGION.findall(maps):
            if name in {"[vvar]", "[vsyscall]", "[vvar_vclock]"}:
                continue
            yield name, int(begin, 16), b"".join(_read(memory.fileno(), int(begin, 16), int(end, 16)))


def _read(descriptor: int, begin: int, end: int) -> Iterator[bytes]:
    for start in range(begin, end, _PIECE):
        size = min(_PIECE, end - start)
        try:
            yield os.pread(descriptor, size, start)
        except OSError:  # a page that is mapped and cannot be read
            yield bytes(size)
