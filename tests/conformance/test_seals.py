"""Nodes whose master key somebody keeps, as processes: a file, the reference, another node, an HSM.

They unseal themselves, after an outage, too; and the key changes hands by the real command lines.
"""

from __future__ import annotations

import contextlib
import json
import random
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

from kms_actors.auth.build import attenuate
from kms_actors.cli.private_file import create_private
from tests.conformance.vault_cli import VaultCli, find_vault
from tests.support.api import Api, initialise, unseal
from tests.support.gate import gate
from tests.support.hsm import PIN, SoftHsm
from tests.support.node import Node, sqlite_table, wait_until
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
    node = Node.for_issuer(tmp_path_factory.mktemp("server"), sqlite_table, issuer)
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
    node = Node.for_issuer(directory, sqlite_table, issuer)
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


@pytest.mark.parametrize("name", KEEPERS)
def test_a_node_unseals_itself_at_its_start_and_after_an_outage(
    kept_node: Node, issuer: Issuer, keep: NewKeeper, name: str
) -> None:
    keeper, node = keep(name), kept_node
    configure(node, keeper.name, keeper)
    node.start()
    shares = initialise_kept(node, issuer, keeper)
    found = status_of(node)
    expected = {"type": keeper.name, "sealed": False, "recovery_seal": True, "recovery_seal_type": "shamir"}
    assert {key: found[key] for key in expected} == expected
    assert (found["n"], found["t"]) == ((3, 2) if shares else (0, 0))
    tenant = make_tenant(node, issuer)
    assert tenant.user.post("secret/data/app", SECRET).status == 200

    node.kill()
    node.start()
    assert not status_of(node)["sealed"]
    assert_serves(tenant)
    node.stop()

    keeper.away()
    if keeper.name != "static":  # without its file a node does not start at all, and says which
        node.start()
        sealed = status_of(node)
        assert (sealed["sealed"], sealed["initialized"], sealed["type"]) == (True, True, keeper.name)
        assert tenant.user.get("secret/data/app").status == 503
        assert Api(node.address).get("sys/health").status == 503
        wait_until(lambda: "not unsealed; this is tried again" in node.log, "the log says that it is tried again")
    keeper.back()
    if keeper.name == "static":
        node.start()
    wait_until(lambda: not status_of(node)["sealed"], "the node unseals itself")
    assert_serves(tenant)

    keeper.away()  # whoever is unsealed needs nobody
    assert_serves(tenant)
    keeper.back()
    node.stop()
    assert keeper.secret not in node.log


@pytest.mark.parametrize("name", KEEPERS[1:])
def test_a_rotated_key_of_the_keeper_wraps_the_master_key_from_the_next_start_on(
    kept_node: Node, issuer: Issuer, keep: NewKeeper, name: str
) -> None:
    keeper, node = keep(name), kept_node
    configure(node, keeper.name, keeper)
    node.start()
    initialise_kept(node, issuer, keeper)
    tenant = make_tenant(node, issuer)
    assert tenant.user.post("secret/data/app", SECRET).status == 200
    node.stop()
    keeper.rotate()
    configure(node, keeper.name, keeper, rotated=True)
    for _ in range(2):
        node.start()
        assert_serves(tenant)
        node.stop()
    assert node.log.count("the master key is wrapped by a newer key") == 1
    assert keeper.key_ids[1] in node.log


def type_in(table: dict[str, str]) -> str:
    """Return the seal's type; `vault` 1.14 shows it as that of recovery where there is a recovery seal."""
    found = table.get("Seal Type") or table["Recovery Seal Type"]
    return "shamir" if found == "n/a" else found  # shares have no provider


@pytest.mark.parametrize("name", KEEPERS[1:])
def test_the_master_key_changes_hands_by_the_command_line_and_back(
    *, kept_node: Node, issuer: Issuer, keep: NewKeeper, tmp_path: Path, name: str, command_line: Path
) -> None:
    keeper, node = keep(name), kept_node
    node.start()
    operator = operator_of(node, issuer)
    shares = initialise(operator)["keys_base64"]
    unseal(operator, shares)
    tenant = make_tenant(node, issuer)
    assert tenant.user.post("secret/data/app", SECRET).status == 200
    vault = VaultCli(command_line, node.address, tmp_path)
    vault.login(issuer.cluster_operator())
    assert vault("status").table["Seal Type"] == "n/a"
    for before, after in (("shamir", keeper.name), (keeper.name, "shamir")):
        node.stop()
        configure(node, after, keeper, migrate_from=before)
        node.start()
        table = vault("status", code=2).table
        assert (type_in(table), table["Sealed"]) == (before, "true")
        assert table["Seal Migration in Progress"] == "true"
        refused = vault("operator", "unseal", shares[0], code=2).err
        assert "migrate option not provided and seal migration is pending" in refused
        for number, share in enumerate(shares[:3], start=1):
            table = vault("operator", "unseal", "-migrate", share).table
            assert table["Sealed"] == ("true" if number < 3 else "false")
        assert "Seal Migration in Progress" not in table
        assert type_in(table) == after
        assert table["Total Recovery Shares" if after != "shamir" else "Total Shares"] == "5"
        assert_serves(tenant)

        node.stop()
        configure(node, after, *([keeper] if after != "shamir" else []))
        node.start()
        if after == "shamir":
            assert vault("status", code=2).table["Sealed"] == "true"
            unseal(operator, shares[2:])
        assert_serves(tenant)


