"""Audit devices of a real node, by the clients that operators use: what is in their lines, and what if they fail."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hvac
import pytest

from tests.conformance.vault_cli import VaultCli, find_vault
from tests.support.api import Answer, Api
from tests.support.node import Node, free_port, sqlite_table, wait_until
from tests.support.shared_node import shared_node
from tests.support.tenant import Tenant, make_tenant
from tests.support.tokens import Issuer

FILE = {"type": "file", "options": {"file_path": "audit.log"}}


@pytest.fixture(scope="module")
def port() -> int:
    """Where a collector may listen."""
    return free_port()


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("node")


@pytest.fixture(scope="module")
def node(directory: Path, port: int, issuer: Issuer) -> Iterator[Node]:
    """A node whose vaults may have devices of all types."""
    syslog = directory / "log.sock"
    further = f"""
[audit]
folder = "{directory / "audit"}"
vault_devices = ["file", "socket", "syslog"]
vault_file_bytes = "256 kB"
sockets = ["tcp://127.0.0.1:{port}"]
syslog = "{syslog}"
"""
    with shared_node(directory, sqlite_table, issuer, further=further) as node:
        yield node


@pytest.fixture
def tenant(node: Node, issuer: Issuer) -> Iterator[Tenant]:
    tenant = make_tenant(node, issuer)
    yield tenant
    tenant.operator.put("sys/seal")  # so that its devices are of no concern to others


@pytest.fixture
def other(node: Node, issuer: Issuer) -> Tenant:
    return make_tenant(node, issuer)


@pytest.fixture
def operator(node: Node, issuer: Issuer) -> Iterator[Api]:
    """The cluster's; its devices end with the test."""
    operator = Api(node.address, issuer.cluster_operator())
    yield operator
    for path in operator.get("sys/audit").data:
        assert operator.delete(f"sys/audit/{path.rstrip('/')}").status == 204


@pytest.fixture
def folder(directory: Path, tenant: Tenant) -> Path:
    """That of the files of the tenant's devices."""
    return directory / "audit/vaults" / tenant.vault_id


def lines(path: Path) -> list[Any]:
    """Return a file's entries, without the checkpoints among them."""
    found = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [entry for entry in found if entry["type"] != "checkpoint"]


def of(entries: list[Any], request_id: str) -> list[str]:
    """Return the types of the entries of a request."""
    return [entry["type"] for entry in entries if entry["request"]["id"] == request_id]


def test_by_the_vault_command_line(node: Node, tenant: Tenant, folder: Path, tmp_path: Path) -> None:
    """`vault audit enable`, `list` and `disable`, and a value found by `sys/audit-hash`."""
    vault = VaultCli(find_vault(), node.address, tmp_path)
    vault.login(tenant.root.token or "")
    none = vault("audit", "list", code=2)
    assert "No audit devices are enabled" in none.out + none.err
    enabled = vault("audit", "enable", "-description=all of it", "file", "file_path=audit.log")
    assert "Enabled the file audit device at: file/" in enabled.out
    listed = vault("audit", "list", "-detailed").columns
    assert listed[0]["Path"] == "file/"
    assert listed[0]["Options"] == "file_path=audit.log"
    vault("kv", "put", "secret/x", "password=hunter2")
    found = vault("write", "-field=hash", "sys/audit-hash/file", "input=hunter2").out.strip()
    shown = [e["request"]["data"]["data"]["password"] for e in lines(folder / "audit.log") if is_put(e)]
    assert shown == [found, found]
    refused = vault("audit", "enable", "-path=other", "file", "file_path=/etc/passwd", code=2)
    assert "names a file of the folder" in refused.err
    assert "Disabled audit device" in vault("audit", "disable", "file/").out
    before = (folder / "audit.log").stat().st_size
    vault("kv", "get", "secret/x")
    assert (folder / "audit.log").stat().st_size == before


def is_put(entry: Any) -> bool:
    return bool(entry["request"]["path"] == "secret/data/x" and entry["request"]["operation"] == "update")


