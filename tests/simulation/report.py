"""Seeds one after the other, and what they came to, all in all."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from tests.simulation.run import Outcome, simulate
from tests.simulation.totals import Totals


def run(arguments: argparse.Namespace, clock: Callable[[], float]) -> int:
    """Run the seeds that were asked for; 1 where one broke a promise."""
    begun = clock()
    totals = Totals()
    seed = arguments.first + arguments.part
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
        totals.add(outcome)
        seed += arguments.processes
    if arguments.figures:
        print(totals.encode())
    else:
        totals.tell(clock() - begun)
    return 0


def _tell(outcome: Outcome) -> None:
    print(
        f"seed {outcome.seed}: {outcome.seconds:.1f} s, {outcome.operations} operations, "
        f"{outcome.commits} commits, {outcome.digest}",
        file=sys.stderr,
    )
