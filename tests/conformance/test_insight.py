"""What a real node tells of itself, by its operators' clients."""

from __future__ import annotations

from pathlib import Path

import pytest

from kms_actors import API_VERSION
from tests.conformance.vault_cli import VaultCli, find_vault
from tests.support.api import Api
from tests.support.node import Node
from tests.support.reference import find_bao
from tests.support.tenant import Tenant
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
