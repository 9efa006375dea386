"""Processes: what one prints, and, from /proc, the CPU time and memory of one and all its descendants."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

_PROC: Final = Path("/proc")
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
_LISTENING: Final = "0A"


def output(command: Sequence[str | Path], seconds: float) -> str:
    """Return what a command prints; RuntimeError with what it says if it fails or takes longer than `seconds`."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=True)
    except subprocess.CalledProcessError as failed:
        raise RuntimeError(f"{command[0]} failed: {failed.stderr or failed.stdout}") from None
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"{command[0]} did not end within {seconds:.0f} s") from None
    return done.stdout


def process_tree(pid: int) -> Iterator[int]:
    """Yield a process and all its descendants."""
    yield pid
    for task in (_PROC / str(pid) / "task").iterdir():
        for child in (task / "children").read_text(encoding="ascii").split():
            yield from process_tree(int(child))


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process and all its descendants, in seconds."""
    total = 0
    for process in process_tree(pid):
        stat = (_PROC / str(process) / "stat").read_text(encoding="ascii")
        fields = stat.rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / _TICKS


def resident_bytes(pid: int) -> list[int]:
    """Return the resident memory of a process and of each descendant, the largest last."""
    statm = [(_PROC / str(process) / "statm").read_text(encoding="ascii") for process in process_tree(pid)]
    return sorted(int(line.split()[1]) * _PAGE for line in statm)


def listener(address: str) -> int:
    """Return the process that listens on the port of a loopback address; RuntimeError if none is seen."""
    port = f":{urlsplit(address).port:04X}"
    for table in ("tcp", "tcp6"):
        for line in (_PROC / "net" / table).read_text(encoding="ascii").splitlines()[1:]:
            fields = line.split()
            if fields[1].endswith(port) and fields[3] == _LISTENING:
                return _owner(f"socket:[{fields[9]}]")
    raise RuntimeError(f"nobody listens on {address}")


def _owner(socket: str) -> int:
    for link in _PROC.glob("[0-9]*/fd/*"):
        try:
            if str(link.readlink()) == socket:
                return int(re.findall(r"/proc/(\d+)/", str(link))[0])
        except OSError:
            continue
    raise RuntimeError("the process that listens cannot be seen")
