"""`python -m tests.bench.dearest`: what a vault feels while another sends the dearest that each endpoint takes.

One vault encrypts, one request after the other on each of a few connections; another sends one row of the table of
`tests/support/dearest.py`, again and again. Each row shows the first vault's p99 beside that, and how many times it
is what it is without. The target: at most 5 times, and never above 250 ms. With `--workers 1`, both share one loop.

The load comes from processes of their own, on the same machine. What these cost the machine is not the node's doing:
with `--apart` they send to a second node, and the rows show what cores that are shared cost by themselves.
"""

from __future__ import annotations

import base64
import functools
import http.client
import multiprocessing
import os
import ssl
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from threading import Thread
from typing import Final, NamedTuple

import click

os.environ.setdefault("KMS_DEAREST_BYTES", str(30 << 20))

from tests.bench.results import percentile
from tests.bench.servers import STORES, send
from tests.support import certificates
from tests.support.dearest import BODIES, METHODS, Dear, preparation, rows
from tests.support.node import Node, free_port
from tests.support.tokens import Issuer, new_vault_id

#: Times what it is without, and milliseconds.
MOST_TIMES: Final = 5.0
MOST_MS: Final = 250.0
_BODY: Final = b'{"plaintext":"%b"}' % base64.b64encode(bytes(64))


class Place(NamedTuple):
    """A vault, of two that a node has. `trusted`: the certificate of its listener under TLS, PEM; empty without."""

    host: str
    port: int
    token: str
    trusted: str

    def connect(self) -> http.client.HTTPConnection:
        if self.trusted:
            return http.client.HTTPSConnection(self.host, self.port, context=_context(self.trusted), timeout=120)
        return http.client.HTTPConnection(self.host, self.port, timeout=120)


@functools.cache
def _context(trusted: str) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=trusted)


def _ask(connection: http.client.HTTPConnection, token: str, request: tuple[str, str, bytes]) -> int:
    method, path, body = request
    media = "application/merge-patch+json" if method == "PATCH" else "application/json"
    connection.request(method, f"/v1/{path}", body or None, {"X-Vault-Token": token, "Content-Type": media})
    response = connection.getresponse()
    response.read()
    return response.status


def _encrypt(place: Place, seconds: float, taken: list[float]) -> None:
    connection = place.connect()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        begun = time.perf_counter()
        _ask(connection, place.token, ("POST", "transit/encrypt/own", _BODY))
        taken.append((time.perf_counter() - begun) * 1e3)
    connection.close()