def test_by_hvac(tenant: Tenant, folder: Path) -> None:
    client = hvac.Client(url=tenant.root.address, token=tenant.root.token)
    try:
        client.sys.enable_audit_device("file", options={"file_path": "audit.log"}, path="mine")
        assert client.sys.list_enabled_audit_devices()["data"]["mine/"]["type"] == "file"
        hashed = client.sys.calculate_hash("mine", "x")["data"]["hash"]
        assert hashed.startswith("hmac-sha256:")
        client.sys.disable_audit_device("mine")
        assert client.sys.list_enabled_audit_devices()["data"] == {}
    finally:
        client.adapter.close()
    assert lines(folder / "audit.log")[-1]["request"]["path"] == "sys/audit/mine"


def test_the_id_of_an_answer_is_that_of_its_two_entries(tenant: Tenant, folder: Path) -> None:
    tenant.root.put("sys/audit/file", FILE)
    for answer in (
        tenant.user.post("secret/data/x", {"data": {"a": "b"}}),
        tenant.user.get("secret/data/x"),
        tenant.user.list("secret/metadata"),
        tenant.user.post("transit/keys/k"),
        tenant.user.post("transit/encrypt/k", {"plaintext": "YWJj"}),
        tenant.user.get("auth/token/lookup-self"),
    ):
        assert of(lines(folder / "audit.log"), answer.json["request_id"]) == ["request", "response"]


def test_refusals_and_failed_logins_have_entries_too(tenant: Tenant, folder: Path) -> None:
    tenant.root.put("sys/audit/file", FILE)
    tenant.root.post("sys/auth/userpass", {"type": "userpass"})
    tenant.root.post("auth/userpass/users/me", {"password": "hunter2-hunter2"})
    nobody = Api(tenant.root.address, None, {"X-Vault-Namespace": tenant.vault_id})
    assert nobody.post("auth/userpass/login/me", {"password": "wrong-canary"}).status == 400
    assert nobody.post("auth/userpass/login/me", {"password": "hunter2-hunter2"}).status == 200
    assert tenant.user.put("sys/audit/other", FILE).status == 403
    assert tenant.user.get("nosuch/x").status == 404
    assert tenant.user.post("secret/data/x", {"data": "no object"}).status == 400
    revoked = tenant.root.post("auth/token/create").json["auth"]["client_token"]
    assert tenant.root.post("auth/token/revoke", {"token": revoked}).status == 204
    entries = lines(folder / "audit.log")
    failed, logged_in, denied, missing, wrong = (
        [e for e in entries if e["request"]["path"] == path and e["type"] == "response"]
        for path in (
            "auth/userpass/login/me",
            "auth/userpass/login/me",
            "sys/audit/other",
            "nosuch/x",
            "secret/data/x",
        )
    )
    assert "invalid username or password" in failed[0]["error"]
    assert (logged_in[1]["auth"]["token_type"], "client_token" in logged_in[1]["auth"]) == ("service", True)
    assert denied[0]["error"] == "1 error occurred:\n\t* permission denied\n\n"
    assert denied[0]["auth"]["policy_results"] == {"allowed": False}
    assert "no handler for route" in missing[0]["error"]
    assert wrong[0]["error"]
    assert "hunter2" not in (folder / "audit.log").read_text()
    assert "wrong-canary" not in (folder / "audit.log").read_text()


def test_a_tenant_sees_and_steers_its_own_devices_alone(
    tenant: Tenant, folder: Path, other: Tenant, operator: Api, directory: Path
) -> None:
    assert tenant.root.put("sys/audit/file", FILE).status == 204
    assert operator.put("sys/audit/all", {"type": "file", "options": {"file_path": "all.log"}}).status == 204
    for stranger in (other.root, operator):
        assert "file/" not in stranger.get("sys/audit").data
        assert stranger.delete("sys/audit/file").status == 204  # there is none
    assert list(tenant.root.get("sys/audit").data) == ["file/"]
    assert other.root.post("sys/audit-hash/file", {"input": "x"}).errors == ['unknown audit backend "file/"']
    assert tenant.user.get("sys/audit").status == 403
    assert tenant.root.with_headers(**{"X-Vault-Namespace": other.vault_id}).delete("sys/audit/file").status == 403
    theirs = other.user.get("secret/data/theirs-alone")
    assert theirs.status == 404
    assert "theirs-alone" not in (folder / "audit.log").read_text()
    of_node = [e for e in lines(directory / "audit/node/all.log") if e["request"]["path"].endswith("theirs-alone")]
    assert [e["request"]["namespace"]["id"] for e in of_node] == [other.vault_id] * 2


