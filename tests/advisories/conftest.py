"""A node with audit devices, and two vaults on it that must never be anything to each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.api import Api, initialise, unseal
from tests.support.node import Node, sqlite_table
from tests.support.tenant import Tenant, make_tenant
from tests.support.tokens import Issuer

#: Returns who has a policy of this text, and nothing else.
Bearer = Callable[[str], Api]


@pytest.fixture(scope="session")
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("node")


@pytest.fixture(scope="module")
def node(directory: Path, issuer: Issuer) -> Iterator[Node]:
    """A node, initialised and unsealed, with a folder for audit devices. It logs no error, whatever is done."""
    further = f'\n[audit]\nfolder = "{directory / "audit"}"\n'
    node = Node.for_issuer(directory, sqlite_table, issuer, further=further, forked=True)
    node.start()
    operator = Api(node.address, issuer.cluster_operator())
    unseal(operator, initialise(operator)["keys_base64"])
    yield node
    code = node.stop()
    assert code == 0, node.log
    assert "Traceback" not in node.log
    assert "request failed" not in node.log


@pytest.fixture
def cluster(node: Node, issuer: Issuer) -> Api:
    """The cluster's operator."""
    return Api(node.address, issuer.cluster_operator())


@pytest.fixture
def tenant(node: Node, issuer: Issuer) -> Tenant:
    return make_tenant(node, issuer)


@pytest.fixture
def other(node: Node, issuer: Issuer) -> Tenant:
    """A vault that is none of the first one's business."""
    return make_tenant(node, issuer)


@pytest.fixture
def bearer(tenant: Tenant, issuer: Issuer) -> Bearer:
    def make(text: str) -> Api:
        assert tenant.operator.put("sys/policies/acl/one", {"policy": text}).status == 204
        return tenant.user.with_token(issuer.tenant(tenant.vault_id, policies=["one"]))

    return make


@pytest.fixture
def nobody(tenant: Tenant) -> Api:
    """Who has no token, and means the vault."""
    return Api(tenant.operator.address, None, {"X-Vault-Namespace": tenant.vault_id})


def token_of(answer: Any) -> str:
    """Return the token that an answer gives."""
    assert answer.status == 200, answer.body
    return str(answer.json["auth"]["client_token"])
