"""A node of its own beside a reference server."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest

from tests.differential.pair import Pair, Side
from tests.support.api import Api, initialise, unseal
from tests.support.node import Node, sqlite_table
from tests.support.reference import Reference
from tests.support.reference import reference as running_reference
from tests.support.tenant import make_tenant
from tests.support.tokens import Issuer, new_vault_id


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reference]:
    """One reference server for all modules."""
    with running_reference(tmp_path_factory.mktemp("reference")) as found:
        yield found


@pytest.fixture(scope="module")
def reference(server: Reference) -> Iterator[Side]:
    """The reference server, with mounts of its own for this module."""
    name = uuid4().hex[:12]
    mounts = {"transit": f"transit-{name}", "secret": f"secret-{name}"}
    side = Side(server.address, server.token, mounts)
    made = {mounts["transit"]: {"type": "transit"}, mounts["secret"]: {"type": "kv", "options": {"version": "2"}}}
    for path, mount in made.items():
        answer = side("POST", f"sys/mounts/{path}", mount)
        assert answer.status == 204, answer
    yield side
    for path in made:
        side("DELETE", f"sys/mounts/{path}")
    side.close()


@pytest.fixture(scope="module")
def pair(reference: Side, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """The reference server and a fresh node with one vault."""
    issuer = Issuer()
    vault_id = new_vault_id()  # as the root namespace is, it is the one that tokens without a name of one are of
    further = f'\n[tenants]\nlogin_urls = ["127.0.0.0/8"]\ndefault_vault = "{vault_id}"\n'
    node = Node.for_issuer(tmp_path_factory.mktemp("node"), sqlite_table, issuer, further=further, forked=True)
    node.start()
    operator = Api(node.address, issuer.cluster_operator())
    unseal(operator, initialise(operator)["keys_base64"])
    token = make_tenant(node, issuer, vault_id).root.token
    assert token is not None
    ours = Side(node.address, token, {"transit": "transit", "secret": "secret"})
    yield Pair(ours, reference)
    ours.close()
    assert node.stop() == 0, node.log
    assert "Traceback" not in node.log


@pytest.fixture(params=["from the reference", "to the reference"])
def way(request: pytest.FixtureRequest, pair: Pair) -> tuple[Side, Side]:
    """Where keys come from, and where they go."""
    return (pair.reference, pair.ours) if request.param == "from the reference" else (pair.ours, pair.reference)


@pytest.fixture
def name() -> str:
    """Return a name no key has."""
    return f"key-{uuid4().hex[:12]}"
