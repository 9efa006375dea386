"""Many tenants in one store: starts, what waking a tenant costs, and its memory. A node of one worker.

Tenants are woken over HTTP, one request after the other on one connection, each with a biscuit of its own. Three
kinds of request tell what costs what: to a tenant that sleeps with a new token, to one awake with a new token, and to
one awake with a known token.

The memory of a tenant is what one takes that comes with a new token, less what a new token of one awake takes. That
is read while the cache of verified tokens, 10,000, has room: for half of the tenants. Its keys are its keyring, whose
memory is read in a process of its own.
"""

from __future__ import annotations

import asyncio
import http.client
import multiprocessing
import os
import time
from collections.abc import Iterator, Sequence
from typing import Final

from kms_actors.cli.private_file import create_private
from kms_actors.keyring.keyring import Keyring
from tests.bench.processes import resident_bytes
from tests.bench.results import Row, Series, percentile, series_of
from tests.bench.servers import STORES, Place
from tests.bench.starts import Client, as_series, start_often
from tests.bench.tenant_store import fill
from tests.support.node import Node, free_port
from tests.support.tokens import Issuer, new_vault_id

#: Answered from the store by the tenant's own controller.
_REQUEST: Final = "/v1/secret/config"
#: Verified tokens that a node keeps.
_TOKENS_KEPT: Final = 10_000


def measure(store: str, tenants: int, active: int, rounds: int) -> Iterator[list[Series]]:
    """Fill a store, start a node on it and wake tenants; latencies are given for `rounds` parts of the tenants."""
    issuer = Issuer()
    with STORES[store]() as place:
        node = _node(place, issuer, active)
        start_often(node, issuer, 0)
        started = time.monotonic()
        vault_ids = asyncio.run(fill(place[1], place[0] / "master.key", tenants))
        yield _one(f"fill with {tenants:,} tenants", store, "seconds", time.monotonic() - started)
        yield from as_series(start_often(node, issuer, rounds), store, 1, f", {tenants:,} tenants")
        node.port = free_port()
        node.start()
        try:
            yield from _wake_all(node, issuer, vault_ids[:: max(1, tenants // active)][:active], store, rounds)
        finally:
            node.stop()


def _node(place: Place, issuer: Issuer, active: int) -> Node:
    directory, table = place
    key_file = directory / "master.key"
    create_private(key_file, os.urandom(32).hex())
    node = Node.for_issuer(directory, lambda _: table, issuer, provider=f'key_file = "{key_file}"')
    node.provider_name = "static"
    node.settings = "workers = 1"
    node.further = f"\n[tenants]\nidle_seconds = {_idle_seconds(active)}\nmax_active = {active}\n"
    return node


def _idle_seconds(active: int) -> float:
    """Return more than so many tenants take to wake, so that none sleeps before the memory is read."""
    return 20.0 + active / 100


def _one(case: str, store: str, measured: str, value: float) -> list[Series]:
    return series_of(Row(case, store), {"ours": [{measured: value}]})


def _wake_all(
    node: Node, issuer: Issuer, vault_ids: Sequence[str], store: str, rounds: int
) -> Iterator[list[Series]]:
    client = Client(node.port)
    count = min(len(vault_ids), _TOKENS_KEPT) // 2
    idle = resident_bytes(node.pid)
    tokens = [issuer.tenant(vault_id) for vault_id in vault_ids]
    cold = [client.microseconds(_REQUEST, token) for token in tokens[:count]]
    with_tokens = resident_bytes(node.pid)
    new = [client.microseconds(_REQUEST, issuer.tenant(vault_id)) for vault_id in vault_ids[:count]]
    with_more_tokens = resident_bytes(node.pid)
    known = [client.microseconds(_REQUEST, tokens[number]) for number in range(count)]
    cold += [client.microseconds(_REQUEST, token) for token in tokens[count:]]
    awake = resident_bytes(node.pid)
    for case, taken in (
        ("cold tenant, new token", cold),
        ("awake tenant, new token", new),
        ("awake tenant, known token", known),
    ):
        yield _latencies(Row(case, store), taken, rounds)
    with_token, of_token = _each(idle, with_tokens, count), _each(with_tokens, with_more_tokens, count)
    yield _one("a verified token", store, "kilobytes", of_token)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        keyring = pool.apply(keyring_kilobytes)
    yield _one("a keyring", store, "kilobytes", keyring)
    yield _one("an awake tenant beside its keys", store, "kilobytes", with_token - of_token - keyring)
    yield _one(f"largest process, {len(vault_ids):,} awake", store, "megabytes", awake[-1] / 1e6)
    _wait_until_all_sleep(node, 60.0 + _idle_seconds(len(vault_ids)))
    yield _one("largest process, all asleep again", store, "megabytes", resident_bytes(node.pid)[-1] / 1e6)
    client.reconnect()
    for token in tokens:
        client.microseconds(_REQUEST, token)
    yield _one("largest process, all awake again", store, "megabytes", resident_bytes(node.pid)[-1] / 1e6)


def keyring_kilobytes(count: int = 5000) -> float:
    """Return the memory of a keyring of one version, read from so many in this process."""
    dump = Keyring.generate(time.time(), owner=new_vault_id()).dump()
    before = resident_bytes(os.getpid())
    kept = [Keyring.load(dump) for _ in range(count)]
    return _each(before, resident_bytes(os.getpid()), len(kept))


def _latencies(row: Row, microseconds: Sequence[float], rounds: int) -> list[Series]:
    """Return p50 and p99 of each of so many equal parts."""
    parts = [microseconds[first::rounds] for first in range(min(rounds, len(microseconds)))]
    return series_of(row, {"ours": [{"p50": percentile(part, 0.5), "p99": percentile(part, 0.99)} for part in parts]})


def _each(before: Sequence[int], after: Sequence[int], count: int) -> float:
    """Return kilobytes."""
    return (sum(after) - sum(before)) / count / 1e3


def _wait_until_all_sleep(node: Node, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while _awake(node) > 0:
        if time.monotonic() > deadline:
            raise RuntimeError("the tenants do not sleep")
        time.sleep(1.0)


def _awake(node: Node) -> float:
    connection = http.client.HTTPConnection("127.0.0.1", node.metrics_port, timeout=30)
    connection.request("GET", "/metrics")
    lines = connection.getresponse().read().decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("kms_active_tenants"))
