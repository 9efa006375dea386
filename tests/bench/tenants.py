"""Many tenants in one store: `python -m tests.bench.tenants --tenants 100000 --active 10000`.

A node of one worker is started on an empty store and on the filled one. Then tenants are woken over HTTP, one request
after the other on one connection, each with a biscuit of its own. Three kinds of request tell what costs what: to a
tenant that sleeps with a new token, to one awake with a new token, and to one awake with a known token.

The memory of a tenant is what one takes that comes with a new token, less what a new token of one awake takes. That
is read while the cache of verified tokens, 10,000, has room: for half of the tenants.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import statistics
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import click

from kms_actors.secret import SecretBytes
from tests.bench.servers import STORES
from tests.bench.tenant_store import fill
from tests.bench.wrk import process_tree
from tests.support.node import Node, free_port
from tests.support.tokens import Issuer

#: Answered from the store by the tenant's own controller.
_REQUEST: Final = "/v1/secret/config"
#: Verified tokens that a node keeps.
_TOKENS_KEPT: Final = 10_000
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
#: Seconds; longer than the tenants take to wake, so that none sleeps before the memory is read.
_IDLE: Final = 60.0


@dataclass(frozen=True)
class Figure:
    """One measured value, and the most it should be."""

    name: str
    value: float
    unit: str
    target: float | None = None


class Client:
    """One connection that is kept."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)

    def milliseconds(self, path: str, token: str) -> float:
        """Send a request, which must succeed, and return how long the answer took."""
        started = time.perf_counter()
        self._connection.request("GET", path, headers={"X-Vault-Token": token})
        answer = self._connection.getresponse()
        body = answer.read()
        if answer.status != http.HTTPStatus.OK:
            raise RuntimeError(f"{path}: {answer.status} {body.decode()}")
        return (time.perf_counter() - started) * 1e3


@click.command()
@click.option("--tenants", default=100_000, show_default=True, help="Tenants in the store.")
@click.option("--active", default=10_000, show_default=True, help="Tenants that are woken.")
@click.option("--starts", default=5, show_default=True, help="Starts on the empty and on the filled store.")
@click.option("--store", type=click.Choice(list(STORES)), default="sqlite", show_default=True)
@click.option("--output", type=click.Path(path_type=Path), help="Write the figures to this JSON file.")
def main(*, tenants: int, active: int, starts: int, store: str, output: Path | None) -> None:
    """Measure starts, cold tenants, and the memory of those awake."""
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory() as directory, STORES[store](Path(directory)) as table:
        for figure in measure(Path(directory), table, tenants=tenants, active=min(active, tenants), starts=starts):
            figures.append(figure)
            click.echo(_row(figure))
    if output is not None:
        output.write_text(json.dumps([asdict(figure) for figure in figures], indent=1), encoding="utf-8")


