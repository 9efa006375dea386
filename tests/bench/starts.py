"""How long a node takes from its start to its first answer, and the memory of its processes then."""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterator

from tests.bench.processes import resident_bytes
from tests.bench.results import Row, Sample, Series, series_of
from tests.bench.servers import STORES
from tests.support.node import Node, free_port
from tests.support.tokens import Issuer

STARTED, IDLE = "start to first answer", "idle, largest process"


class Client:
    """One connection that is kept."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)

    def reconnect(self) -> None:
        """Make another connection at the next request: a server closes one that was idle for long."""
        self._connection.close()

    def microseconds(self, path: str, token: str) -> float:
        """Send a request, which must succeed, and return how long the answer took."""
        started = time.perf_counter()
        self._connection.request("GET", path, headers={"X-Vault-Token": token})
        answer = self._connection.getresponse()
        body = answer.read()
        if answer.status != http.HTTPStatus.OK:
            raise RuntimeError(f"{path}: {answer.status} {body.decode()}")
        return (time.perf_counter() - started) * 1e6


def measure(store: str, workers: int, rounds: int) -> Iterator[list[Series]]:
    """Start a node so often on an empty store."""
    issuer = Issuer()
    with STORES[store]() as (directory, table):
        node = Node.for_issuer(directory, lambda _: table, issuer)
        node.settings = f"workers = {workers}"
        samples = start_often(node, issuer, rounds)
    yield from as_series(samples, store, workers)


def as_series(samples: list[Sample], store: str, workers: int, suffix: str = "") -> Iterator[list[Series]]:
    """Yield the times of starts and the memory after them; the suffix tells one kind of store from another."""
    for case, measured in ((STARTED, "seconds"), (IDLE, "megabytes")):
        runs = [{measured: sample[measured]} for sample in samples]
        yield series_of(Row(case + suffix, store, workers), {"ours": runs})


def start_often(node: Node, issuer: Issuer, rounds: int) -> list[Sample]:
    """Start and stop the node, after a first start that makes the store and does not count."""
    token = issuer.cluster_operator()
    return [_start(node, token) for _ in range(rounds + 1)][1:]


def _start(node: Node, token: str) -> Sample:
    node.port, node.metrics_port = free_port(), free_port()
    started = time.monotonic()
    node.start()
    try:
        Client(node.port).microseconds("/v1/sys/seal-status", token)
        taken = time.monotonic() - started
        return {"seconds": taken, "megabytes": resident_bytes(node.pid)[-1] / 1e6}
    finally:
        node.stop()
