"""`make bench`: our node, and a reference server if there is one, under the same load in the same run.

Runs are interleaved (ours, reference, ours, …), so that what else the machine does falls on both. The table has the
median of the rounds and, in brackets, the least and the most. Ratios hold across machines; absolute figures do not.
"""

from __future__ import annotations

import json
import statistics
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click

from tests.bench import wrk
from tests.bench.cases import CASES, Case, Request
from tests.bench.servers import Server, ours, reference
from tests.bench.wrk import Sample

Samples = dict[tuple[str, int], dict[str, list[Sample]]]


@click.command()
@click.option("--seconds", default=3, show_default=True, help="Length of one run.")
@click.option("--rounds", default=5, show_default=True, help="Runs of each server a case.")
@click.option("--connections", default="16", show_default=True, help="Comma-separated numbers of connections.")
@click.option("--only", default="", help="Cases whose name contains this.")
@click.option("--store", type=click.Choice(["sqlite", "foundationdb"]), default="sqlite", show_default=True)
@click.option("--workers", default=0, help="Worker processes of our node; 0 leaves it to the node.")
@click.option("--output", type=click.Path(path_type=Path), help="Write all samples to this JSON file.")
def main(
    *, seconds: int, rounds: int, connections: str, only: str, store: str, workers: int, output: Path | None
) -> None:
    """Measure throughput, latency and the server's CPU a request."""
    wrk.require()
    cases = [case for case in CASES if only in case.name]
    widths = [int(width) for width in connections.split(",")]
    with (
        tempfile.TemporaryDirectory() as directory,
        ours(Path(directory), store, workers) as node,
        reference() as other,
    ):
        servers = [node] if other is None else [node, other]
        samples = measure(servers, cases, widths, rounds=rounds, seconds=seconds)
    if output is not None:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(json.dumps(_plain(samples), indent=1), encoding="utf-8")


def measure(
    servers: Sequence[Server], cases: Sequence[Case], widths: Sequence[int], *, rounds: int, seconds: int
) -> Samples:
    """Run every case at every width on every server, and print a line for each."""
    samples: Samples = {}
    click.echo(_HEADER)
    for case in cases:
        taking = [(server, request) for server in servers if (request := _prepared(case, server)) is not None]
        for width in widths if taking else ():
            found = samples[case.name, width] = defaultdict(list)
            for _ in range(rounds):
                for server, request in taking:
                    sample = wrk.run(
                        request, server.address, server.token, server.pid, connections=width, seconds=seconds
                    )
                    found[server.name].append(sample)
            if "ours" in found:
                click.echo(_row(case, width, found))
    return samples


def _prepared(case: Case, server: Server) -> Request | None:
    """Return the case's request after `server` has taken it once; None, and a line, if it refuses."""
    try:
        request = case.make(server.send)
        server.send(request.method, request.path.replace("{n}", "0"), request.body)
    except RuntimeError as refused:
        click.echo(f"{case.name:24} refused by {server.name}: {str(refused)[:100]}")
        return None
    return request


_HEADER = (
    f"{'case':24} {'conn':>4} {'requests/s':>22} {'CPU µs/request':>20} {'p50 µs':>8} {'p99 µs':>8}"
    "  against the reference"
)


def _row(case: Case, width: int, found: dict[str, list[Sample]]) -> str:
    mine = found["ours"]
    line = (
        f"{case.name:24} {width:4d}"
        f" {_spread([s.per_second for s in mine]):>22} {_spread([s.cpu_us for s in mine]):>20}"
        f" {_median([s.p50_us for s in mine]):8.0f} {_median([s.p99_us for s in mine]):8.0f}"
    )
    other = found.get("reference")
    if not other:
        return line
    faster = _median([s.per_second for s in mine]) / _median([s.per_second for s in other])
    cheaper = _median([s.cpu_us for s in other]) / _median([s.cpu_us for s in mine])
    return f"{line}  {faster:4.2f} times the throughput, {cheaper:4.2f} times less CPU"


def _median(values: list[float]) -> float:
    return statistics.median(values)


def _spread(values: list[float]) -> str:
    return f"{_median(values):.0f} ({min(values):.0f}…{max(values):.0f})"


def _plain(samples: Samples) -> list[dict[str, object]]:
    return [
        {"case": name, "connections": width, "server": server, "samples": [asdict(sample) for sample in runs]}
        for (name, width), found in samples.items()
        for server, runs in found.items()
    ]


if __name__ == "__main__":
    main()
