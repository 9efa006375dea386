"""`python -m tests.simulation.hunt`: put in each planted bug in turn, and tell which seed has found it."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from tests.simulation.planted import PLANTED, SECTION_A


def main() -> int:
    """Hunt all bugs; the exit code is the number of those that no seed has found."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.hunt", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000, help="how many seeds each may take")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("names", nargs="*", help="of bugs; all otherwise")
    arguments = parser.parse_args()
    with ThreadPoolExecutor(arguments.processes) as pool:
        found = pool.map(lambda name: _hunt(name, arguments.seeds), arguments.names or PLANTED)
        return sum(not each for each in found)


def _hunt(name: str, seeds: int) -> bool:
    begun = time.monotonic()
    command = [sys.executable, "-m", "tests.simulation", "--seeds", str(seeds), "--planted", name]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    told = [line for line in run.stdout.splitlines() if line.startswith("seed ")]
    label = next((fault for fault, bug in SECTION_A.items() if bug == name), "")
    outcome = told[0][:160] if told else f"NOT FOUND in {seeds} seeds {run.stderr[-300:]}"
    print(f"{name:32} {label:4} {time.monotonic() - begun:6.0f} s  {outcome}", flush=True)
    return bool(told) and run.returncode == 1


if __name__ == "__main__":
    sys.exit(main())
