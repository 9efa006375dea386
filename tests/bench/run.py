"""`make bench`: our node, and a reference server, under the same load in the same run.

Runs are interleaved (ours, reference, ours, …), so that what else the machine does falls on both. Each row has the
median of the rounds and, in brackets, the least and the most. Ratios hold across machines; absolute figures do not.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import click

from tests.bench import load, policies, starts, table, tenants, tls, vegeta, wrk
from tests.bench.cases import passes
from tests.bench.processes import none_left
from tests.bench.report import show
from tests.bench.results import Results, Row, Series, save
from tests.bench.servers import STORES, Server, missing, ours, reference

_CORES: Final = os.cpu_count() or 1


class Options(NamedTuple):
    """What is measured, and how much of it."""

    plan: load.Plan
    only: str
    stores: Sequence[str]
    workers: int
    tenants: int
    active: int


#: Measures, and yields what belongs in one row.
Stage = Callable[[Options, Server | None], Iterator[list[Series]]]


def _cases(options: Options, other: Server | None) -> Iterator[list[Series]]:
    click.echo(table.header())
    for store, fixed_workers, cases in passes(options.only, options.stores):
        workers = fixed_workers or options.workers
        with ours(store, workers) as node:
            servers = [node] if other is None else [node, other]
            for case in cases:
                yield from load.measure(case, servers, Row(case.name, store, workers), options.plan)


def _starts(options: Options, _: Server | None) -> Iterator[list[Series]]:
    for store in options.stores:
        for workers in dict.fromkeys((1, options.workers)):
            yield from starts.measure(store, workers, options.plan.rounds)


def _tenants(options: Options, _: Server | None) -> Iterator[list[Series]]:
    for store in options.stores:
        yield from tenants.measure(store, options.tenants, options.active, options.plan.rounds)


def _policies(options: Options, _: Server | None) -> Iterator[list[Series]]:
    for series in policies.measure(options.plan.rounds):
        yield [series]


def _tls(options: Options, other: Server | None) -> Iterator[list[Series]]:
    yield from tls.measure(options.workers, options.plan, against=other is not None)


STAGES: Final[Mapping[str, Stage]] = {
    "cases": _cases,
    "starts": _starts,
    "tenants": _tenants,
    "policies": _policies,
    "tls": _tls,
}


def _several(known: Mapping[str, object]) -> Callable[[str], list[str]]:
    """Return what reads several of a few words, separated by commas."""

    def words(value: str) -> list[str]:
        found = value.split(",")
        if unknown := set(found).difference(known):
            raise click.BadParameter(f"{', '.join(unknown)}: not of {', '.join(known)}")
        return found

    return words


@click.command()
@click.option("--seconds", default=2, show_default=True, help="Length of one run under load.")
@click.option("--rounds", default=5, show_default=True, help="Runs of each server a case; starts of a node.")
@click.option(
    "--stages", type=_several(STAGES), default=",".join(STAGES), show_default=True, help="What is measured."
)
@click.option(
    "--store", "stores", type=_several(STORES), default=",".join(STORES), show_default=True, help="On which."
)
@click.option("--only", default="", help="Cases whose name contains this.")
@click.option("--connections", default="", help="Numbers of connections, as in 1,16, instead of each case's own.")
@click.option("--half-load/--no-half-load", default=True, show_default=True, help="Runs at a constant rate, too.")
@click.option(
    "--reference/--no-reference", "with_reference", default=True, show_default=True, help="Compare with a reference."
)
@click.option("--workers", default=_CORES, show_default="one a core", help="Worker processes of our node.")
@click.option("--tenants", "tenant_count", default=100_000, show_default=True, help="Tenants in the store.")
@click.option("--active", default=10_000, show_default=True, help="Tenants that are woken.")
@click.option("--check", is_flag=True, help="Compare with the targets; exit with 1 if one is missed or not measured.")
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("tests/bench/results/latest.json"),
    show_default=True,
    help="Where all samples go, row by row, and the plot beside it.",
)
def main(
    *,
    seconds: int,
    rounds: int,
    stages: Sequence[str],
    stores: Sequence[str],
    only: str,
    connections: str,
    half_load: bool,
    with_reference: bool,
    workers: int,
    tenant_count: int,
    active: int,
    check: bool,
    output: Path,
) -> None:
    """Measure throughput, latency and the server's CPU a request, starts, cold tenants, and memory."""
    widths = [int(width) for width in connections.split(",") if width]
    options = Options(
        load.Plan(rounds, seconds, widths, half_load),
        only,
        [store for store in stores if _present(store)],
        workers,
        tenant_count,
        min(active, tenant_count),
    )
    found: list[Series] = []
    with reference(wanted=with_reference) as other:
        _require_generators(stages, at_half_load=half_load and other is not None)
        about = _about(other)
        for stage in stages:
            for series in STAGES[stage](options, other):
                click.echo(table.line(series))
                found += series
                save(Results(workers, found, about), output)
    if not found:
        raise click.ClickException("nothing was measured")
    if not show(Results(workers, found, about), output.with_suffix(".svg"), check=check):
        raise SystemExit(1)


def _present(store: str) -> bool:
    lacking = missing(store)
    if lacking is not None:
        click.echo(f"NOT MEASURED ON {store}: {lacking}", err=True)
    return lacking is None


def _require_generators(stages: Sequence[str], *, at_half_load: bool) -> None:
    """End at once, not after an hour, where one is missing."""
    if {"cases", "tls"}.intersection(stages):
        wrk.require()
        if at_half_load and "cases" in stages:
            vegeta.find()


def _about(other: Server | None) -> dict[str, str]:
    about = {
        "date": time.strftime("%Y-%m-%d %H:%M"),
        "machine": f"{_CORES} cores, load {os.getloadavg()[0]:.1f} before, Python {platform.python_version()}",
    }
    if other is not None:
        status = other.send("GET", "sys/seal-status")
        about["reference"] = f"reference {status['version']} on {status['storage_type']}"
    return about


if __name__ == "__main__":
    with none_left():
        main()
