"""Nodes of several processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.processes.workers import connections, new_node, operator
from tests.support.api import initialise, unseal
from tests.support.node import Node
from tests.support.tenant import Tenant, make_tenant
from tests.support.tokens import Issuer


@pytest.fixture(scope="session")
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture(autouse=True)
def _connections() -> Iterator[None]:
    yield
    while connections:
        connections.pop().close()


@pytest.fixture
def start(tmp_path: Path, issuer: Issuer) -> Iterator[Callable[..., Node]]:
    """Starts nodes, sealed; they end with the test."""
    nodes: list[Node] = []

    def started(workers: int = 2, further: str = "", *, forked: bool = True) -> Node:
        directory = tmp_path / f"node-{len(nodes)}"
        directory.mkdir()
        nodes.append(new_node(directory, issuer, workers, further, forked=forked))
        nodes[-1].start()
        return nodes[-1]

    yield started
    for node in nodes:
        node.close()
        assert "Traceback" not in node.log


@pytest.fixture
def unsealed(start: Callable[..., Node], issuer: Issuer) -> tuple[Node, Tenant]:
    """A node with two workers and one tenant, both unsealed."""
    return _unsealed(start(), issuer)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, issuer: Issuer) -> Iterator[tuple[Node, Tenant]]:
    """Such a node for tests that leave it as it was."""
    node = new_node(tmp_path_factory.mktemp("node"), issuer)
    node.start()
    yield _unsealed(node, issuer)
    assert node.stop() == 0, node.log
    assert "Traceback" not in node.log


def _unsealed(node: Node, issuer: Issuer) -> tuple[Node, Tenant]:
    api = operator(node, issuer)
    unseal(api, initialise(api, 1, 1)["keys_base64"])
    tenant = make_tenant(node, issuer)
    assert tenant.user.post("secret/data/a", {"data": {"b": "c"}}).status == 200
    return node, tenant
