"""What anybody may ask with a namespace and without a token: on a node and on the reference server.

The kind: a client that sets a namespace for all that it asks (`VAULT_NAMESPACE`) cannot see whether the server lives;
or an answer that depends on the namespace, and tells nobody which there are.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.conformance.vault_cli import VaultCli
from tests.differential.pair import Pair
from tests.support.api import Api
from tests.support.node import Node, sqlite_table
from tests.support.reference import find_bao
from tests.support.shared_node import shared_node
from tests.support.tenant import make_tenant
from tests.support.tokens import NAMESPACE, Issuer, new_vault_id

LOOKS: Final = ("sys/seal-status", "sys/leader", "sys/health", "sys/init")
#: Where the reference server answers 400, whatever namespace is named.
_OF_ITS_ROOT: Final = frozenset({"sys/health", "sys/init"})


def look(address: str, path: str, namespace: str | None, token: str | None = None) -> tuple[int, Any]:
    """Return a status, and what of the answer is no time."""
    headers = {} if namespace is None else {"X-Vault-Namespace": namespace}
    answer = Api(address, token, headers).get(path)
    return answer.status, {name: value for name, value in answer.json.items() if name != "server_time_utc"}


@pytest.mark.parametrize("path", LOOKS)
@pytest.mark.parametrize("token", [None, "hvs.made-up"])
def test_no_answer_depends_on_the_namespace(pair: Pair, path: str, token: str | None) -> None:
    reference = Api(pair.reference.address, pair.reference.token)
    assert reference.post("sys/namespaces/there").status in {200, 204}
    vault = Api(pair.ours.address, pair.ours.token).get("sys/seal-status").json["cluster_name"]
    for side, there in ((pair.ours, vault), (pair.reference, "there")):
        plain = look(side.address, path, None)
        named = [look(side.address, path, name, token) for name in (there, f"{there}/", "vault_none", "a/b", "Root")]
        assert named[1:] == named[:-1]
        if side is pair.reference and path in _OF_ITS_ROOT:
            assert named[0] == (400, {"errors": ["operation unavailable in namespaces"]})
        else:
            assert named[0] == plain
            assert plain[0] == 200


@pytest.fixture(scope="module")
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture(scope="module")
def node(issuer: Issuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with shared_node(tmp_path_factory.mktemp("node"), sqlite_table, issuer) as node:
        yield node


@pytest.fixture(scope="module")
def vaults(node: Node, issuer: Issuer) -> list[str]:
    """Ids of vaults that are open, sealed, not initialised, and none."""
    opened, sealed = make_tenant(node, issuer), make_tenant(node, issuer)
    assert sealed.root.put("sys/seal").status == 204
    return [opened.vault_id, sealed.vault_id, new_vault_id(), "none"]


@pytest.mark.parametrize("path", LOOKS)
def test_nobody_learns_which_vaults_there_are_or_are_sealed(node: Node, vaults: list[str], path: str) -> None:
    plain = look(node.address, path, None)
    assert plain[0] == 200
    assert [look(node.address, path, name) for name in vaults] == [plain] * len(vaults)


def test_status_tells_whose_seal_it_is(node: Node, vaults: list[str], tmp_path: Path) -> None:
    """`bao status` and `vault status` send no namespace, whatever is set; other clients do."""
    told = [VaultCli(find_bao(), node.address, tmp_path)("status", f"-namespace={name}").table for name in vaults]
    assert {(each["Sealed"], each["Cluster Name"]) for each in told} == {("false", NAMESPACE)}
    assert look(node.address, "sys/seal-status", vaults[1])[1]["cluster_name"] == NAMESPACE
