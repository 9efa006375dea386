"""Seeds shared by several processes, one a core: what they came to together, or the first that broke a promise."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed

from tests.simulation.totals import Totals


def run(words: Sequence[str], count: int, *, figures: bool) -> int:
    """Run `python -m tests.simulation` with these words `count` times, each with its part of the seeds."""
    begun = time.monotonic()
    totals, code = Totals(), 0
    parts = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.simulation", *words, "--figures", "--part", str(part)],
            stdout=subprocess.PIPE,
            text=True,
        )
        for part in range(count)
    ]
    try:
        with ThreadPoolExecutor(count) as pool:
            for ended in as_completed(pool.submit(_wait, part) for part in parts):
                part, told = ended.result()
                if part.returncode == 0:
                    totals.merge(Totals.decode(told))
                elif not code:
                    code = part.returncode
                    print(told, end="")
                    for other in parts:
                        other.terminate()
    finally:
        for part in parts:
            part.kill()
    if code:
        return code
    if figures:
        print(totals.encode())
    else:
        totals.tell(time.monotonic() - begun)
    return 0


def _wait(part: subprocess.Popen[str]) -> tuple[subprocess.Popen[str], str]:
    return part, part.communicate()[0]
