"""Who keeps the master key of a node that is a process: a file, the reference, another node, an HSM."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

from kms_actors.auth.build import attenuate
from kms_actors.cli.private_file import create_private
from tests.conformance.vault_cli import find_vault
from tests.support.api import Api, initialise, unseal
from tests.support.gate import gate
from tests.support.hsm import PIN, SoftHsm
from tests.support.node import Node, sqlite_table
from tests.support.reference import Reference, find_bao, reference
from tests.support.tenant import Tenant, make_tenant
from tests.support.tokens import Issuer

SECRET: Final = {"data": {"passcode": "canary"}}


@dataclass
class Keeper:
    """Who keeps a master key: settings of a node, and what makes an outage, and ends it."""

    name: str
    lines: Mapping[str, Any]  # of [master_keyring_provider]
    table: Mapping[str, Any] | None  # of the table that has the keeper's name
    away: Callable[[], None]
    back: Callable[[], None]
    rotate: Callable[[], None]
    key_ids: tuple[str, str]  # of the keeper's key, before and after that
    secret: str
    rotated: Mapping[str, Any] = field(default_factory=dict)  # what else the table has then

    def settings(self, *others: Keeper, rotated: bool = False) -> tuple[str, str]:
        """Return further lines of [master_keyring_provider], and further tables, with those of others."""
        lines, tables = "", ""
        for keeper in (self, *others):
            lines += "".join(f"{key} = {json.dumps(value)}\n" for key, value in keeper.lines.items())
            if keeper.table is not None:
                table = {**keeper.table, **(keeper.rotated if rotated else {})}
                tables += f"\n[master_keyring_provider.{keeper.name}]\n"
                tables += "".join(f"{key} = {json.dumps(value)}\n" for key, value in table.items())
        return lines, tables


def _static(directory: Path) -> Iterator[Keeper]:
    path, away = directory / "static.key", directory / "static.away"
    create_private(path, "5a" * 32)

    def take() -> None:
        path.rename(away)

    def bring() -> None:
        away.rename(path)

    yield Keeper(
        "static",
        {"key_file": str(path)},
        None,
        away=take,
        back=bring,
        rotate=lambda: None,
        key_ids=("", ""),
        secret="5a" * 32,
    )


def _transit(address: str, api: Api, token: str, directory: Path, key: str, **table: Any) -> Iterator[Keeper]:
    token_file = directory / "seal.token"
    create_private(token_file, token + "\n")
    assert api.post(f"transit/keys/{key}").status == 200
    with gate(address) as way:

        def rotate() -> None:
            assert api.post(f"transit/keys/{key}/rotate").status < 300

        addresses = ["http://127.0.0.1:9", way.address]  # nobody is at the first
        yield Keeper(
            "transit",
            {},
            {"addresses": addresses, "key_name": key, "token_file": str(token_file), **table},
            away=way.shut,
            back=way.open,
            rotate=rotate,
            key_ids=(f"{key}:v1", f"{key}:v2"),
            secret=token,
        )


@pytest.fixture(scope="module")
def bao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reference]:
    with reference(tmp_path_factory.mktemp("bao")) as started:
        api = Api(started.address, started.token)
        assert api.post("sys/mounts/transit", {"type": "transit"}).status == 204
        yield started


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, issuer: Issuer) -> Iterator[Node]:
    """A node of another cluster, that keeps keys for this one."""
    node = Node.for_issuer(tmp_path_factory.mktemp("server"), sqlite_table, issuer, forked=True)
    node.start()
    operator = Api(node.address, issuer.cluster_operator())
    unseal(operator, initialise(operator)["keys_base64"])
    yield node
    node.close()


def _of_reference(directory: Path, bao: Reference, key: str) -> Iterator[Keeper]:
    api = Api(bao.address, bao.token)
    rules = "".join(
        f'path "transit/{operation}/{key}" {{ capabilities = ["update"] }}\n' for operation in ("encrypt", "decrypt")
    )
    assert api.put(f"sys/policies/acl/{key}", {"policy": rules}).status == 204
    made = api.post("auth/token/create", {"policies": [key], "period": "1h", "no_parent": True})
    yield from _transit(bao.address, api, made.json["auth"]["client_token"], directory, key)


def _of_node(directory: Path, tenant: Tenant, key: str) -> Iterator[Keeper]:
    assert tenant.user.token is not None
    paths = [f"transit/{operation}/{key}" for operation in ("encrypt", "decrypt")]
    token = attenuate(tenant.user.token, now=time.time(), ttl=3600, paths=paths)
    yield from _transit(tenant.user.address, tenant.user, token, directory, key, namespace=tenant.vault_id)


def _hsm(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Keeper]:
    made = SoftHsm.make(directory)
    made.make_key("master", "01")
    monkeypatch.setenv("SOFTHSM2_CONF", str(made.configuration))
    yield Keeper(
        "pkcs11",
        {},
        made.settings(),
        away=made.take_away,
        back=made.bring_back,
        rotate=lambda: made.make_key("master", "02"),
        key_ids=("master/01", "master/02"),
        secret=PIN,
        rotated={"key_id": "02"},
    )


KEEPERS = ("static", "transit of the reference", "transit of a node", "pkcs11")

NewKeeper = Callable[[str], Keeper]


@pytest.fixture
def keep(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, issuer: Issuer
) -> Iterator[NewKeeper]:
    with contextlib.ExitStack() as stack:

        def make(name: str) -> Keeper:
            directory = tmp_path / f"keeper-{name.replace(' ', '-')}"
            directory.mkdir()
            key = f"unseal-{tmp_path.name}"[:60].strip("-_")
            if name == "static":
                made = _static(directory)
            elif name == "pkcs11":
                made = _hsm(directory, monkeypatch)
            elif name == "transit of a node":
                made = _of_node(directory, make_tenant(request.getfixturevalue("server"), issuer), key)
            else:
                made = _of_reference(directory, request.getfixturevalue("bao"), key)
            return stack.enter_context(contextlib.contextmanager(lambda: made)())

        yield make


@pytest.fixture
def kept_node(tmp_path: Path, issuer: Issuer) -> Iterator[Node]:
    """A node of two workers, not started."""
    directory = tmp_path / "kept"
    directory.mkdir()
    node = Node.for_issuer(directory, sqlite_table, issuer, forked=True)
    node.settings = "workers = 2"
    yield node
    node.close()
    assert "Traceback" not in node.log


def configure(node: Node, name: str, *keepers: Keeper, migrate_from: str = "", rotated: bool = False) -> None:
    """Have `name` keep the key from the next start on; `keepers` are those whose settings are there."""
    node.provider_name, node.provider, node.further = name, "", ""
    for keeper in keepers:
        lines, tables = keeper.settings(rotated=rotated)
        node.provider += lines
        node.further += tables
    if migrate_from:
        node.provider += f'migrate_from = "{migrate_from}"\n'


def operator_of(node: Node, issuer: Issuer) -> Api:
    return Api(node.address, issuer.cluster_operator())


def status_of(node: Node) -> Any:
    return Api(node.address).get("sys/seal-status").json


def initialise_kept(node: Node, issuer: Issuer, keeper: Keeper) -> list[str]:
    """Initialise the cluster with recovery shares; return them. `static` has done so, without any."""
    if keeper.name == "static":
        return []
    answer = operator_of(node, issuer).put("sys/init", {"recovery_shares": 3, "recovery_threshold": 2})
    assert answer.status == 200, answer.body
    assert (answer.json["keys"], answer.json["root_token"]) == ([], "")
    shares: list[str] = answer.json["recovery_keys_base64"]
    return shares


def assert_serves(tenant: Tenant) -> None:
    assert tenant.user.get("secret/data/app").data["data"] == SECRET["data"]


def type_in(table: dict[str, str]) -> str:
    """Return the seal's type; `vault` 1.14 shows it as that of recovery where there is a recovery seal."""
    found = table.get("Seal Type") or table["Recovery Seal Type"]
    return "shamir" if found == "n/a" else found  # shares have no provider


@pytest.fixture(params=["vault", "bao"])
def command_line(request: pytest.FixtureRequest) -> Path:
    return find_vault() if request.param == "vault" else find_bao()