@pytest.mark.parametrize(
    ("device", "why"),
    [
        ({"type": "file", "options": {"file_path": "../../x"}}, "names a file of the folder"),
        ({"type": "file", "options": {"file_path": "stdout"}}, "stdout is the node's"),
        ({"type": "socket", "options": {"address": "127.0.0.1:22"}}, "audit.sockets"),
        ({"type": "socket", "options": {"address": "/run/x", "socket_type": "unix"}}, "audit.sockets"),
        ({"type": "syslog"}, "cannot be written to"),  # nobody listens there
    ],
)
def test_a_tenant_names_only_what_the_configuration_allows(tenant: Tenant, device: Any, why: str) -> None:
    assert why in tenant.root.put("sys/audit/x", device).errors[0]
    assert tenant.root.get("sys/audit").data == {}


def test_the_clusters_devices_show_no_values(operator: Api) -> None:
    raw = {"type": "file", "options": {"file_path": "raw.log", "log_raw": "true"}}
    assert "log_raw" in operator.put("sys/audit/raw", raw).errors[0]


def test_the_nodes_standard_output_gets_the_entries_of_all_vaults(
    node: Node, tenant: Tenant, other: Tenant, operator: Api
) -> None:
    """Beside another device, each by its own options; and nothing more once it is disabled."""
    output = {"type": "file", "options": {"file_path": "stdout", "prefix": "audit: ", "elide_list_responses": "true"}}
    assert operator.put("sys/audit/out", output).status == 204
    assert operator.put("sys/audit/all", {"type": "file", "options": {"file_path": "beside.log"}}).status == 204
    shown = operator.get("sys/audit").data["out/"]
    assert (shown["type"], shown["options"]["file_path"]) == ("file", "stdout")
    asked = [each.user.post("secret/data/x", {"data": {"a": CANARY}}).json["request_id"] for each in (tenant, other)]
    entries = [
        json.loads(line.removeprefix("audit: ")) for line in node.log.splitlines() if line.startswith("audit: ")
    ]
    for request_id, each in zip(asked, (tenant, other), strict=True):
        assert of(entries, request_id) == ["request", "response"]
        found = next(entry for entry in entries if entry["request"]["id"] == request_id)
        assert found["request"]["namespace"]["id"] == each.vault_id
        assert found["request"]["data"]["data"]["a"].startswith("hmac-sha256:")
    assert operator.delete("sys/audit/out").status == 204
    later = tenant.user.get("secret/data/x").json["request_id"]
    assert later not in node.log
    assert CANARY not in node.log


#: Options of a device, and what its entry of a list, asked for with a header, has then.
DEVICES: dict[str, tuple[dict[str, str], dict[str, Any]]] = {
    "plain": ({}, {"accessor": "hmac", "keys": ["hmac"], "header": "hmac"}),
    "raw": ({"log_raw": "true"}, {"accessor": "shown", "keys": ["listed"], "header": "shown"}),
    "named": ({"hmac_accessor": "false"}, {"accessor": "shown", "keys": ["hmac"], "header": "hmac"}),
    "counted": ({"elide_list_responses": "true"}, {"accessor": "hmac", "keys": 1, "header": "hmac"}),
}


