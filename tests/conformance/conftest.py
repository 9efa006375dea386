"""Nodes for conformance tests: one that is unsealed and shared, and fresh ones."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conformance.victim import Caller, Victim
from tests.store.engines import parameters
from tests.support.api import Api
from tests.support.fdb_cluster import lent_cluster
from tests.support.node import NewNode, Node, StoreTable, sqlite_table
from tests.support.shared_node import shared_node
from tests.support.tenant import Tenant, make_tenant
from tests.support.tokens import Issuer


@pytest.fixture(scope="session", autouse=True)
def orderly_end() -> None:
    """End as at an interrupt when terminated, so that no node outlives the tests."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


#: Modules whose tests run on each engine; the others look at the HTTP edge, which knows no engine.
_ON_EACH_ENGINE = {"test_walk_vault_cli", "test_walk_hvac", "test_walk_curl", "test_kill"}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Have the walks run on both engines."""
    if "store_table" in metafunc.fixturenames:
        on_each = metafunc.module.__name__.rpartition(".")[2] in _ON_EACH_ENGINE
        metafunc.parametrize("store_table", parameters() if on_each else ["sqlite"], indirect=True, scope="module")


@pytest.fixture(scope="module")
def store_table(request: pytest.FixtureRequest) -> Iterator[StoreTable]:
    """The engine that the nodes of a module keep their data in; each node's store is new and its own."""
    if request.param == "sqlite":
        yield sqlite_table
        return
    with lent_cluster() as cluster:

        def table(_: Path) -> str:
            cluster.clear()  # tests have one node at a time
            return f'cluster_file_path = "{cluster.cluster_file}"'

        yield table


@pytest.fixture(scope="session")
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture
def new_node(tmp_path: Path, store_table: StoreTable, issuer: Issuer) -> Iterator[NewNode]:
    """Makes nodes on empty stores; they end with the test."""
    nodes: list[Node] = []

    def make(*, provider: str = "", further: str = "") -> Node:
        directory = tmp_path / f"node-{len(nodes)}"
        directory.mkdir()
        node = Node.for_issuer(directory, store_table, issuer, provider=provider, further=further, forked=True)
        nodes.append(node)
        node.start()
        return node

    yield make
    for node in nodes:
        node.close()
        assert "Traceback" not in node.log


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, store_table: StoreTable, issuer: Issuer) -> Iterator[Node]:
    """A node that many tests share: initialised and unsealed, and to be left so."""
    with shared_node(tmp_path_factory.mktemp("node"), store_table, issuer) as node:
        yield node


@pytest.fixture
def tenant(node: Node, issuer: Issuer) -> Tenant:
    """A tenant on the shared node that no other test sees."""
    return make_tenant(node, issuer)


@pytest.fixture(scope="module")
def prepared(node: Node, issuer: Issuer) -> Tenant:
    """A tenant with something of each kind; the tests of a module share it and leave these as they are."""
    tenant = make_tenant(node, issuer)
    user = tenant.user
    for version in range(1, 5):
        user.post("secret/data/creds", {"data": {"version": version}})
    user.post("secret/delete/creds", {"versions": [2]})
    user.post("secret/destroy/creds", {"versions": [1]})
    user.post("secret/metadata/strict", {"cas_required": True})
    user.post("secret/data/gone", {"data": {"a": "b"}})
    user.delete("secret/data/gone")
    user.post("transit/keys/orders")
    user.post("transit/keys/orders/rotate")
    user.post("transit/keys/orders/rotate")
    user.post("transit/keys/orders/config", {"min_decryption_version": 2, "min_encryption_version": 2})
    return tenant


@pytest.fixture
def user(prepared: Tenant) -> Api:
    return prepared.user


@pytest.fixture
def operator(prepared: Tenant) -> Api:
    return prepared.operator


@pytest.fixture(scope="module")
def victim(node: Node, issuer: Issuer) -> Victim:
    return Victim.make(node, issuer)


@pytest.fixture
def caller(node: Node) -> Iterator[Caller]:
    caller = Caller(node.address)
    yield caller
    caller.close()


@pytest.fixture(scope="module")
def looked(victim: Victim) -> Iterator[Callable[[], None]]:
    """Look at what the node has told, if the last look is a second old, and in the end.

    Logs and metrics forget nothing, and to make the latter costs a node more than the requests of most tests.
    """
    last = 0.0

    def look() -> None:
        nonlocal last
        if time.monotonic() - last > 1:
            victim.assert_told_nothing()
            last = time.monotonic()

    yield look
    victim.assert_told_nothing()


@pytest.fixture
def unharmed(victim: Victim, looked: Callable[[], None]) -> Iterator[None]:
    """After a test: what the victim kept is there, and its contents were told nowhere."""
    yield
    victim.assert_unharmed()
    looked()
