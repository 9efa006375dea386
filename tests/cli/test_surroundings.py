"""What commands take from the environment, at real listeners: each variable changes what comes of the same command.

The kind: a variable that Vault's command line heeds, and that is read here and means something else, or nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from click.testing import CliRunner
from cryptography import x509

from kms_actors.cli.client import main as client
from kms_actors.cli.layer import main as layer
from tests.support.api import Api, initialise, unseal
from tests.support.certificates import Identity, authority, make, server
from tests.support.certificates import client as client_certificate
from tests.support.node import Node, free_port, sqlite_table
from tests.support.tenant import Tenant, make_tenant
from tests.support.tokens import Issuer

_NAME = "kms.example"
Doctor = Callable[..., dict[str, tuple[str, str]]]


class Listening(NamedTuple):
    """A node with a plain listener, one of TLS, one that wants a certificate and has a name, and a socket."""

    node: Node
    tenant: Tenant
    plain: str
    tls: str
    strict: str
    socket: Path
    shown: Identity
    named: Identity
    own: tuple[Path, Path]  # what a client shows


@pytest.fixture(scope="module")
def listening(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Listening]:
    folder, issuer = tmp_path_factory.mktemp("node"), Issuer()
    root, shown, named = authority(), server(), make("kms", names=[x509.DNSName(_NAME)])
    trusted, _ = root.files(folder, "authority")
    own = client_certificate("app", root).files(folder, "app")
    tls, strict, socket = free_port(), free_port(), folder / "kms.sock"
    node = Node.for_issuer(folder, sqlite_table, issuer)
    files = [identity.files(folder, name) for identity, name in ((shown, "shown"), (named, "named"))]
    tables = [
        f'\n[listeners.tls]\ncertificate_file = "{each[0]}"\nprivate_key_file = "{each[1]}"\n' for each in files
    ]
    node.listed = True
    node.further = "".join(
        [
            f'\n[[listeners]]\nhost = "127.0.0.1"\nport = {node.port}\n',
            f'\n[[listeners]]\nhost = "127.0.0.1"\nport = {tls}{tables[0]}',
            f'\n[[listeners]]\nhost = "127.0.0.1"\nport = {strict}{tables[1]}',
            f'client_certificates = "require"\nclient_ca_file = "{trusted}"\n',
            f'\n[[listeners]]\nunix = "{socket}"\n',
        ]
    )
    node.start()
    try:
        operator = Api(node.address, issuer.cluster_operator())
        unseal(operator, initialise(operator)["keys_base64"])
        secure = [f"https://127.0.0.1:{port}" for port in (tls, strict)]
        tenant = make_tenant(node, issuer)
        yield Listening(node, tenant, node.address, secure[0], secure[1], socket, shown, named, own)
    finally:
        node.close()


@pytest.fixture
def doctor(listening: Listening, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Doctor:
    """Run the command with these variables alone, and no home; return what it tells, by what that is about."""
    for name in (
        *("VAULT_ADDR", "VAULT_NAMESPACE", "VAULT_CACERT", "VAULT_CAPATH", "VAULT_CLIENT_CERT", "VAULT_CLIENT_KEY"),
        *("VAULT_TLS_SERVER_NAME", "VAULT_SKIP_VERIFY", "VAULT_CLIENT_TIMEOUT"),
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))

    def run(address: str, code: int = 0, **environment: str) -> dict[str, tuple[str, str]]:
        given = {"VAULT_ADDR": address, "VAULT_TOKEN": str(listening.tenant.root.token), **environment}
        done = CliRunner(env=given).invoke(client, ["doctor", "--json"])
        assert done.exit_code == code, done.output
        found = [json.loads(line) for line in done.stdout.splitlines()]
        return {each["what"]: (each["state"], each["text"]) for each in found}

    return run


def test_without_any_the_certificate_is_not_trusted(doctor: Doctor, listening: Listening) -> None:
    assert "is not trusted" in doctor(listening.tls, 1)["server"][1]


def test_a_file_says_whom_to_trust(doctor: Doctor, listening: Listening, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text(listening.shown.pem)
    assert doctor(listening.tls, VAULT_CACERT=str(tmp_path / "ca.pem"))["token"][0] == "good"
    (tmp_path / "ca.pem").write_text(listening.named.pem)
    assert "is not trusted" in doctor(listening.tls, 1, VAULT_CACERT=str(tmp_path / "ca.pem"))["server"][1]


def test_a_folder_says_it_whatever_its_files_are_called(doctor: Doctor, listening: Listening, tmp_path: Path) -> None:
    folder = tmp_path / "authorities"
    (folder / "more").mkdir(parents=True)
    (folder / "a.crt").write_text(listening.named.pem)
    (folder / "README").write_text("Ours.\n")
    assert "is not trusted" in doctor(listening.tls, 1, VAULT_CAPATH=str(folder))["server"][1]
    (folder / "more" / "b.pem").write_text(listening.shown.pem)
    assert doctor(listening.tls, VAULT_CAPATH=str(folder))["token"][0] == "good"


def test_a_file_goes_before_a_folder(doctor: Doctor, listening: Listening, tmp_path: Path) -> None:
    (tmp_path / "good").mkdir()
    (tmp_path / "good" / "ca.pem").write_text(listening.shown.pem)
    (tmp_path / "other.pem").write_text(listening.named.pem)
    both = {"VAULT_CACERT": str(tmp_path / "other.pem"), "VAULT_CAPATH": str(tmp_path / "good")}
    assert "is not trusted" in doctor(listening.tls, 1, **both)["server"][1]


@pytest.mark.parametrize("place", ["", "nowhere", "empty"])
@pytest.mark.parametrize("name", ["VAULT_CACERT", "VAULT_CAPATH"])
def test_where_there_are_no_authorities_the_variable_and_the_file_are_named(
    doctor: Doctor, listening: Listening, tmp_path: Path, name: str, place: str
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "ca.pem").write_text("nothing\n")
    value = tmp_path / (place if name == "VAULT_CAPATH" or place != "empty" else "empty/ca.pem")
    if not place:
        assert "is not trusted" in doctor(listening.tls, 1, **{name: ""})["server"][1]
        return
    given = {"VAULT_ADDR": listening.tls, "VAULT_TOKEN": "t", name: str(value)}
    done = CliRunner(env=given).invoke(client, ["doctor"])
    assert done.exit_code == 2
    assert name in done.output
    assert str(value) in done.output


def test_a_certificate_is_shown_and_another_name_looked_for(
    doctor: Doctor, listening: Listening, tmp_path: Path
) -> None:
    (tmp_path / "ca.pem").write_text(listening.named.pem)
    trusting = {"VAULT_CACERT": str(tmp_path / "ca.pem")}
    named = {**trusting, "VAULT_TLS_SERVER_NAME": _NAME}
    own = {"VAULT_CLIENT_CERT": str(listening.own[0]), "VAULT_CLIENT_KEY": str(listening.own[1])}
    assert doctor(listening.strict, **named, **own)["token"][0] == "good"
    assert "is not trusted" in doctor(listening.strict, 1, **trusting, **own)["server"][1]
    assert doctor(listening.strict, 1, **named)["server"][0] == "wrong"


@pytest.mark.parametrize("value", ["1", "true", "T", "TRUE"])
def test_who_trusts_anybody_is_warned_once(listening: Listening, value: str) -> None:
    given = {"VAULT_ADDR": listening.tls, "VAULT_TOKEN": str(listening.tenant.root.token), "VAULT_SKIP_VERIFY": value}
    done = CliRunner(env=given).invoke(client, ["doctor"])
    assert done.exit_code == 0, done.output
    assert done.stderr == "VAULT_SKIP_VERIFY is set: anybody in between can read the token\n"


def test_a_namespace_is_sent(doctor: Doctor, listening: Listening) -> None:
    vault_id = listening.tenant.vault_id
    assert doctor(listening.plain, VAULT_NAMESPACE=f"{vault_id}/")["token"][0] == "good"
    found = doctor(listening.plain, 1, VAULT_NAMESPACE="vault_of_others")
    assert "VAULT_NAMESPACE is vault_of_others" in found["token"][1]


def test_a_unix_socket_is_an_address_too(doctor: Doctor, listening: Listening) -> None:
    found = doctor(f"unix://{listening.socket}")
    assert found["token"][0] == "good"
    assert "no such file" in doctor(f"unix://{listening.socket}.none", 1)["server"][1]


@pytest.mark.parametrize(
    "address",
    [
        *("", "kms.example:8202", "ftp://kms.example", "http://", "http://kms..example:8202", "http://.example"),
        *("http://127.0.0.1:99999", "http://127.0.0.1/ü", "http://127.0.0.1/a b", "http://[::1", "unix://kms.sock"),
        *("unix:kms.sock", f"http://{'a' * 64}.example"),
    ],
)
def test_what_is_no_address_is_told_in_words(address: str) -> None:
    done = CliRunner(env={"VAULT_ADDR": address, "VAULT_TOKEN": "t"}).invoke(client, ["doctor"])
    assert done.exit_code == 2, done.output
    assert isinstance(done.exception, SystemExit)
    assert "address" in done.stderr


def test_who_has_no_home_has_no_token_there(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless(*_: object) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    done = CliRunner(env={"VAULT_ADDR": "http://127.0.0.1:1", "VAULT_TOKEN": ""}).invoke(client, ["tenants", "list"])
    assert done.exit_code == 2
    assert "no token: set VAULT_TOKEN" in done.stderr


# Beside the node.


def test_a_node_that_wants_certificates_is_well(listening: Listening) -> None:
    """Whoever has none is sent away, which says that somebody is there."""
    text = (listening.node.directory / "node.toml").read_text()
    head, *tables = re.split(r"(?=^\[\[listeners\]\])", text, flags=re.MULTILINE)
    path = listening.node.directory / "strict.toml"
    path.write_text(head + tables[2])
    done = CliRunner().invoke(layer, ["health", "--configuration", str(path), "--json"])
    assert (done.exit_code, json.loads(done.stdout)["state"]) == (0, "good"), done.output
    # The plain listener in the place of that: it speaks, and no TLS.
    path.write_text(head + re.sub(r"port = \d+", f"port = {listening.node.port}", tables[2], count=1))
    done = CliRunner().invoke(layer, ["health", "--configuration", str(path), "--json"])
    assert (done.exit_code, "does not speak TLS" in done.stdout) == (1, True), done.output


def test_a_node_behind_a_proxy_is_asked_where_that_is_not_in_the_way(listening: Listening) -> None:
    """A listener for proxies alone refuses who speaks for nobody: a node that is well would be started anew."""
    text = (listening.node.directory / "node.toml").read_text()
    head, plain, *_, socket = re.split(r"(?=^\[\[listeners\]\])", text, flags=re.MULTILINE)
    path, port = listening.node.directory / "proxied.toml", free_port()
    plain = re.sub(r"port = \d+", f"port = {port}", plain) + 'x_forwarded_for_authorized_addrs = ["10.0.0.1"]\n'
    path.write_text(head + plain + socket)

    def asked() -> tuple[int, str]:
        done = CliRunner().invoke(layer, ["health", "--configuration", str(path), "--json"])
        return done.exit_code, json.loads(done.stdout)["text"]

    assert asked() == (0, "it serves"), "by the socket"
    alone = Node.for_issuer((listening.node.directory / "alone"), sqlite_table, Issuer())
    alone.directory.mkdir()
    alone.listed, alone.further, alone.port = True, f"\n{plain}", port
    path.write_text(head + plain)
    assert asked()[0] == 1
    alone.start()
    try:
        code, told = asked()
        assert (code, "answers, and does not say how it is: missing x-forwarded-for" in told) == (0, True), told
        done = CliRunner().invoke(layer, ["health", "--configuration", str(path), "--serving"])
        assert done.exit_code == 1
    finally:
        alone.close()
