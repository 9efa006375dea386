"""Fuzz all parsers, one after the other, each in a process of its own: for `make fuzz`, and for a short look."""

from __future__ import annotations

import base64
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

_ROOT = Path(__file__).parents[2]
_EXECUTED = re.compile(rb"stat::number_of_executed_units: *(\d+)")
_ERROR = re.compile(rb"(?:=== Uncaught Python exception: ===\n|ERROR: libFuzzer: )(.*)")
_FOUND = ("crash-*", "timeout-*", "oom-*", "leak-*")


class Fuzzed(NamedTuple):
    """What a run of one parser came to; `inputs` are those that are findings, `why` is what was said of them."""

    name: str
    runs: int
    why: str
    inputs: list[bytes]

    def __str__(self) -> str:
        told = "".join(f"\n    {base64.b64encode(each).decode()}" for each in self.inputs)
        return f"{self.name}: {self.runs:,} runs{f', {self.why}{told}' if self.why else ''}"


def fuzz(name: str, folder: Path, seconds: int) -> Fuzzed:
    """Fuzz one parser for some seconds; what it reached is left in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.guided", name, str(folder), str(seconds)],
        cwd=_ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(_ROOT), str(_ROOT / "http")])},
        capture_output=True,
        timeout=seconds + 120,
        check=False,
    )
    executed = _EXECUTED.search(done.stderr)
    inputs = [path.read_bytes() for kind in _FOUND for path in sorted(folder.glob(kind))]
    why = ""
    if done.returncode:
        told = _ERROR.findall(done.stderr + done.stdout)
        why = b"; ".join(told).decode(errors="replace") or done.stderr[-2000:].decode(errors="replace")
    return Fuzzed(name, int(executed[1]) if executed else 0, why, inputs)


def fuzz_all(names: Iterable[str], folder: Path, seconds: int) -> Iterator[Fuzzed]:
    """Fuzz parsers, each for `seconds`."""
    for name in names:
        yield fuzz(name, folder / name, seconds)