def measure(directory: Path, table: str, *, tenants: int, active: int, starts: int) -> Iterable[Figure]:
    """Yield the figures as they are found."""
    issuer, key = Issuer(), SecretBytes(os.urandom(32))
    node = _node(directory, table, issuer, key, active)
    yield _start_figure(node, issuer, 0, starts)
    started = time.monotonic()
    vault_ids = asyncio.run(fill(table, key, tenants))
    yield Figure(f"fill with {tenants:,} tenants", time.monotonic() - started, "s")
    yield _start_figure(node, issuer, tenants, starts)
    node.port = free_port()
    node.start()
    try:
        yield from _wake_all(node, issuer, vault_ids[:: max(1, tenants // active)][:active])
    finally:
        node.stop()


def _node(directory: Path, table: str, issuer: Issuer, key: SecretBytes, active: int) -> Node:
    key_file = directory / "master.key"
    key_file.write_text(key.reveal().hex(), encoding="ascii")
    node = Node.for_issuer(directory, lambda _: table, issuer, provider=f'key_file = "{key_file}"')
    node.provider_name = "static"
    node.settings = "workers = 1"
    node.further = f"\n[tenants]\nidle_seconds = {_IDLE}\nmax_active = {active}\n"
    return node


def _start_figure(node: Node, issuer: Issuer, tenants: int, starts: int) -> Figure:
    """Start and stop so often, after a first start that makes the store and does not count."""
    taken = []
    token = issuer.cluster_operator()
    for _ in range(starts + 1):
        node.port, node.metrics_port = free_port(), free_port()
        started = time.monotonic()
        node.start()
        Client(node.port).milliseconds("/v1/sys/seal-status", token)
        taken.append(time.monotonic() - started)
        node.stop()
    return Figure(f"start to first answer, {tenants:,} tenants", statistics.median(taken[1:]), "s", 1.0)


def _wake_all(node: Node, issuer: Issuer, vault_ids: Sequence[str]) -> Iterable[Figure]:
    client = Client(node.port)
    count = min(len(vault_ids), _TOKENS_KEPT) // 2
    idle = _resident(node)
    yield Figure("idle memory of the largest process", idle[-1] / 1e6, "MB", 90.0)
    tokens = [issuer.tenant(vault_id) for vault_id in vault_ids]
    cold = [client.milliseconds(_REQUEST, token) for token in tokens[:count]]
    with_tokens = _resident(node)
    new = [client.milliseconds(_REQUEST, issuer.tenant(vault_id)) for vault_id in vault_ids[:count]]
    with_more_tokens = _resident(node)
    known = [client.milliseconds(_REQUEST, tokens[number]) for number in range(count)]
    cold += [client.milliseconds(_REQUEST, token) for token in tokens[count:]]
    awake = _resident(node)
    yield from _latencies("cold tenant, new token", cold, 15.0)
    yield from _latencies("awake tenant, new token", new)
    yield from _latencies("awake tenant, known token", known)
    with_token, of_token = (_each(idle, with_tokens, count), _each(with_tokens, with_more_tokens, count))
    yield Figure("memory a token", of_token, "kB")
    yield Figure("memory a tenant", with_token - of_token, "kB", 12.0)
    yield Figure(f"memory with {len(vault_ids):,} awake", awake[-1] / 1e6, "MB")
    _wait_until_all_sleep(node)
    asleep = _resident(node)
    yield Figure("memory when all sleep again", asleep[-1] / 1e6, "MB")
    for token in tokens:
        client.milliseconds(_REQUEST, token)
    yield Figure("memory when all were woken again", _resident(node)[-1] / 1e6, "MB")


def _latencies(name: str, milliseconds: Sequence[float], target: float | None = None) -> Iterable[Figure]:
    ordered = sorted(milliseconds)
    yield Figure(f"{name}, p50", ordered[len(ordered) // 2], "ms")
    yield Figure(f"{name}, p99", ordered[int(len(ordered) * 0.99)], "ms", target)


def _resident(node: Node) -> list[int]:
    """Return the bytes of memory of the node's processes, the largest last."""
    statm = [(Path("/proc") / str(pid) / "statm").read_text(encoding="ascii") for pid in process_tree(node.pid)]
    return sorted(int(line.split()[1]) * _PAGE for line in statm)


def _each(before: Sequence[int], after: Sequence[int], count: int) -> float:
    return (sum(after) - sum(before)) / count / 1e3


def _wait_until_all_sleep(node: Node) -> None:
    deadline = time.monotonic() + 2 * _IDLE
    while _awake(node) > 0:
        if time.monotonic() > deadline:
            raise RuntimeError("the tenants do not sleep")
        time.sleep(1.0)


def _awake(node: Node) -> float:
    connection = http.client.HTTPConnection("127.0.0.1", node.metrics_port, timeout=30)
    connection.request("GET", "/metrics")
    lines = connection.getresponse().read().decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("kms_active_tenants"))


def _row(figure: Figure) -> str:
    target = "" if figure.target is None else f"  (at most {figure.target:g})"
    return f"{figure.name:44} {figure.value:10.2f} {figure.unit}{target}"


if __name__ == "__main__":
    main()