@pytest.fixture(params=["vault", "bao"])
def command_line(request: pytest.FixtureRequest) -> Path:
    return find_vault() if request.param == "vault" else find_bao()


def test_init_by_the_command_line_gives_recovery_keys(
    kept_node: Node, issuer: Issuer, keep: NewKeeper, tmp_path: Path, command_line: Path
) -> None:
    keeper, node = keep("transit of a node"), kept_node
    configure(node, keeper.name, keeper)
    node.start()
    vault = VaultCli(command_line, node.address, tmp_path)
    vault.login(issuer.cluster_operator())
    made = vault("operator", "init", "-recovery-shares=3", "-recovery-threshold=2").out
    keys = [line.rpartition(" ")[2] for line in made.splitlines() if line.startswith("Recovery Key ")]
    assert len(keys) == 3
    assert "Recovery key initialized with 3 key shares and a key threshold of 2" in made
    table = vault("status").table
    assert (type_in(table), table["Total Recovery Shares"], table["Sealed"]) == ("transit", "3", "false")
    vault("operator", "seal")
    assert vault("status", code=2).table["Sealed"] == "true"
    assert vault("operator", "unseal", keys[0]).table["Unseal Progress"] == "1/2"
    assert vault("operator", "unseal", keys[2]).table["Sealed"] == "false"


def test_recovery_keys_are_changed_by_the_command_line(
    kept_node: Node, issuer: Issuer, keep: NewKeeper, tmp_path: Path, command_line: Path
) -> None:
    keeper, node = keep("static"), kept_node
    configure(node, "static", keeper)
    node.start()
    wanted = {"secret_shares": 3, "secret_threshold": 2}
    operator = operator_of(node, issuer)
    made = operator.post("sys/rotate/recovery/init", wanted).data
    keys = made["keys_base64"]
    assert (made["complete"], len(keys)) == (True, 3)
    vault = VaultCli(command_line, node.address, tmp_path)
    vault.login(issuer.cluster_operator())
    command = ("operator", "rotate-keys" if command_line.name == "bao" else "rekey")
    begun = vault(*command, "-init", "-target=recovery", "-key-shares=1", "-key-threshold=1").table
    nonce = begun["Nonce"]
    vault(*command, "-target=recovery", f"-nonce={nonce}", keys[0])
    done = vault(*command, "-target=recovery", f"-nonce={nonce}", keys[2]).out
    (new,) = re.findall(r"^Key 1: (\S+)$", done, re.MULTILINE)
    vault("operator", "seal")
    assert vault("operator", "unseal", new).table["Sealed"] == "false"


def test_a_node_that_is_killed_while_the_key_changes_hands_leaves_a_store_that_opens(
    kept_node: Node, issuer: Issuer, keep: NewKeeper
) -> None:
    keeper, node, chance = keep("static"), kept_node, random.Random(5)
    node.settings = "workers = 1"
    node.start()
    operator = operator_of(node, issuer)
    shares = initialise(operator, 1, 1)["keys_base64"]
    unseal(operator, shares)
    tenant = make_tenant(node, issuer)
    assert tenant.user.post("secret/data/app", SECRET).status == 200
    kept_by = "shamir"
    for _ in range(6):
        node.kill()
        after = keeper.name if kept_by == "shamir" else "shamir"
        configure(node, after, keeper, migrate_from=kept_by)
        node.start()
        assert status_of(node)["migration"] is True
        giving = threading.Thread(target=_give, args=(operator, shares[0]), daemon=True)
        giving.start()
        time.sleep(chance.uniform(0, 0.04))
        node.kill()
        giving.join(30)
        node.start()
        found = status_of(node)
        type_found = "shamir" if found["type"] == "n/a" else found["type"]
        assert type_found == (kept_by if found["migration"] else after)
        if found["sealed"]:
            answer = operator.put("sys/unseal", {"key": shares[0], "migrate": found["migration"]})
            assert answer.json["sealed"] is False, answer.body
        kept_by = after
        assert_serves(tenant)


def _give(operator: Api, share: str) -> None:
    with contextlib.suppress(OSError):
        operator.put("sys/unseal", {"key": share, "migrate": True})
