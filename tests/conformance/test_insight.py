"""What a real node tells of itself, by its operators' clients."""

from __future__ import annotations

import contextlib
import http.client
import json
import queue
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from kms_actors import API_VERSION
from tests.conformance.vault_cli import VaultCli, find_vault
from tests.support.api import TIMEOUT, Api, initialise, unseal
from tests.support.node import Node, sqlite_table
from tests.support.reference import find_bao
from tests.support.tenant import Tenant, make_tenant
from tests.support.tokens import Issuer


@pytest.fixture
def cluster_operator(node: Node, issuer: Issuer) -> Api:
    return Api(node.address, issuer.cluster_operator())


def test_a_node_tells_its_operators_of_itself(cluster_operator: Api, tenant: Tenant) -> None:
    host = cluster_operator.get("sys/host-info").data
    assert host["memory"]["total"] > host["memory"]["available"] > 0
    assert len(host["cpu"]) == len(host["cpu_times"]) > 0
    assert {disk["path"] for disk in host["disk"]} > {"/"}
    assert host["host"]["hostname"]
    (member,) = cluster_operator.get("sys/ha-status").data["nodes"]
    assert (member["api_address"], member["active_node"]) == (cluster_operator.address, True)
    assert cluster_operator.list("sys/version-history").data["keys"] == [API_VERSION]
    settings = cluster_operator.get("sys/config/state/sanitized").data
    assert settings["storage"] == {"type": "sqlite"}
    assert settings["listeners"][0]["config"]["address"] == cluster_operator.address.removeprefix("http://")
    assert f"{tenant.vault_id}/" in cluster_operator.list("sys/namespaces").data["keys"]
    assert cluster_operator.get(f"sys/namespaces/{tenant.vault_id}").data["path"] == f"{tenant.vault_id}/"


def test_tokens_and_entities_of_a_vault_are_counted(tenant: Tenant) -> None:
    def count(kind: str, what: str) -> int:
        return int(tenant.root.get(f"sys/internal/counters/{kind}").data["counters"][what]["total"])

    tokens, entities = count("tokens", "service_tokens"), count("entities", "entities")
    for number in range(3):
        assert tenant.root.post("auth/token/create", {"policies": ["default"]}).status == 200
        assert tenant.root.post("identity/entity", {"name": f"e{number}"}).status == 200
    assert count("tokens", "service_tokens") == tokens + 3
    assert count("entities", "entities") == entities + 3


def test_clients_of_a_vault_are_counted_by_months(cluster_operator: Api, tenant: Tenant) -> None:
    def counted(api: Api) -> tuple[int, int]:
        total = api.get("sys/internal/counters/activity").data["total"]
        assert total["clients"] == total["entity_clients"] + total["non_entity_clients"]
        return total["entity_clients"], total["non_entity_clients"]

    root = tenant.root
    root.post("sys/auth/approle", {"type": "approle"})
    for name, kind in (("service", "service"), ("batch", "batch")):
        root.post(f"auth/approle/role/{name}", {"token_type": kind, "token_policies": ["default"], "token_ttl": "1h"})
    assert counted(root) == (0, 0)
    for name in ("service", "batch"):
        role_id = root.get(f"auth/approle/role/{name}/role-id").data["role_id"]
        secret_id = root.post(f"auth/approle/role/{name}/secret-id", {}).data["secret_id"]
        for _ in range(3):
            sent = {"role_id": role_id, "secret_id": secret_id}
            answer = Api(root.address, "").call(
                "POST", "auth/approle/login", sent, headers={"X-Vault-Namespace": tenant.vault_id}
            )
            token = answer.json["auth"]["client_token"]
            assert root.with_token(token).get("auth/token/lookup-self").status == 200
    assert counted(root) == (2, 0)
    for _ in range(2):
        made = root.post("auth/token/create", {"policies": ["default"]}).json["auth"]["client_token"]
        assert root.with_token(made).get("auth/token/lookup-self").status == 200
    assert tenant.user.get("secret/data/none").status == 404
    assert counted(root) == (2, 2)
    data = root.get("sys/internal/counters/activity/monthly").data
    (space,) = data["by_namespace"]
    assert {each["mount_path"]: each["counts"]["clients"] for each in space["mounts"]} == {
        "auth/approle/": 2,
        "auth/token/": 1,
        "biscuits, by no mount": 1,
    }
    lines = root.get("sys/internal/counters/activity/export").body.splitlines()
    assert len(lines) == 4
    found = cluster_operator.get("sys/internal/counters/activity").data["by_namespace"]
    assert [each["counts"]["clients"] for each in found if each["namespace_path"] == f"{tenant.vault_id}/"] == [4]


def test_the_command_line_shows_clients_by_months(
    node: Node, cluster_operator: Api, tenant: Tenant, tmp_path: Path
) -> None:
    made = tenant.root.post("auth/token/create", {"policies": ["default"]}).json["auth"]["client_token"]
    assert tenant.root.with_token(made).get("auth/token/lookup-self").status == 200
    vault = VaultCli(find_vault(), node.address, tmp_path)
    vault.login(tenant.root.token or "")
    month = time.strftime("%Y-%m", time.gmtime())
    shown = vault("operator", "usage").out
    assert f"Period end: {month}" in shown
    rows = [re.split(r"\s{3,}", line.strip()) for line in shown.splitlines()]
    assert ["Namespace path", "Distinct entities", "Non-Entity tokens", "Active clients"] in rows
    assert [f"{tenant.vault_id}/", "0", "1", "1"] in rows
    assert rows[-1] == ["Total", "0", "1", "1"]
    of_month = vault("operator", "usage", f"-start-time={month}", f"-end-time={month}").out
    assert f"Period start: {month}-01T00:00:00Z" in of_month
    assert of_month.splitlines()[-1] == shown.splitlines()[-1]
    data = json.loads(vault("operator", "usage", "-format=json").out)["data"]
    assert data["total"]["non_entity_clients"] == 1
    long_ago = vault("operator", "usage", "-start-time=2001-01", "-end-time=2001-02")
    assert "No data is available for the given time range" in long_ago.err
    vault.login(cluster_operator.token or "")
    assert f"{tenant.vault_id}/" in vault("operator", "usage").out


