"""Fuzz the API and every parser: `make fuzz SECONDS=…`, or `python -m tests.fuzz --help`.

Ends with 1 where something was found: a status of 500, a request without an answer, memory that grows, an error that
a parser does not say it raises. Inputs that are findings are told in base64: kept in `corpus/`, they are tests.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.fuzz.corpus import keep
from tests.fuzz.parsers.table import TABLE
from tests.fuzz.parsing import fuzz_all
from tests.fuzz.running import storm
from tests.fuzz.schema import examine, program

#: Megabytes that a node may have grown by over the second half of a long run.
MOST_GROWTH = 40.0


def main() -> int:
    """Run what is asked for; return the exit code."""
    wanted = _arguments()
    parts = {"storm": _storm, "schema": _schema, "parsers": _parsers}
    chosen = wanted.only or list(parts)
    share = max(1, wanted.seconds // len(chosen))
    findings = 0
    with tempfile.TemporaryDirectory() as scratch:
        for name in chosen:
            folder = Path(scratch) / name
            folder.mkdir()
            for told, good in parts[name](wanted, folder, share):
                findings += not good
                print(told, flush=True)
    print(f"{findings} findings" if findings else "nothing was found")
    return 1 if findings else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Fuzz the API and every parser.")
    parser.add_argument("--seconds", type=int, default=600, help="for all, shared by the parts (600)")
    parser.add_argument("--seed", type=int, default=1, help="of the requests (1)")
    parser.add_argument("--only", action="append", choices=["storm", "schema", "parsers"], help="of the parts, this")
    parser.add_argument("--parser", action="append", choices=sorted(TABLE), help="of the parsers, this")
    parser.add_argument("--keep", action="store_true", help="add what reached new branches to the corpus")
    return parser.parse_args()


def _storm(wanted: argparse.Namespace, folder: Path, seconds: int) -> Iterator[tuple[str, bool]]:
    found = storm(folder, wanted.seed, seconds=seconds, tell=lambda text: print(f"  {text}", flush=True))
    yield str(found), found.growth < MOST_GROWTH
    for finding in found.findings:
        yield str(finding), False
    for line in found.trouble:
        yield line, False


def _schema(wanted: argparse.Namespace, folder: Path, seconds: int) -> Iterator[tuple[str, bool]]:
    if program() is None:
        yield "NOT DONE: Schemathesis is not here (pip install --requirement requirements-fuzz.lock)", True
        return
    for name, bound in (("operator", False), ("bound", True)):
        (folder / name).mkdir()
        found = examine(folder / name, max(1, seconds // 2), wanted.seed, bound=bound)
        yield f"{name}: {found}", not found.failed


def _parsers(wanted: argparse.Namespace, folder: Path, seconds: int) -> Iterator[tuple[str, bool]]:
    names = wanted.parser or list(TABLE)
    for found in fuzz_all(names, folder, max(1, seconds // len(names))):
        yield str(found), not found.why
        if wanted.keep:
            keep(found.name, _new(folder / found.name / "found"))


def _new(folder: Path) -> list[bytes]:
    """Return what was found, but for the seeds: the smallest, and not too many."""
    inputs = [path.read_bytes() for path in folder.iterdir() if not path.name.startswith("seed-")]
    return sorted(inputs, key=len)[: int(os.environ.get("KMS_FUZZ_KEPT", "24"))]


if __name__ == "__main__":
    sys.exit(main())
