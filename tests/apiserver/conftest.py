"""A node, the program beside the API server, etcd, and a Kubernetes API server: all of them real."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.support.api import Api, initialise, unseal
from tests.support.kubernetes_cluster import ApiServer, Etcd, api_server_program
from tests.support.kubernetes_program import KubernetesProgram, narrowed
from tests.support.node import Node, sqlite_table
from tests.support.tenant import Tenant, make_tenant
from tests.support.tokens import Issuer

_FURTHER = '\n[tenants]\nlogin_urls = ["127.0.0.0/8"]\n'
SECRETS = "/api/v1/namespaces/default/secrets"
ACCOUNTS = "/api/v1/namespaces/default/serviceaccounts"


@dataclass
class Cluster:
    """All of it, and what users of a Kubernetes cluster do."""

    node: Node
    tenant: Tenant
    program: KubernetesProgram
    etcd: Etcd
    server: ApiServer
    operator: Api
    shares: list[str]
    texts: dict[str, str] = field(default_factory=dict)  # of secrets that were written, by name

    def start_node(self) -> None:
        """Start it, and unseal it."""
        self.node.start()
        unseal(self.operator, self.shares)
        unseal(self.tenant.operator, self.tenant.shares)

    def write(self, name: str) -> None:
        """Make a secret."""
        text = self.texts[name] = f"the text of {name}"
        data = {"text": base64.b64encode(text.encode()).decode()}
        self.server.done("POST", SECRETS, {"metadata": {"name": name}, "data": data})

    def write_again(self, name: str) -> None:
        """Write a secret as it is, as a migration of the storage does."""
        self.server.done("PUT", f"{SECRETS}/{name}", self.server.done("GET", f"{SECRETS}/{name}"))

    def read(self, name: str) -> str:
        found = self.server.done("GET", f"{SECRETS}/{name}")
        return base64.b64decode(found["data"]["text"]).decode()

    def read_all(self) -> dict[str, str]:
        """Return what `texts` should be, by a list."""
        found = self.server.done("GET", SECRETS)["items"]
        return {each["metadata"]["name"]: base64.b64decode(each["data"]["text"]).decode() for each in found}

    def stored(self, name: str) -> bytes:
        """Return what etcd has of a secret."""
        return self.etcd.raw(f"/registry/secrets/default/{name}")

    def make_account(self, name: str) -> None:
        self.server.done("POST", ACCOUNTS, {"metadata": {"name": name}})

    def account_token(self, name: str, *audiences: str) -> str:
        """Return a new token of a service account, for the API where nothing else is said."""
        spec: dict[str, Any] = {"expirationSeconds": 3600, "audiences": list(audiences)}
        found = self.server.done("POST", f"{ACCOUNTS}/{name}/token", {"spec": spec})
        return str(found["status"]["token"])


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    built, directory, issuer = api_server_program(), tmp_path_factory.mktemp("kubernetes"), Issuer()
    with contextlib.ExitStack() as stack:
        node = Node.for_issuer(directory, sqlite_table, issuer, further=_FURTHER)
        stack.callback(node.close)
        node.start()
        operator = Api(node.address, issuer.cluster_operator())
        shares: list[str] = initialise(operator)["keys_base64"]
        unseal(operator, shares)
        tenant = make_tenant(node, issuer)
        for name, kind in (("seal", "aes256-gcm96"), ("accounts", "ecdsa-p256")):
            assert tenant.root.post(f"transit/keys/{name}", {"type": kind}).status == 200
        program = _program(directory, node, issuer.tenant(tenant.vault_id))
        stack.callback(program.close)
        program.start()
        etcd = Etcd(built, directory / "etcd")
        stack.callback(etcd.close)
        etcd.start()
        server = ApiServer(built, directory / "server", etcd, program.path, program.path)
        stack.callback(server.kill)
        server.start()
        cluster = Cluster(node, tenant, program, etcd, server, operator, shares)
        cluster.make_account("app")
        yield cluster
    assert "Traceback" not in node.log
    assert b"Traceback" not in program.told


def _program(directory: Path, node: Node, whole: str) -> KubernetesProgram:
    """Return the program, which both seals and signs, with a biscuit for these two keys."""
    token = directory / "kubernetes.token"
    narrowed(whole, token, ["seal", "accounts"])
    return KubernetesProgram(directory / "kms.sock", node.address, token, key="seal", signing_key="accounts")
