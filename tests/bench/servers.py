"""The servers under load: our node, and a reference server where one is named."""

from __future__ import annotations

import json
import os
import re
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.support.fdb_cluster import FdbCluster, absent
from tests.support.node import Node, sqlite_table
from tests.support.tokens import Issuer, new_vault_id


@dataclass(frozen=True)
class Server:
    """A server that answers, ready for cases."""

    name: str
    address: str
    token: str
    pid: int

    def send(self, method: str, path: str, body: Mapping[str, Any] | str | None = None) -> dict[str, Any]:
        """Send one request and return the answer's `data`, or the bare answer; RuntimeError if it is refused."""
        answer = send(self.address, self.token, method, path, body)
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
def ours(directory: Path, store: str, workers: int) -> Iterator[Server]:
    """Start a node on a new store in `directory` (`sqlite` or `foundationdb`), with one tenant unsealed."""
    issuer, vault_id = Issuer(), new_vault_id()
    with STORES[store](directory) as table:
        node = Node.for_issuer(directory, lambda _: table, issuer)
        node.settings = f"workers = {workers}" if workers else ""
        node.start()
        try:
            for token in (issuer.cluster_operator(), issuer.tenant_operator(vault_id)):
                made = send(node.address, token, "PUT", "sys/init", {"secret_shares": 1, "secret_threshold": 1})
                send(node.address, token, "PUT", "sys/unseal", {"key": made["keys_base64"][0]})
            yield Server("ours", node.address, issuer.tenant(vault_id), node.pid)
        finally:
            node.stop()


@contextmanager
def _sqlite(directory: Path) -> Iterator[str]:
    yield sqlite_table(directory)


@contextmanager
def _foundationdb(directory: Path) -> Iterator[str]:
    missing = absent()
    if missing is not None:
        raise SystemExit(missing)
    cluster = FdbCluster(directory)
    cluster.start()
    try:
        yield f'cluster_file_path = "{cluster.cluster_file}"'
    finally:
        cluster.kill()


#: Each makes a new, empty store in a directory and gives its `[cluster]` table.
STORES = {"sqlite": _sqlite, "foundationdb": _foundationdb}


@contextmanager
def reference() -> Iterator[Server | None]:
    """Yield the server that KMS_REFERENCE_ADDR names (token in KMS_REFERENCE_TOKEN, default `root`), if any."""
    address = os.environ.get("KMS_REFERENCE_ADDR")
    if not address:
        yield None
        return
    server = Server("reference", address, os.environ.get("KMS_REFERENCE_TOKEN", "root"), _listener(address))
    for path, engine in (("transit", {"type": "transit"}), ("secret", {"type": "kv", "options": {"version": "2"}})):
        if f"{path}/" not in server.send("GET", "sys/mounts"):
            server.send("POST", f"sys/mounts/{path}", engine)
    yield server


def _listener(address: str) -> int:
    """Return the process that listens on the port of a loopback address."""
    port = f":{urlsplit(address).port:04X}"
    for table in ("tcp", "tcp6"):
        for line in (Path("/proc/net") / table).read_text(encoding="ascii").splitlines()[1:]:
            fields = line.split()
            if fields[1].endswith(port) and fields[3] == "0A":
                return _owner(f"socket:[{fields[9]}]")
    raise RuntimeError(f"nobody listens on {address}")


def _owner(socket: str) -> int:
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if str(link.readlink()) == socket:
                return int(re.findall(r"/proc/(\d+)/", str(link))[0])
        except OSError:
            continue
    raise RuntimeError("the process that listens cannot be seen")
