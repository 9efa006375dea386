"""The servers under load: our node, and a reference server."""

from __future__ import annotations

import json
import os
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kms_actors.auth.build import attenuate
from kms_actors.auth.principal import Capability
from tests.bench.cases import ATTENUATED, NOBODY, PLAIN, SERVICE, Request
from tests.bench.processes import listener
from tests.bench.results import OURS, REFERENCE
from tests.support.fdb_cluster import FdbCluster, absent
from tests.support.node import Node, sqlite_table
from tests.support.reference import ADDRESS, bao
from tests.support.reference import reference as running_reference
from tests.support.tokens import Issuer, new_vault_id

_HOUR = 3600


@dataclass(frozen=True)
class Server:
    """A server that answers, ready for cases."""

    name: str
    address: str
    pid: int
    tokens: Mapping[str, str] = field(repr=False)  # by kind
    prepared_at: str = ""  # where what cases need is made, if that is another address

    def token(self, kind: str) -> str:
        """Return a token of that kind, or the one there is."""
        return self.tokens.get(kind, self.tokens[PLAIN])

    def headers(self, request: Request) -> dict[str, str]:
        """Return the headers that a request is sent with."""
        sent = {"Content-Type": "application/json"}
        if request.closes:
            sent["Connection"] = "close"
        if request.holder != NOBODY:
            sent["X-Vault-Token"] = request.token or self.token(request.holder)
        return sent

    def send(self, method: str, path: str, body: Mapping[str, Any] | str | None = None) -> dict[str, Any]:
        """Send one request with the token that may do most; return the answer's `data`, or the bare answer.

        RuntimeError if it is refused.
        """
        answer = send(self.prepared_at or self.address, self.token(SERVICE), method, path, body)
        data: dict[str, Any] = answer.get("data") or answer
        return data


def send(address: str, token: str, method: str, path: str, body: Mapping[str, Any] | str | None) -> dict[str, Any]:
    """Send one request to `address`; raise RuntimeError with the server's words if it refuses."""
    encoded = (body if isinstance(body, str) else json.dumps(body)).encode() if body else None
    request = urllib.request.Request(f"{address}/v1/{path}", encoded, {"X-Vault-Token": token}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            raw = response.read()
    except urllib.error.HTTPError as error:
        raise RuntimeError(f"{method} {path}: {error.code} {error.read().decode()}") from None
    answer: dict[str, Any] = json.loads(raw) if raw else {}
    return answer


@contextmanager
def ours(store: str, workers: int, listeners: str = "", tables: str = "") -> Iterator[Server]:
    """Start a node on a new store (a key of STORES), with one tenant unsealed.

    It has listeners beside its own, and further tables in its configuration.
    """
    issuer, vault_id = Issuer(), new_vault_id()
    with STORES[store]() as (directory, table):
        node = Node.for_issuer(directory, lambda _: table, issuer)
        node.settings = f"workers = {workers}"
        node.further = f'\n[tenants]\ndefault_vault = "{vault_id}"\n{tables}'
        if listeners:
            node.listed = True
            node.further += f'[[listeners]]\nhost = "127.0.0.1"\nport = {node.port}\n{listeners}'
        node.start()
        try:
            for token in (issuer.cluster_operator(), issuer.tenant_operator(vault_id)):
                made = send(node.address, token, "PUT", "sys/init", {"secret_shares": 1, "secret_threshold": 1})
                send(node.address, token, "PUT", "sys/unseal", {"key": made["keys_base64"][0]})
            plain = issuer.tenant(vault_id)
            tokens = {PLAIN: plain, ATTENUATED: _narrowed(plain), SERVICE: made["root_token"]}
            yield Server(OURS, node.address, node.pid, tokens)
        finally:
            node.stop()


def _narrowed(token: str) -> str:
    """Return the token as an application would get it: for an hour, for some paths and operations."""
    return attenuate(
        token,
        now=time.time(),
        ttl=_HOUR,
        paths=("transit/encrypt/*", "secret/data/bench/*"),
        operations=(Capability.CREATE, Capability.READ, Capability.UPDATE),
    )


#: A directory, and the `[cluster]` table of a new, empty store.
Place = tuple[Path, str]


@contextmanager
def _sqlite() -> Iterator[Place]:
    with _directory() as directory:
        yield directory, sqlite_table(directory)


@contextmanager
def _foundationdb() -> Iterator[Place]:
    with _directory() as directory:
        cluster = FdbCluster(directory)
        cluster.start()
        try:
            yield directory, f'cluster_file_path = "{cluster.cluster_file}"'
        finally:
            cluster.kill()


@contextmanager
def _directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="kms-bench-") as directory:
        yield Path(directory)


#: Each makes a new, empty store and ends with it.
STORES = {"sqlite": _sqlite, "foundationdb": _foundationdb}


def missing(store: str) -> str | None:
    """Return what this machine lacks for a store, or None."""
    return absent() if store == "foundationdb" else None


@contextmanager
def reference(*, wanted: bool) -> Iterator[Server | None]:
    """Yield the reference server, on disk as ours is, or the one that the environment names.

    None where it is not wanted, or not there.
    """
    if not wanted or not (bao() or os.environ.get(ADDRESS)):
        yield None
        return
    with _directory() as directory, running_reference(directory, durable=True) as found:
        server = Server(REFERENCE, found.address, listener(found.address), {PLAIN: found.token})
        for path, engine in (
            ("transit", {"type": "transit"}),
            ("secret", {"type": "kv", "options": {"version": "2"}}),
        ):
            if f"{path}/" not in server.send("GET", "sys/mounts"):
                server.send("POST", f"sys/mounts/{path}", engine)
        yield server
