"""Fuzz one parser, guided by the branches of it that inputs reach: `python -m tests.fuzz.guided NAME FOLDER SECONDS`.

Atheris never comes back, so each run is a process of its own. It ends with 0, or with what libFuzzer says of a
finding and an input in the folder: an error that the parser does not say it raises, ten seconds without an end, or a
gigabyte of memory.
"""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["kms_actors", "kms_http", "tests.fuzz.parsers"]):
    from tests.fuzz.corpus import inputs
    from tests.fuzz.parsers.planted import PLANTED
    from tests.fuzz.parsers.table import TABLE

#: Seconds for one input, and megabytes for all.
SLOWEST = 10
MOST_MEMORY = 1024


def main(name: str, folder: Path, seconds: int) -> None:
    """Fuzz the parser of this name for so long; what reaches new branches is put into the folder `found`."""
    target = {**TABLE, **PLANTED}[name]
    found = folder / "found"
    found.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(inputs(name, target)):
        (found / f"seed-{number}").write_bytes(data[: target.most])

    def one(data: bytes) -> None:
        with contextlib.suppress(*target.refusals):
            target.take(data)

    settings = {
        "max_total_time": seconds,
        "max_len": target.most,
        "timeout": SLOWEST,
        "rss_limit_mb": MOST_MEMORY,
        "print_final_stats": 1,
        "verbosity": 1,
    }
    words = [f"-{key}={value}" for key, value in settings.items()]
    atheris.Setup([sys.argv[0], *words, f"-artifact_prefix={folder}/", str(found)], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