def _measure(place: Place, seconds: float, connections: int) -> list[float]:
    """Return the milliseconds of each encryption."""
    taken: list[float] = []
    threads = [Thread(target=_encrypt, args=(place, seconds, taken)) for _ in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return taken


def _attack(place: Place, method: str, dear: Dear) -> None:
    """Send a request without end; on a connection that fails, on another."""
    request = method, dear.path, dear.body()
    while True:
        connection = place.connect()
        try:
            while True:
                _ask(connection, place.token, request)
        except (OSError, http.client.HTTPException):
            connection.close()
            time.sleep(0.01)


@contextmanager
def _attacking(place: Place, method: str, dear: Dear, attackers: int) -> Iterator[None]:
    processes = [
        multiprocessing.Process(target=_attack, args=(place, method, dear), daemon=True) for _ in range(attackers)
    ]
    for process in processes:
        process.start()
    try:
        time.sleep(0.5)
        yield
    finally:
        for process in processes:
            process.terminate()
            process.join()


@contextmanager
def _serving(store: str, workers: int, *, tls: bool) -> Iterator[tuple[Place, Place]]:
    """Start a node; yield the vault that is measured, and one for what is dear."""
    issuer, vault_ids = Issuer(), (new_vault_id(), new_vault_id())
    with STORES[store]() as (directory, table):
        node = Node.for_issuer(directory, lambda _: table, issuer)
        node.settings = f"workers = {workers}"
        port, trusted = node.port, ""
        if tls:
            port, identity = free_port(), certificates.server()
            certificate, key = identity.files(directory, "server")
            node.listed, trusted = True, identity.pem
            node.further = (
                f'[[listeners]]\nhost = "127.0.0.1"\nport = {node.port}\n'
                f'[[listeners]]\nhost = "127.0.0.1"\nport = {port}\n'
                f'[listeners.tls]\ncertificate_file = "{certificate}"\nprivate_key_file = "{key}"\n'
            )
        node.start()
        try:
            for token in (issuer.cluster_operator(), *map(issuer.tenant_operator, vault_ids)):
                made = send(node.address, token, "PUT", "sys/init", {"secret_shares": 1, "secret_threshold": 1})
                send(node.address, token, "PUT", "sys/unseal", {"key": made["keys_base64"][0]})
            own, other = map(issuer.tenant_operator, vault_ids)
            send(node.address, own, "POST", "transit/keys/own", {"type": "aes256-gcm96"})
            for path, body in preparation():
                send(node.address, other, "POST", path, body.decode())
            yield Place("127.0.0.1", port, own, trusted), Place("127.0.0.1", port, other, trusted)
        finally:
            node.stop()


def _requests(only: str) -> Iterator[tuple[str, str, Dear]]:
    for (kind, pattern, operation), dear in rows().items():
        for number, request in enumerate(dear):
            name = f"{METHODS[operation]} {kind}/{pattern} #{number}"
            if only in name:
                yield name, METHODS[operation], request
    for name, body in BODIES.items():
        if only in name:
            yield name, "POST", Dear("transit/keys/aes/config", body)


@click.command()
@click.option("--seconds", default=2.0, show_default=True, help="Length of a run.")
@click.option("--connections", default=2, show_default=True, help="Of the vault that is measured.")
@click.option("--attackers", default=1, show_default=True, help="Connections of the other vault.")
@click.option("--only", default="", help="Rows whose name contains this.")
@click.option("--store", default="sqlite", show_default=True, type=click.Choice(sorted(STORES)))
@click.option("--workers", default=2, show_default=True, help="Processes of a node; one shares its loop with all.")
@click.option("--tls", is_flag=True, help="Both vaults are asked under TLS.")
@click.option("--apart", is_flag=True, help="Send what is dear to a node of its own: what the machine alone costs.")
@click.option("--check", is_flag=True, help="Exit with 1 where the target is missed.")
def main(
    *,
    seconds: float,
    connections: int,
    attackers: int,
    only: str,
    store: str,
    workers: int,
    tls: bool,
    apart: bool,
    check: bool,
) -> None:
    """Show p50 and p99 of one vault's encryptions beside the dearest requests of another."""
    missed: list[str] = []
    with ExitStack() as nodes:
        own_vault, other_vault = nodes.enter_context(_serving(store, workers, tls=tls))
        if apart:
            _, other_vault = nodes.enter_context(_serving(store, workers, tls=tls))
        _measure(own_vault, seconds / 2, connections)
        base = _measure(own_vault, 2 * seconds, connections)
        own = percentile(base, 0.99)
        click.echo(_line("alone", base, own))
        for name, method, dear in _requests(only):
            with _attacking(other_vault, method, dear, attackers):
                taken = _measure(own_vault, seconds, connections)
            click.echo(_line(name, taken, own))
            p99 = percentile(taken, 0.99)
            if p99 > MOST_MS or p99 > MOST_TIMES * own:
                missed.append(name)
    click.echo(f"{len(missed)} rows above {MOST_TIMES:.0f} times, or {MOST_MS:.0f} ms")
    if missed and check:
        raise SystemExit(1)


def _line(name: str, taken: Sequence[float], own: float) -> str:
    p50, p99 = percentile(taken, 0.5), percentile(taken, 0.99)
    return f"{p50:8.2f} {p99:8.2f} ms {p99 / own:6.1f} x {len(taken):7d}  {name}"


if __name__ == "__main__":
    main()
