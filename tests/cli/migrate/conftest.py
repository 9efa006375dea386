"""Two servers to migrate between, a node and another one, each of them once the one that is copied from.

The other one is OpenBao, and Vault where `KMS_TEST_VAULT_SERVER` names its program. (What the tests build of
version 1.14 as a command line is no server: the module's own library refuses a path of it at the start.) It is
always a server of the tests' own, whatever the environment names, for all that is on it goes between two tests.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import pytest
from click.testing import CliRunner, Result

from kms_actors.cli.client import main
from tests.support.api import Answer, Api
from tests.support.node import Node, sqlite_table, wait_until
from tests.support.programs import named_by
from tests.support.reference import find_bao, reference
from tests.support.shared_node import shared_node
from tests.support.tenant import make_tenant
from tests.support.tokens import Issuer

#: What a test may have left on the other server, in lists: all of it goes before the next one.
_LISTS = (
    "sys/policies/acl",
    "sys/policies/password",
    "auth/token/roles",
    "identity/entity/id",
    "identity/group/id",
    "sys/quotas/rate-limit",
    "sys/namespaces",
)
_STAYS = frozenset({"root", "default"})


class Sides(NamedTuple):
    """Where all comes from, and where it goes; one of them is not a node."""

    source: Api
    target: Api
    option: str  # of the command: what the other server is
    vault: bool = False  # that server is HashiCorp's, which has less than OpenBao

    def run(self, *further: str) -> Result:
        ours, other = (self.target, self.source) if self.option == "--from" else (self.source, self.target)
        environment = {"VAULT_ADDR": ours.address, "VAULT_TOKEN": ours.token, "MIGRATE_TOKEN": other.token}
        return CliRunner().invoke(main, ["migrate", self.option, other.address, *further], env=environment)


@pytest.fixture(scope="module")
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, issuer: Issuer) -> Iterator[Node]:
    with shared_node(tmp_path_factory.mktemp("node"), sqlite_table, issuer) as node:
        yield node


@pytest.fixture(scope="module", params=["bao", "vault"])
def other(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    program = find_bao() if request.param == "bao" else named_by("KMS_TEST_VAULT_SERVER")
    if program is None:
        pytest.skip("Vault is not here: KMS_TEST_VAULT_SERVER names its program, of version 1.14 or later")
    with reference(tmp_path_factory.mktemp("other"), program=Path(program)) as found:
        yield Api(found.address, found.token)


@pytest.fixture(params=["--from", "--to"])
def sides(request: pytest.FixtureRequest, node: Node, issuer: Issuer, other: Api) -> Sides:
    _empty(other)
    ours = make_tenant(node, issuer).root
    vault = request.node.callspec.params["other"] == "vault"
    return Sides(other, ours, "--from", vault) if request.param == "--from" else Sides(ours, other, "--to", vault)


def _empty(api: Api) -> None:
    """Leave a server as it was when it began, with a mount for keys."""
    for path, mount in api.get("sys/mounts").data.items():
        if mount["type"] in {"kv", "transit"}:
            good(api.delete(f"sys/mounts/{quote(path.rstrip('/'))}"))
    for path in api.get("sys/auth").data:
        if path != "token/":
            good(api.delete(f"sys/auth/{quote(path.rstrip('/'))}"))
    for folder in _LISTS:
        answer = api.list(folder)
        for name in answer.data["keys"] if answer.status == 200 else ():
            if name not in _STAYS:
                good(api.delete(f"{folder}/{quote(name.rstrip('/'))}"))
    good(api.post("sys/mounts/secret", {"type": "kv", "options": {"version": "2"}}))
    good(api.post("sys/mounts/transit", {"type": "transit"}))
    wait_until(lambda: api.get("secret/config").status == 200, "the mount of secrets serves")


def good(answer: Answer) -> None:
    assert answer.status in {200, 202, 204}, (answer.status, answer.body)
