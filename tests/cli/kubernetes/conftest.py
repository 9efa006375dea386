"""A node with keys that seal and sign, for all tests of the program beside an API server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.api import Api, initialise, unseal
from tests.support.node import Node, sqlite_table
from tests.support.tenant import Tenant, make_tenant
from tests.support.tokens import Issuer


@pytest.fixture(scope="module")
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture
def node(tmp_path: Path, issuer: Issuer) -> Iterator[Node]:
    node = Node.for_issuer(tmp_path, sqlite_table, issuer, forked=True)
    node.start()
    yield node
    node.close()
    assert "Traceback" not in node.log


@pytest.fixture
def shares(node: Node, issuer: Issuer) -> list[str]:
    operator = Api(node.address, issuer.cluster_operator())
    shares: list[str] = initialise(operator)["keys_base64"]
    unseal(operator, shares)
    return shares


@pytest.fixture
def tenant(node: Node, shares: list[str], issuer: Issuer) -> Tenant:
    tenant = make_tenant(node, issuer)
    for name, kind in (("seal", "aes256-gcm96"), ("rsa", "rsa-2048"), ("p256", "ecdsa-p256"), ("p384", "ecdsa-p384")):
        assert tenant.root.post(f"transit/keys/{name}", {"type": kind}).status == 200
    return tenant


@pytest.fixture
def start_again(node: Node, shares: list[str], tenant: Tenant, issuer: Issuer) -> Callable[[], None]:
    """Start the node, which was killed, and unseal it and the tenant."""

    def start() -> None:
        node.start()
        unseal(Api(node.address, issuer.cluster_operator()), shares)
        unseal(tenant.operator, tenant.shares)

    return start