def test_each_device_has_its_own_options_and_is_told_its_own_hashes(tenant: Tenant, folder: Path) -> None:
    """Several at once; what one shows, another hides."""
    root = tenant.root
    assert root.post("secret/data/listed", {"data": {}}).status == 200
    assert root.post("sys/config/auditing/request-headers/X-Who", {"hmac": True}).status == 204
    devices = {name: options for name, (options, _) in DEVICES.items()}
    devices["begun"] = {"prefix": "@cee: "}
    devices["lists"] = {"filter": 'operation == list and "metadata" in path'}
    devices["none"] = {"filter": "path == nowhere"}
    for name, options in devices.items():
        device = {"type": "file", "options": {"file_path": f"{name}.log", "proof": "off", **options}}
        assert root.put(f"sys/audit/{name}", device).status == 204
    accessor = root.get("auth/token/lookup-self").data["accessor"]
    asked = root.with_headers(**{"X-Who": "me"}).list("secret/metadata/").json["request_id"]

    def seen(name: str, value: Any, plain: str) -> Any:
        if isinstance(value, list):
            return [seen(name, each, "listed") if each != "listed" else each for each in value]
        if not isinstance(value, str):
            return value
        told = root.post(f"sys/audit-hash/{name}", {"input": plain}).data["hash"]
        return {told: "hmac", plain: "shown"}[value]

    for name, (_, expected) in DEVICES.items():
        (entry,) = [
            e for e in lines(folder / f"{name}.log") if e["request"]["id"] == asked and e["type"] == "response"
        ]
        found = {
            "accessor": seen(name, entry["auth"]["accessor"], accessor),
            "keys": seen(name, entry["response"]["data"]["keys"], "listed"),
            "header": seen(name, entry["request"]["headers"]["x-who"][0], "me"),
        }
        assert found == expected, name
    begun = (folder / "begun.log").read_text(encoding="utf-8").splitlines()
    assert all(line.startswith('@cee: {"') for line in begun)
    chosen = [e for e in lines(folder / "lists.log") if e["request"]["path"] != "sys/audit/test"]
    assert {e["request"]["id"] for e in chosen} == {asked}
    assert [e for e in lines(folder / "none.log") if e["request"]["path"] != "sys/audit/test"] == []


def test_a_collector_that_takes_nothing_holds_up_its_own_vault_alone(
    tenant: Tenant, other: Tenant, port: int
) -> None:
    """Its buffers fill, then what is asked of its vault is refused; nobody else waits."""
    large = {"batch_input": [{"input": base64.b64encode(os.urandom(60)).decode()} for _ in range(400)]}
    assert tenant.root.post("transit/keys/k").status == 200
    with socket.create_server(("127.0.0.1", port)) as listener:
        device = {"type": "socket", "options": {"address": f"127.0.0.1:{port}", "write_timeout": "500ms"}}
        assert tenant.root.put("sys/audit/socket", device).status == 204
        taken, _ = listener.accept()
        with taken:
            answered = 200
            for _ in range(1000):
                if answered != 200:
                    break
                answered = tenant.root.post("transit/hmac/k", large).status
                assert other.user.post("secret/data/x", {"data": {"a": "b"}}).status == 200
            assert answered == 500
            listener.close()  # else a new connection has room
            refused = refuse(tenant)
            assert "no audit device could record the request" in refused.errors[0]
            assert other.user.get("secret/data/x").status == 200
    assert tenant.root.get("sys/health").status == 200


def test_moved_away_and_opened_anew_at_sighup(node: Node, tenant: Tenant, folder: Path) -> None:
    """Rotation: what was written is in the old file, what comes is in a new one, and nothing is in neither."""
    tenant.root.put("sys/audit/file", FILE)
    first = tenant.user.get("auth/token/lookup-self").json["request_id"]
    (folder / "audit.log").rename(folder / "audit.log.1")
    second = tenant.user.get("auth/token/lookup-self").json["request_id"]
    os.kill(node.pid, signal.SIGHUP)
    wait_until((folder / "audit.log").exists, "the file is opened anew")
    third = tenant.user.get("auth/token/lookup-self").json["request_id"]
    assert of(lines(folder / "audit.log.1"), first) == of(lines(folder / "audit.log.1"), second)
    assert of(lines(folder / "audit.log"), third) == ["request", "response"]
    assert (folder / "audit.log").stat().st_mode & 0o777 == 0o600


def test_a_file_that_is_as_large_as_it_may_be_ends_its_vault_until_it_is_rotated(
    node: Node, tenant: Tenant, folder: Path, other: Tenant
) -> None:
    tenant.root.put("sys/audit/file", FILE)
    wait_until(lambda: tenant.user.get("auth/token/lookup-self").status == 500, "256 kB are written")
    filling = {"data": {"a": "b"}}  # whose lines are shorter
    wait_until(lambda: tenant.user.post("secret/data/filling", filling).status == 500, "nor is there room for others")
    refused = refuse(tenant)
    assert "no audit device could record the request" in refused.errors[0]
    assert other.user.post("secret/data/x", {"data": {"a": "b"}}).status == 200
    (folder / "audit.log").rename(folder / "audit.log.1")
    os.kill(node.pid, signal.SIGHUP)
    wait_until(lambda: tenant.user.get("auth/token/lookup-self").status == 200, "the file is opened anew")
    assert tenant.user.get("secret/data/refused-4").status == 404, "what was refused was done"
    assert "kms_audit_failures_total" in Api(node.metrics_address).call("GET", "/metrics").body.decode()


