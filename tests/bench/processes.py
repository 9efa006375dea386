"""Processes: what one prints, from /proc the CPU time and memory of one and all its descendants, and their end."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn
from urllib.parse import urlsplit

_PROC: Final = Path("/proc")
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
_LISTENING: Final = "0A"
_ENDING: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_PRCTL: Final = ctypes.CDLL(None).prctl
_PR_SET_CHILD_SUBREAPER: Final = 36


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


@contextlib.contextmanager
def none_left() -> Iterator[None]:
    """End every descendant at the end, also where a signal or an error brings it.

    A signal first unwinds what is under way, so that nodes stop as they are meant to; what remains is killed.
    Descendants whose own parent has gone come here, not to init, whatever session they are in.
    """
    _PRCTL(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    for number in _ENDING:
        signal.signal(number, _unwind)
    try:
        yield
    finally:
        for number in _ENDING:
            signal.signal(number, signal.SIG_IGN)  # nothing is left half ended
        while remaining := [pid for pid in _tree(os.getpid()) if pid != os.getpid()]:
            for pid in remaining:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
            time.sleep(0.01)


def _unwind(number: int, _: FrameType | None) -> NoReturn:
    for other in _ENDING:
        signal.signal(other, signal.SIG_IGN)  # once is enough
    raise SystemExit(128 + number)


def _tree(pid: int) -> Iterator[int]:
    """As `process_tree`, of processes that may end meanwhile."""
    yield pid
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for task in (_PROC / str(pid) / "task").iterdir():
            for child in (task / "children").read_text(encoding="ascii").split():
                yield from _tree(int(child))


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
