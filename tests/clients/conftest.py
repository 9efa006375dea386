"""A node for the clients of the matrix, a server of its own for each, and the table written at the end.

`make test-clients` runs them all; `make test` only looks whether table, locks and programs agree. What is built lies
in the cache of the tests, so it takes long once. `KMS_TEST_CLIENTS=reference` has all programs run against OpenBao
instead, to tell a fault of a program from one of ours; the table is not written then.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.server import Server, of_reference, of_tenant
from tests.clients.table import write_tables
from tests.support.node import Node, sqlite_table
from tests.support.reference import reference
from tests.support.shared_node import shared_node
from tests.support.tenant import make_tenant
from tests.support.tokens import Issuer

#: Not set: nothing that has to be built. `reference`: against the reference server. Else: against a node.
ASKED = os.environ.get("KMS_TEST_CLIENTS", "")
_TABLE = "test_table.py"


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave the clients out where nobody asked for them, else the table, which is written when they are through."""
    name = collection_path.name
    return True if name.startswith("test_") and (name == _TABLE) == bool(ASKED) else None


@pytest.fixture(scope="session")
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory, issuer: Issuer) -> Iterator[Node]:
    """A node that is initialised and unsealed."""
    with shared_node(tmp_path_factory.mktemp("node"), sqlite_table, issuer) as node:
        yield node


@pytest.fixture
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    """What a client is run against: a tenant of its own on the node, or a reference server of its own."""
    if ASKED == "reference":
        with reference(tmp_path) as started:
            yield of_reference(started)
        return
    yield of_tenant(make_tenant(request.getfixturevalue("node"), request.getfixturevalue("issuer")))


@pytest.fixture(scope="session")
def done() -> Iterator[dict[str, list[str]]]:
    """What each client that passed was seen to do; the tables of the documents are made of it."""
    found: dict[str, list[str]] = {}
    yield found
    if ASKED != "reference":
        write_tables(found)
