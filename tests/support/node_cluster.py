"""Three nodes over one database, and one tenant that is unsealed on all of them."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.support.api import Answer, Api, unseal
from tests.support.databases import Database
from tests.support.node import Node
from tests.support.tenant import Tenant, make_tenant
from tests.support.tokens import Issuer

SIZE: Final = 3


@dataclass(frozen=True)
class NodeCluster:
    """Nodes that were initialised by all of them at once: `inits` are the answers to that."""

    database: Database
    nodes: tuple[Node, ...]
    issuer: Issuer
    inits: tuple[Answer, ...]

    @property
    def shares(self) -> list[str]:
        """The master key's, as the winner of the initialisation told them."""
        (shares,) = [answer.json["keys_base64"] for answer in self.inits if answer.status == 200]
        return list(shares)

    def unseal(self, node: Node) -> None:
        """Unseal a node that was started."""
        unseal(Api(node.address, self.issuer.cluster_operator()), self.shares)

    def restart(self, node: Node) -> None:
        """Start a node that was killed, and unseal it."""
        node.start()
        self.unseal(node)

    def callers(self, token: str) -> list[Api]:
        """Return callers of each node."""
        return [Api(node.address, token) for node in self.nodes]

    def make_tenant(self, vault_id: str | None = None) -> Tenant:
        """Return a new tenant, initialised and unsealed at the first node."""
        return make_tenant(self.nodes[0], self.issuer, vault_id)


@contextmanager
def node_cluster(database: Database, directory: Path, settings: str = "") -> Iterator[NodeCluster]:
    """Run three nodes with the top-level `settings` of the configuration, initialised and unsealed."""
    issuer = Issuer()
    nodes = tuple(_node(directory / f"node-{number}", database, issuer, settings) for number in range(SIZE))
    with ThreadPoolExecutor(SIZE) as threads:
        try:
            list(threads.map(Node.start, nodes))
            inits = tuple(threads.map(lambda node: _initialise(node, issuer), nodes))
            cluster = NodeCluster(database, nodes, issuer, inits)
            list(threads.map(cluster.unseal, nodes))
            yield cluster
            codes = list(threads.map(Node.stop, nodes))
        finally:
            for node in nodes:
                node.close()
    assert codes == [0] * SIZE
    for node in nodes:
        assert "Traceback" not in node.log, node.log


def _node(directory: Path, database: Database, issuer: Issuer, settings: str) -> Node:
    directory.mkdir()
    return Node(directory, database.table, *issuer.keys.public, settings=settings, forked=True)


def _initialise(node: Node, issuer: Issuer) -> Answer:
    operator = Api(node.address, issuer.cluster_operator())
    return operator.put("sys/init", {"secret_shares": 5, "secret_threshold": 3})
