"""Cases under load: each on every server in turn, so that what else the machine does falls on all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

import click

from tests.bench import vegeta, wrk
from tests.bench.cases import SOME, Case, Request
from tests.bench.results import HALF_LOAD, OURS, REFERENCE, Row, Sample, Series, series_of, spread
from tests.bench.servers import Server

#: Connections at a constant rate: room for what waits behind a slow answer, and yet bounded.
HALF_LOAD_CONNECTIONS: Final = 64


class Plan(NamedTuple):
    """How much is measured."""

    rounds: int
    seconds: int
    connections: Sequence[int] = ()  # instead of those of the case
    half_load: bool = True


#: Runs a request on a server.
Run = Callable[[Request, Server], Sample]


def measure(case: Case, servers: Sequence[Server], row: Row, plan: Plan) -> Iterator[list[Series]]:
    """Yield what was found at each number of connections and, where asked for, at half the reference's rate.

    `row` says what kind of node our server is. What a server refuses is said and left out.
    """
    taking = [(server, request) for server in servers if (request := _prepared(case, server)) is not None]
    if not any(server.name == OURS for server, _ in taking):
        return
    for width in plan.connections or case.connections:
        found = _in_turns(row._replace(connections=width), taking, plan.rounds, _at_most(width, plan.seconds))
        if found:
            yield found
        rate = _half_rate(found) if case.half_load and plan.half_load and width == SOME[0] else 0
        if rate:
            named = Row(case.name + HALF_LOAD, row.store, row.workers, HALF_LOAD_CONNECTIONS)
            if slow := _in_turns(named, taking, plan.rounds, _at_rate(rate, plan.seconds)):
                yield slow


def _prepared(case: Case, server: Server) -> Request | None:
    """Return the case's request after `server` has taken it once; None, and a line, if it refuses."""
    try:
        request = case.make(server.send)
        server.send(request.method, request.path.replace("{n}", "0"), request.body)
    except RuntimeError as refused:
        click.echo(f"{case.name}: refused by {server.name}: {str(refused)[:100]}")
        return None
    return request


def _in_turns(row: Row, taking: Sequence[tuple[Server, Request]], rounds: int, run: Run) -> list[Series]:
    samples: dict[str, list[Sample]] = {server.name: [] for server, _ in taking}
    try:
        for _ in range(rounds):
            for server, request in taking:
                samples[server.name].append(run(request, server))
    except RuntimeError as failed:
        click.echo(f"{row.case}, {row.connections} connections: {failed}")
        return []
    return series_of(row, samples)


def _at_most(connections: int, seconds: int) -> Run:
    return lambda request, server: wrk.run(request, server, connections=connections, seconds=seconds)


def _at_rate(rate: int, seconds: int) -> Run:
    return lambda request, server: vegeta.run(
        request, server, rate=rate, connections=HALF_LOAD_CONNECTIONS, seconds=seconds
    )


def _half_rate(found: Sequence[Series]) -> int:
    """Return half of the reference's rate, or 0 if it was not measured."""
    reached = [one for one in found if (one.server, one.measure) == (REFERENCE, "throughput")]
    return int(spread(reached[0].values).median / 2) if reached else 0
