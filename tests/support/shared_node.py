"""A node that many tests share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.api import Api, initialise, unseal
from tests.support.node import Node, StoreTable
from tests.support.tokens import Issuer


@contextmanager
def shared_node(directory: Path, table: StoreTable, issuer: Issuer, further: str = "") -> Iterator[Node]:
    """Start a node, initialised and unsealed; it must end well."""
    node = Node.for_issuer(directory, table, issuer, further=further, forked=True)
    node.start()
    operator = Api(node.address, issuer.cluster_operator())
    unseal(operator, initialise(operator)["keys_base64"])
    yield node
    code = node.stop()
    assert code == 0, node.log
    assert "Traceback" not in node.log