def refuse(tenant: Tenant) -> Answer:
    """Have writes refused; return the answer to the last one, for whose own entry there is no room."""
    answers = [tenant.user.post(f"secret/data/refused-{n}", {"data": {"a": "b"}}) for n in range(5)]
    assert [answer.status for answer in answers] == [500] * 5
    return answers[-1]


class Collector:
    """Listens on TCP, and keeps what it is sent."""

    def __init__(self, port: int) -> None:
        self._listener = socket.create_server(("127.0.0.1", port))
        self._taken: list[socket.socket] = []
        self.data = b""
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                taken, _ = self._listener.accept()
                self._taken.append(taken)
                threading.Thread(target=self._read, args=(taken,), daemon=True).start()

    def _read(self, taken: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := taken.recv(65536):
                self.data += data

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for taken in self._taken:
            with contextlib.suppress(OSError):
                taken.shutdown(socket.SHUT_RDWR)
            taken.close()


def test_a_collector_that_dies_ends_its_vault_unless_another_device_has_the_entry(
    tenant: Tenant, port: int, folder: Path
) -> None:
    collector = Collector(port)
    device = {"type": "socket", "options": {"address": f"127.0.0.1:{port}"}}
    assert tenant.root.put("sys/audit/socket", device).status == 204
    made = tenant.user.post("secret/data/x", {"data": {"a": "b"}})
    assert made.status == 200
    wait_until(lambda: collector.data.count(made.json["request_id"].encode()) == 2, "both entries have arrived")
    collector.close()
    refused = tenant.user.post("secret/data/x", {"data": {"a": "c"}})
    assert (refused.status, "internal error" in refused.errors[0]) == (500, True)
    again = Collector(port)
    try:
        wait_until(lambda: tenant.user.get("secret/data/x").status == 200, "the collector is found again")
        assert tenant.user.get("secret/data/x").data["data"] == {"a": "b"}
        assert tenant.root.put("sys/audit/file", FILE).status == 204
    finally:
        again.close()
    kept = tenant.user.post("secret/data/x", {"data": {"a": "d"}})
    assert kept.status == 200
    assert of(lines(folder / "audit.log"), kept.json["request_id"]) == ["request", "response"]


def test_the_systems_log_gets_a_message_a_line(directory: Path, tenant: Tenant) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
        log.bind(str(directory / "log.sock"))
        log.settimeout(10)
        try:
            options = {"facility": "LOCAL1", "tag": "kms"}
            assert tenant.root.put("sys/audit/log", {"type": "syslog", "options": options}).status == 204
            message = log.recv(1 << 16)
        finally:
            (directory / "log.sock").unlink()
        assert message.startswith(b"<142>")
        assert b" kms[" in message
        assert json.loads(message[message.index(b"{") :])["request"]["path"] == "sys/audit/test"


def test_a_full_disk_and_a_removed_folder_end_what_depends_on_them(
    directory: Path, tenant: Tenant, folder: Path
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root mounts a small file system")
    folder.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48k", "tmpfs", str(folder)], check=True)
    try:
        assert tenant.root.put("sys/audit/file", FILE).status == 204
        wait_until(lambda: tenant.user.get("auth/token/lookup-self").status == 500, "the disk is full")
        refuse(tenant)
        (folder / "audit.log").write_bytes(b"")  # somebody makes room
        assert tenant.user.get("secret/data/refused-4").status == 404, "what was refused was done"
        for entry in (folder / "audit.log").read_text().splitlines():
            json.loads(entry or "{}")
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)
    (folder / "audit.log").unlink(missing_ok=True)


def test_a_folder_that_was_removed_is_not_made_anew(tenant: Tenant, folder: Path) -> None:
    assert tenant.root.put("sys/audit/file", FILE).status == 204
    (folder / "audit.log").unlink()
    folder.rmdir()
    assert tenant.user.get("secret/data/x").status == 500
    folder.mkdir()
    assert tenant.user.get("secret/data/x").status == 404


CANARY = "canary-Zm9vYmFy-secret"


def test_a_canary_is_in_no_line_of_any_device(tenant: Tenant, operator: Api, folder: Path, directory: Path) -> None:
    """Whatever is sent and answered as a secret, of each kind of request, also of those that are refused."""
    assert operator.put("sys/audit/all", {"type": "file", "options": {"file_path": "canary.log"}}).status == 204
    assert tenant.root.put("sys/audit/file", FILE).status == 204
    root, user = tenant.root, tenant.user
    data = {"data": {"a": CANARY, "deep": [{"b": [CANARY]}]}, "options": {"cas": 0}}
    encoded = base64.b64encode(CANARY.encode()).decode()
    root.post("sys/mounts/plain", {"type": "kv", "description": CANARY, "options": {"version": "1"}})
    root.post("sys/auth/userpass", {"type": "userpass"})
    root.post("auth/userpass/users/me", {"password": CANARY})
    user.post("transit/keys/k")
    made = root.post("auth/token/create", {"meta": {"who": "me"}, "explicit_max_ttl": "1h"}).json["auth"]
    nobody = Api(root.address, None, {"X-Vault-Namespace": tenant.vault_id})
    answers = [
        user.post("secret/data/x", data),
        user.post("secret/data/x", data),  # refused by its `cas`
        user.get("secret/data/x"),
        user.post("plain/x", {"a": CANARY}),
        user.get("plain/x"),
        user.call(
            "PATCH", "secret/data/x", {"data": {"c": CANARY}}, {"Content-Type": "application/merge-patch+json"}
        ),
        user.post("secret/metadata/x", {"custom_metadata": {"a": CANARY}}),
        user.get("secret/metadata/x"),
        user.post("transit/encrypt/k", {"plaintext": encoded}),
        user.post("transit/encrypt/k", {"batch_input": [{"plaintext": encoded}] * 300}),
        user.post("transit/encrypt/k", {"plaintext": CANARY}),  # no base64
        user.post("transit/encrypt/k", {"batch_input": CANARY}),
        user.post("transit/hmac/k", {"input": encoded}),
        user.post("transit/decrypt/k", {"ciphertext": f"vault:v1:{CANARY}"}),
        user.post("secret/data/y", {CANARY: CANARY, "data": CANARY}),
        user.get(f"secret/data/x?version={CANARY}"),
        user.post("cubbyhole/x", {"a": CANARY}),
        root.post("cubbyhole/x", {"a": CANARY}),
        root.get("cubbyhole/x"),
        root.with_headers(**{"X-Vault-Wrap-TTL": "60"}).post("sys/wrapping/wrap", {"a": CANARY}),
        nobody.post("auth/userpass/login/me", {"password": CANARY}),
        nobody.post("auth/userpass/login/me", {"password": f"x{CANARY}"}),
        nobody.post("auth/userpass/login/me", CANARY.encode()),
        root.post("auth/token/lookup", {"token": made["client_token"]}),
        root.post("auth/token/create", {"id": CANARY}),
        root.post("sys/audit-hash/file", {"input": CANARY}),
        root.post("sys/policies/acl/p", {"policy": f'path "{CANARY}" {{'}),
        user.with_token(CANARY).get("secret/data/x"),
        user.with_headers(Authorization=f"Bearer {CANARY}", Cookie=CANARY).get("secret/data/x"),
        operator.post("sys/audit-hash/all", {"input": CANARY}),
    ]
    wrapped = answers[19].json["wrap_info"]["token"]
    answers.append(user.with_token(wrapped).post("sys/wrapping/unwrap"))
    assert answers[-1].status == 200
    secrets = [CANARY, encoded, made["client_token"], wrapped, root.token or "-", user.token or "-"]
    for path in (folder / "audit.log", directory / "audit/node/canary.log"):
        text = path.read_text(encoding="utf-8").replace(f'"{CANARY}":', "")  # names of fields are shown, as in Vault
        assert len(text.splitlines()) > 60
        for secret in secrets:
            assert secret not in text, secret[:8]
