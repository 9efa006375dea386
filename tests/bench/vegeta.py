"""One run of vegeta: requests at a constant rate, whether or not earlier ones were answered.

A latency counts from the moment at which its request was due. Vegeta counts from when it took the request up, which
is later if it was itself held up; so the schedule is laid over its timestamps. Waiting for a connection counts.

`KMS_BENCH_VEGETA` names a ready binary, else the one on the PATH is taken, else it is built once, into the user's
cache.
"""

from __future__ import annotations

import base64
import csv
import json
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import pytest

from tests.bench.cases import SPREAD, Request
from tests.bench.processes import cpu_seconds, output
from tests.bench.results import Sample, percentile
from tests.bench.servers import Server
from tests.support.programs import installed

_VERSION: Final = "v12.13.0"
_ABSENT: Final = "vegeta is missing: set KMS_BENCH_VEGETA to a binary, or install Go and let it be built"
_SECOND: Final = 1_000_000_000  # in nanoseconds, vegeta's unit
_PATIENCE: Final = 30  # seconds for one answer


def find() -> Path:
    """Return the binary, built at need; end with a clear line where that cannot be."""
    try:
        return installed("vegeta", "KMS_BENCH_VEGETA", "github.com/tsenart/vegeta/v12", _VERSION, _ABSENT)
    except pytest.skip.Exception as skipped:  # what a test does, where this is a program
        raise SystemExit(skipped.msg) from None


def run(request: Request, server: Server, *, rate: int, connections: int, seconds: int) -> Sample:
    """Offer a server `rate` requests a second; RuntimeError if it refuses any or answers none in time."""
    program = find()
    with tempfile.TemporaryDirectory() as directory:
        targets, found = Path(directory) / "targets.json", Path(directory) / "found"
        targets.write_text("".join(lines_of(request, server)), encoding="utf-8")
        before = cpu_seconds(server.pid)
        output(
            [
                *(program, "attack", "-format=json", f"-targets={targets}", f"-output={found}"),
                *(f"-rate={rate}/s", f"-duration={seconds}s", f"-timeout={_PATIENCE}s"),
                *(f"-connections={connections}", f"-max-connections={connections}"),
                *("-http2=false", "-redirects=-1", "-max-body=0"),
            ],
            seconds + 2 * _PATIENCE,
        )
        spent = cpu_seconds(server.pid) - before
        printed = output([program, "encode", "-to=csv", found], 2 * _PATIENCE)
    return read(printed.splitlines(), rate, spent)


def lines_of(request: Request, server: Server) -> Iterable[str]:
    """Yield a line of JSON for each address that the requests go round."""
    headers = {name: [value] for name, value in server.headers(request).items()}
    body = base64.b64encode(request.body.encode()).decode()
    for number in range(SPREAD if "{n}" in request.path else 1):
        url = f"{server.address}/v1/{request.path.replace('{n}', str(number))}"
        yield json.dumps({"method": request.method, "url": url, "body": body, "header": headers}) + "\n"


def read(lines: Iterable[str], rate: int, spent: float) -> Sample:
    """Return what vegeta's CSV says of requests due at `rate` a second, which took `spent` seconds of CPU in all."""
    started, latencies, numbers = [], [], []
    for fields in csv.reader(lines):
        if not fields[1].startswith("2"):
            raise RuntimeError(f"the server refused a request: {fields[1]} {fields[5]}")
        started.append(int(fields[0]))
        latencies.append(int(fields[2]))
        numbers.append(int(fields[8]))
    if not numbers:
        raise RuntimeError("vegeta sent nothing")
    since_due = [ns / 1e3 for ns in from_schedule(started, latencies, numbers, _SECOND // rate)]
    return {
        "offered": (len(numbers) - 1) * _SECOND / max(1, max(started) - min(started)),
        "cpu": spent * 1e6 / len(numbers),
        "p50": percentile(since_due, 0.5),
        "p99": percentile(since_due, 0.99),
    }


def from_schedule(
    started: Sequence[int], latencies: Sequence[int], numbers: Sequence[int], interval: int
) -> list[int]:
    """Return each request's time from when it was due to its answer; all in nanoseconds.

    Request number *n* was due *n* intervals after number 0. The one that was sent most promptly sets the clock.
    """
    late = [start - number * interval for start, number in zip(started, numbers, strict=True)]
    origin = min(late)
    return [latency + delay - origin for latency, delay in zip(latencies, late, strict=True)]
