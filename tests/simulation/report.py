"""Seeds one after the other, and what they came to, all in all."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable

from tests.simulation.run import Outcome, simulate


def run(arguments: argparse.Namespace, clock: Callable[[], float]) -> int:
    """Run the seeds that were asked for; 1 where one broke a promise."""
    begun = clock()
    faults: Counter[str] = Counter()
    met: Counter[str] = Counter()
    seeds = seconds = operations = commits = 0.0
    seed = arguments.first
    while (clock() - begun < arguments.seconds) if arguments.seconds else seed < arguments.first + arguments.seeds:
        outcome = simulate(seed, arguments.only, arguments.nights)
        if arguments.verbose:
            _tell(outcome)
        if outcome.broken:
            print("\n".join(outcome.last if arguments.trace else ()))
            print(f"seed {seed} at {outcome.seconds:.3f} s breaks a promise: {outcome.broken}")
            print(
                f"again: python -m tests.simulation --first {seed} --seeds 1"
                + "".join(f" --only {name}" for name in arguments.only)
                + (f" --nights {arguments.nights}" if arguments.nights else "")
            )
            return 1
        faults.update(outcome.faults)
        met.update(outcome.met)
        seeds, seconds = seeds + 1, seconds + outcome.seconds
        operations, commits = operations + outcome.operations, commits + outcome.commits
        seed += 1
    real = clock() - begun
    print(
        f"{seeds:.0f} seeds, {seconds / 3600:.2f} simulated hours in {real:.0f} s ({seconds / real:.0f} a second): "
        f"{operations:.0f} operations, {commits:.0f} commits, no promise broken"
    )
    print("faults: " + ", ".join(f"{name} {count}" for name, count in sorted(faults.items())))
    print("met: " + ", ".join(f"{name} {count}" for name, count in sorted(met.items())))
    return 0


def _tell(outcome: Outcome) -> None:
    print(
        f"seed {outcome.seed}: {outcome.seconds:.1f} s, {outcome.operations} operations, "
        f"{outcome.commits} commits, {outcome.digest}",
        file=sys.stderr,
    )
