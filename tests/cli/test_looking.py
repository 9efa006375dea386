"""`kms-layer check` before a node runs, and `kms-cli doctor` where a client stands: what is wrong, and where."""

from __future__ import annotations

import asyncio
import datetime
import json
import os
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from http.client import HTTPSConnection
from pathlib import Path

import pytest
from click.testing import CliRunner

from kms_actors.actors.cluster.timekeeping import TIME, Kept
from kms_actors.cli.client import main as client
from kms_actors.cli.layer import main as layer
from kms_actors.cli.private_file import create_private
from kms_actors.cli.sender import Sender
from kms_actors.keyring import stored
from kms_actors.secret import SecretBytes
from kms_actors.store.api import Transaction
from tests.support.api import Api, initialise, unseal
from tests.support.certificates import make
from tests.support.node import Node, free_port, sqlite_table
from tests.support.tenant import Tenant, make_tenant
from tests.support.tls_node import TlsNode
from tests.support.tokens import Issuer
from tests.support.vaults import opened

Look = Callable[..., dict[str, tuple[str, str]]]
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a configuration, with further lines of the top and further tables."""

    def written(
        top: str = "", tables: str = "", namespace: str = "kms-c1", metrics: str = "[metrics]\nport = 0"
    ) -> Path:
        path = tmp_path / "node.toml"
        root, service = Issuer().keys.public
        path.write_text(
            f"port = {free_port()}\n{top}\n"
            f'[cluster]\nbackend = "sqlite"\npath = "{tmp_path}/kms.sqlite"\n'
            f'[master_keyring_provider]\nnamespace = "{namespace}"\nnode_name = "n1"\n'
            f'[authenticator]\nname = "biscuit"\n[authenticator.provider]\n'
            f'keys = [["{root}", "{service}"]]\nservice = "s"\n{tables}\n{metrics}'
        )
        return path

    return written


def check(path: Path, code: int = 0) -> dict[str, tuple[str, str]]:
    """Return what is found, by what was looked at."""
    done = CliRunner().invoke(layer, ["check", "--configuration", str(path), "--json"])
    assert done.exit_code == code, done.output
    found = [json.loads(line) for line in done.output.splitlines()]
    return {each["what"]: (each["state"], each["text"]) for each in found}


def test_a_new_node_is_ready_and_nothing_is_made_by_looking(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    found = check(write())
    assert {state for state, _ in found.values()} == {"good"}
    assert set(found) == {"configuration", "store", "port", "metrics.port"}
    assert [file.name for file in tmp_path.iterdir()] == ["node.toml"]


def test_words_are_for_people(write: Write) -> None:
    done = CliRunner().invoke(layer, ["--configuration", str(write()), "check"])
    assert done.exit_code == 0
    assert done.output.splitlines()[0].startswith("good    configuration: ")


def test_a_wrong_key_is_named_with_the_one_that_was_meant(write: Write) -> None:
    done = CliRunner().invoke(layer, ["check", "--configuration", str(write("wrokers = 2"))])
    assert done.exit_code == 2
    assert "unknown key `wrokers`: did you mean `workers`?" in done.output


def test_a_file_must_be_named(write: Write) -> None:
    for words in ([], ["check"]):
        done = CliRunner().invoke(layer, words)
        assert done.exit_code == 2
        assert "--configuration" in done.output


def test_the_cluster_of_the_store_and_its_time_are_looked_at(write: Write, tmp_path: Path) -> None:
    issuer = Issuer()
    node = Node.for_issuer(tmp_path, sqlite_table, issuer)
    node.start()
    initialise(Api(node.address, issuer.cluster_operator()))
    node.stop()
    path = tmp_path / "node.toml"
    found = check(path)
    assert found["cluster"] == ("good", "`kms-c1` is initialised")
    assert found["clock"][0] == "good"
    assert "in use" in found["store"][1]
    path.write_text(path.read_text().replace('namespace = "kms-c1"', 'namespace = "kms-c2"'))
    assert "none named `kms-c2`" in check(path, 1)["store"][1]


def test_the_key_that_keeps_the_master_key_is_tried(tmp_path: Path) -> None:
    """The kind: a file with a key, and of another cluster: the node would start, and stay sealed."""
    issuer, key = Issuer(), tmp_path / "master.key"
    create_private(key, "11" * 32)
    node = Node.for_issuer(tmp_path, sqlite_table, issuer, provider=f'key_file = "{key}"')
    node.provider_name = "static"
    node.start()  # and it initialises the cluster
    assert node.stop() == 0
    path = tmp_path / "node.toml"
    assert check(path)["seal"] == ("good", "`static` gives the master key")
    key.write_text("22" * 32)
    state, text = check(path, 1)["seal"]
    assert (state, "holds the master key of another cluster" in text) == ("wrong", True)


def health(path: Path, *options: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(layer, ["health", "--configuration", str(path), "--json", *options])
    found = json.loads(done.stdout)
    return done.exit_code, found["state"], found["text"]


def test_a_node_is_asked_how_it_is_from_beside_it(tmp_path: Path) -> None:
    issuer = Issuer()
    node = Node.for_issuer(tmp_path, sqlite_table, issuer)
    path = tmp_path / "node.toml"
    node.start()
    try:
        assert health(path)[:2] == (0, "warning")
        code, state, text = health(path, "--serving")
        assert (code, state, "not initialised" in text) == (1, "wrong", True)
        operator = Api(node.address, issuer.cluster_operator())
        shares = initialise(operator)["keys_base64"]
        assert "sealed" in health(path)[2]
        unseal(operator, shares)
        assert health(path, "--serving") == (0, "good", "it serves")
    finally:
        node.close()
    code, state, text = health(path)
    assert (code, state, "connection refused" in text) == (1, "wrong", True)


@pytest.mark.parametrize("answer", [b"rubbish", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]", b""])
def test_another_server_at_the_address_is_not_a_node(write: Write, answer: bytes) -> None:
    def serve(server: socket.socket) -> None:
        with server.accept()[0] as connection:
            connection.recv(65536)
            connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as server:
        path = write()
        path.write_text(re.sub(r"^port = \d+", f"port = {server.getsockname()[1]}", path.read_text()))
        thread = threading.Thread(target=serve, args=(server,))
        thread.start()
        assert health(path)[:2] == (1, "wrong")
        thread.join()


def test_a_node_is_asked_by_its_socket_or_by_tls(tmp_path: Path, write: Write) -> None:
    (tmp_path / "node").mkdir()
    node = TlsNode.started(tmp_path / "node", Issuer())
    try:
        whole = (tmp_path / "node/node.toml").read_text()
        first, second = (part.start() for part in re.finditer(r"\[\[listeners\]\]", whole))
        only_tls = tmp_path / "tls.toml"
        only_tls.write_text(whole[:first] + whole[second:])
        assert health(only_tls, "--serving") == (0, "good", "it serves")
        missing = tmp_path / "unix.toml"
        missing.write_text(f'{whole}\n[[listeners]]\nunix = "{tmp_path}/none.sock"\n')
        assert "none.sock does not answer: no such file" in health(missing)[2]
    finally:
        node.node.close()


async def test_a_clock_that_nodes_would_not_trust_is_wrong(write: Write, tmp_path: Path) -> None:
    async def ahead(tr: Transaction) -> None:
        tr.set(TIME, stored.encode(Kept(time.time_ns() + 7200 * 10**9, 1)))

    async with opened(tmp_path) as store:
        await store.run(ahead)
    state, text = (await asyncio.to_thread(check, write(), 1))["clock"]
    assert state == "wrong"
    assert "behind the cluster's time" in text


def test_certificates_are_read_and_their_ends_seen(write: Write, tmp_path: Path) -> None:
    now = datetime.datetime.now(datetime.UTC)
    table = '[tls]\ncertificate_file = "{}"\nprivate_key_file = "{}"\n'
    for days, state, says in (
        (90, "good", "its key fits"),
        (10, "warning", "ends in"),
        (-1, "wrong", "has ended on"),
    ):
        made = make("kms", begin=now - datetime.timedelta(days=99), end=now + datetime.timedelta(days=days, hours=1))
        found = check(write(tables=table.format(*made.files(tmp_path, "kms"))), 1 if state == "wrong" else 0)["tls"]
        assert (found[0], says in found[1]) == (state, True), found
    other = make("other").files(tmp_path, "other")[1]
    assert "is not the key of" in check(write(tables=table.format(tmp_path / "kms.pem", other)), 1)["tls"][1]


def test_an_address_that_is_taken_may_be_the_nodes_own(write: Write) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        path = write()
        path.write_text(re.sub(r"^port = \d+", f"port = {taken.getsockname()[1]}", path.read_text()))
        assert check(path)["port"][0] == "warning"
    path.write_text(path.read_text().replace("port = ", 'host = "203.0.113.1"\nport = ', 1))
    assert check(path, 1)["port"][0] == "wrong"
    path.write_text(path.read_text().replace("203.0.113.1", "10..0.1", 1))
    state, text = check(path, 1)["port"]
    assert (state, "no such host" in text) == ("wrong", True)


def test_the_port_and_the_token_of_the_metrics_are_looked_at(write: Write, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        token = tmp_path / "token"
        path = write(metrics=f'[metrics]\nport = {port}\ntoken_file = "{token}"')
        found = check(path, 1)
        assert found["metrics.port"][0] == "warning"
        assert "token: no such file" in found["metrics.token_file"][1]
        token.write_text("short")
        assert "holds no token" in check(path, 1)["metrics.token_file"][1]
        token.write_text("long-enough-for-one")
        assert check(path)["metrics.token_file"][0] == "good"


@pytest.mark.parametrize("whose", ["owner", "group"])
def test_whose_a_socket_is_to_be_is_looked_at(write: Write, tmp_path: Path, whose: str) -> None:
    path = write(tables=f'[[listeners]]\nunix = "{tmp_path}/kms.sock"\n{whose} = "nobody-of-that-name"\n')
    path.write_text(re.sub(r"^port = \d+", "", path.read_text()))
    assert f"key `listeners[0].{whose}`: there is no" in check(path, 1)["listeners[0].unix"][1]
    path.write_text(path.read_text().replace("nobody-of-that-name", "0"))
    assert check(path)["listeners[0].unix"][0] == "good"


def test_who_may_come_to_run_as_root_hears_of_it(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    state, text = check(write())["user"]
    assert (state, "stays root" in text) == ("warning", True)
    assert check(write(top='user = "root"'))["user"][0] == "good"


# Where a client stands.


@pytest.fixture(scope="module")
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, issuer: Issuer) -> Iterator[Node]:
    node = Node.for_issuer(tmp_path_factory.mktemp("node"), sqlite_table, issuer, forked=True)
    node.start()
    yield node
    assert node.stop() == 0, node.log


@pytest.fixture(scope="module")
def tenant(node: Node, issuer: Issuer) -> Tenant:
    operator = Api(node.address, issuer.cluster_operator())
    unseal(operator, initialise(operator)["keys_base64"])
    return make_tenant(node, issuer)


@pytest.fixture
def look(node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Look:
    for name in ("VAULT_TOKEN", "VAULT_NAMESPACE", "VAULT_CACERT", "VAULT_CAPATH", "VAULT_SKIP_VERIFY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("VAULT_ADDR", node.address)

    def looked(code: int = 0, **environment: str) -> dict[str, tuple[str, str]]:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        done = CliRunner().invoke(client, ["doctor", "--json"])
        assert done.exit_code == code, done.output
        found = [json.loads(line) for line in done.output.splitlines() if line.startswith("{")]
        return {each["what"]: (each["state"], each["text"]) for each in found}

    return looked


def test_a_client_that_can_work_is_told_so(look: Look, tenant: Tenant, tmp_path: Path) -> None:
    (tmp_path / ".vault-token").write_text(f"{tenant.root.token}\n")
    found = look()
    assert {state for state, _ in found.values()} == {"good"}
    assert list(found) == ["server", "clock", "seal of the server", "seal of the vault", "token"]
    assert "policies: root" in found["token"][1]
    assert str(tenant.root.token) not in str(found)


def test_a_token_that_ends_soon_is_warned_of(look: Look, tenant: Tenant) -> None:
    child = tenant.root.post("auth/token/create", {"ttl": "10m"}).json["auth"]["client_token"]
    assert look(VAULT_TOKEN=child)["token"][0] == "warning"


@pytest.mark.parametrize("token", ["", "hvs.nosuch"])
def test_without_a_good_token_it_says_so(look: Look, tenant: Tenant, token: str) -> None:
    state, text = look(1, VAULT_TOKEN=token)["token"]
    assert state == "wrong"
    assert "vault login" in text if not token else "the server refuses it" in text


def test_a_sealed_vault_is_told_of(look: Look, node: Node, issuer: Issuer, tenant: Tenant) -> None:
    other = make_tenant(node, issuer)
    other.root.put("sys/seal")
    found = look(1, VAULT_TOKEN=issuer.tenant_operator(other.vault_id))
    assert found["seal of the server"][0] == "good"
    assert found["seal of the vault"] == ("wrong", "it is sealed: 0 of 3 shares are given")


def test_nobody_there_and_nobody_trusted_are_told_apart(look: Look, tmp_path: Path, issuer: Issuer) -> None:
    assert "connection refused" in look(1, VAULT_ADDR="http://127.0.0.1:1")["server"][1]
    node = TlsNode.started(tmp_path, issuer)
    try:
        assert "is not trusted" in look(1, VAULT_ADDR=node.address)["server"][1]
        found = look(1, VAULT_ADDR=node.address, VAULT_SKIP_VERIFY="true")
        assert found["server"][0] == "good"
    finally:
        node.node.close()


def test_what_is_said_of_our_own_server_is_told_to_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """`migrate` talks to two: a namespace, a client's certificate, and a trust in anybody are of the one alone."""
    monkeypatch.setenv("VAULT_NAMESPACE", "vault_a")
    monkeypatch.setenv("VAULT_SKIP_VERIFY", "true")
    monkeypatch.setenv("VAULT_TLS_SERVER_NAME", "elsewhere")
    own, other = (Sender("https://127.0.0.1:1", SecretBytes(b"t"), own=mine) for mine in (True, False))
    assert own._headers["X-Vault-Namespace"] == "vault_a"
    assert "X-Vault-Namespace" not in other._headers
    verified = [each._connection._context.verify_mode for each in (own, other)]  # type: ignore[attr-defined]
    assert verified == [ssl.CERT_NONE, ssl.CERT_REQUIRED]
    assert type(other._connection) is HTTPSConnection


@pytest.mark.parametrize(
    "command", [["audit", "anchors", "--device", "file"], ["migrate", "--from", "http://127.0.0.1:1"]]
)
def test_each_command_takes_the_token_of_the_last_login(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("HOME", str(tmp_path)), ("VAULT_ADDR", "ftp://nowhere"), ("MIGRATE_TOKEN", "b")):
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("VAULT_TOKEN", raising=False)
    assert "no token: set VAULT_TOKEN" in CliRunner().invoke(client, command).output
    (tmp_path / ".vault-token").write_text("t\n")
    assert "the address is not like" in CliRunner().invoke(client, command).output  # which is looked at next


@pytest.mark.parametrize(
    ("name", "value"),
    [("VAULT_SKIP_VERIFY", "perhaps"), ("VAULT_CLIENT_TIMEOUT", "soon"), ("VAULT_CLIENT_CERT", "/nosuch")],
)
def test_a_wrong_variable_is_named(look: Look, name: str, value: str) -> None:
    done = CliRunner(env={name: value, "VAULT_ADDR": "https://127.0.0.1:1"}).invoke(client, ["doctor"])
    assert done.exit_code == 2
    assert name in done.output
