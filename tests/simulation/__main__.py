"""`python -m tests.simulation`: run seeds, tell what came of them, and which one broke a promise."""

from __future__ import annotations

import argparse
import os
import sys
import time

from tests.simulation import planted, processes, sources

_process_time = time.process_time
_real_time = time.perf_counter


def main() -> int:
    """Run the seeds; the exit code is 1 where one broke a promise."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=20, help="how many, one after the other")
    parser.add_argument("--first", type=int, default=1, help="the first of them")
    parser.add_argument("--seconds", type=float, help="go on for as long, whatever the number of seeds")
    parser.add_argument("--nights", type=int, default=0, help="of each seed: minutes in which nobody asks anything")
    parser.add_argument("--processes", type=int, default=1, help="share the seeds; the first that fails ends all")
    parser.add_argument("--part", type=int, help=argparse.SUPPRESS)  # of them: this is one
    parser.add_argument("--figures", action="store_true", help="tell what they came to as one line of JSON")
    parser.add_argument("--only", action="append", default=[], help="a workload; all are drawn from otherwise")
    parser.add_argument("--planted", help="the name of a bug to put in")
    parser.add_argument("--trace", action="store_true", help="of a seed that breaks a promise: what happened last")
    parser.add_argument("--verbose", action="store_true", help="tell of every seed")
    arguments = parser.parse_args()
    if os.environ.get("PYTHONHASHSEED") != "0":  # the order of sets of texts is chance, too
        os.execve(
            sys.executable,
            [sys.executable, "-m", "tests.simulation", *sys.argv[1:]],
            {**os.environ, "PYTHONHASHSEED": "0"},
        )
    if arguments.processes > 1 and arguments.part is None:
        return processes.run(sys.argv[1:], arguments.processes, figures=arguments.figures)
    arguments.part = arguments.part or 0
    sources.replace()
    sys.unraisablehook = lambda _: None  # what was killed in the middle complains when it is collected
    if arguments.planted:
        planted.plant(arguments.planted)
    from tests.simulation.report import run  # noqa: PLC0415 - what it imports keeps sources as defaults

    return run(arguments, _real_time)


if __name__ == "__main__":
    sys.exit(main())