def test_pages_that_may_send_requests_are_kept_for_the_cluster(cluster_operator: Api, tenant: Tenant) -> None:
    page = {"Origin": "https://console.example"}
    try:
        sent = {"allowed_origins": ["https://console.example"]}
        assert cluster_operator.post("sys/config/cors", sent).status == 204
        answer = tenant.user.call("GET", "sys/mounts", headers=page)
        assert answer.headers["access-control-allow-origin"] == "https://console.example"
        assert tenant.user.call("GET", "sys/mounts", headers={"Origin": "https://x.example"}).status == 403
    finally:
        assert cluster_operator.delete("sys/config/cors").status == 204
    assert "access-control-allow-origin" not in tenant.user.call("GET", "sys/mounts", headers=page).headers


def test_a_logger_that_is_not_there_is_refused_and_not_said_to_be_set(node: Node, cluster_operator: Api) -> None:
    answer = cluster_operator.post("sys/loggers/nowhere", {"level": "info"})
    assert (answer.status, answer.errors) == (400, ['logger "nowhere" not found'])
    assert cluster_operator.post("sys/loggers/kms_http", {"level": "info"}).status == 204
    assert cluster_operator.delete("sys/loggers/kms_http").status == 204
    assert "of=kms_http" in node.log
    assert "of=nowhere" not in node.log


@pytest.mark.parametrize("workers", [1, 2])
def test_the_log_is_followed_and_its_levels_set_in_all_processes(
    tmp_path: Path, issuer: Issuer, workers: int
) -> None:
    node = Node.for_issuer(tmp_path, sqlite_table, issuer, forked=True)
    node.settings = f"workers = {workers}"
    node.start()
    try:
        operator = Api(node.address, issuer.cluster_operator())
        unseal(operator, initialise(operator)["keys_base64"])
        assert operator.post("sys/config/cors", {"allowed_origins": ["*"]}).status == 204
        with following(operator) as lines:
            make_tenant(node, issuer)
            for _ in range(4):
                assert Api(node.address, "none").get("sys/mounts").status == 403
            assert wait_for(lines, b"unsealed: scope=vault_")
            assert wait_for(lines, b"token refused")
            assert operator.post("sys/loggers", {"level": "error"}).status == 204
            assert operator.get("sys/loggers").data["kms_actors.auth.biscuit"] == "error"
            before = node.log.count("token refused")
            assert {Api(node.address, "none").get("sys/mounts").status for _ in range(6)} == {403}
            assert node.log.count("token refused") == before
            assert operator.delete("sys/loggers").status == 204
            gauges = {each["Name"] for each in operator.get("sys/metrics").json["Gauges"]}
            assert "kms_node_sealed" in gauges
            assert b"kms_requests_total{" in operator.get("sys/metrics?format=prometheus").body
            shown = [Api(node.address).call("GET", "sys/health", headers={"Origin": "https://a"}) for _ in range(6)]
            assert all(answer.headers["access-control-allow-origin"] == "https://a" for answer in shown)
            began = time.monotonic()
            assert node.stop() == 0
            assert time.monotonic() - began < node.patience / 2  # nobody waits for who follows
    finally:
        node.close()


@contextlib.contextmanager
def following(operator: Api) -> Iterator[queue.Queue[bytes]]:
    """Give the lines of the log as they come."""
    url = urlsplit(operator.address)
    connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=TIMEOUT)
    connection.request("GET", "/v1/sys/monitor?log_level=debug", headers={"X-Vault-Token": operator.token or ""})
    response = connection.getresponse()
    assert response.status == 200
    lines: queue.Queue[bytes] = queue.Queue()

    def read() -> None:
        with contextlib.suppress(OSError, http.client.HTTPException):
            for line in response:
                lines.put(line)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        yield lines
    finally:
        reader.join(TIMEOUT)
        connection.close()


def wait_for(lines: queue.Queue[bytes], said: bytes) -> bytes:
    """Return the first line from now on that says it."""
    while said not in (line := lines.get(timeout=TIMEOUT)):
        pass
    return line


@pytest.mark.parametrize("program", ["bao", "vault"])
def test_command_lines_show_it(program: str, cluster_operator: Api, tenant: Tenant, tmp_path: Path) -> None:
    cli = VaultCli(find_bao() if program == "bao" else find_vault(), cluster_operator.address, tmp_path)
    assert cluster_operator.token is not None
    cli.login(cluster_operator.token)
    assert cluster_operator.address in cli("operator", "members").out
    assert API_VERSION in cli("version-history").out
    assert tenant.vault_id in cli("namespace", "list").out
    assert "kubernetes" in cli("plugin", "list").out
    assert "transit" in cli("plugin", "list", "secret").out
    assert "true" in cli("plugin", "info", "secret", "kv").out
