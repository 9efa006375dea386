"""Standard output as a device: several processes write to one pipe, and each line of theirs stays whole."""

from __future__ import annotations

import os
import subprocess
import sys

#: Writes lines of a letter of its own, much longer than what a pipe takes as one.
_WRITER = """
import asyncio, sys
from concurrent.futures import ThreadPoolExecutor
from kms_actors.actors.audit.sinks.output import OutputSink

async def main():
    with ThreadPoolExecutor(1) as pool:
        for _ in range(30):
            await OutputSink(pool).write([sys.argv[1].encode() * 100_000 + b"\\n"])

asyncio.run(main())
"""
_WRITERS = "abc"
_SECONDS = 60


def test_lines_of_several_processes_stay_whole_in_a_pipe() -> None:
    reading, writing = os.pipe()
    processes = [
        subprocess.Popen([sys.executable, "-c", _WRITER, letter], stdout=writing, stdin=subprocess.DEVNULL)
        for letter in _WRITERS
    ]
    os.close(writing)
    try:
        with os.fdopen(reading, "rb") as lines:
            found = [(line[:1].decode(), len(line), len(set(line))) for line in lines]
        assert [process.wait(_SECONDS) for process in processes] == [0] * len(_WRITERS)
    finally:
        for process in processes:
            process.kill()
            process.wait()
    assert sorted(found) == [(letter, 100_001, 2) for letter in _WRITERS for _ in range(30)]


def test_a_pipe_that_nobody_reads_any_more_is_told() -> None:
    program = _WRITER.replace(
        "asyncio.run(main())",
        "\n".join(
            (
                "from kms_actors.audit.sink import SinkFailed",
                "try:",
                "    asyncio.run(main())",
                "except SinkFailed as error:",
                "    sys.exit(str(error))",
            )
        ),
    )
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-c", program, "x"],
        stdout=writing,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    os.close(writing)
    assert done.returncode == 1
    assert done.stderr.startswith("standard output: ")
