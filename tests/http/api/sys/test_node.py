"""What the node tells of itself, and to whom.

The kind: what a machine is, or which vaults there are, told to one of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

from kms_actors import API_VERSION
from kms_actors.insight.messages import FindVault, ListMembers, ListVaults, ListVersions, ReadHost, ReadSettings
from kms_actors.insight.records import InstalledVersion, Member
from kms_actors.mounts import LOGIN_TYPES
from kms_http.api.sys.plugins import BUILT_IN

if TYPE_CHECKING:
    from tests.http.conftest import Service

_MEMBER: Final = Member("n1", "host-1", "https://host-1:8202", "1.14.2", 1.8e9, 1.8e9 + 5, sealed=False)
#: Path, what the node is asked, what it answers, and a field of what is shown.
OF_OPERATORS: Final[list[tuple[str, type[Any], Any, str]]] = [
    ("sys/host-info", ReadHost, {"host": {"hostname": "host-1"}}, "host"),
    ("sys/ha-status", ListMembers, [_MEMBER], "nodes"),
    ("sys/config/state/sanitized", ReadSettings, {"log_level": "info"}, "log_level"),
]


@pytest.mark.parametrize(("path", "kind", "answer", "shown"), OF_OPERATORS)
async def test_what_a_machine_is_is_told_to_operators_alone(
    service: Service, path: str, kind: type[Any], answer: Any, shown: str
) -> None:
    service.backend.answers[kind] = answer
    for token in ("root", "data"):
        assert (await service.call("GET", f"/v1/{path}", token)).status == 403
    assert (await service.call("GET", f"/v1/{path}")).status == 403
    assert service.backend.asked == []
    told = await service.call("GET", f"/v1/{path}", "operator")
    assert told.status == 200
    assert shown in told.json["data"]
    service.backend.node_sealed = True
    assert (await service.call("GET", f"/v1/{path}", "operator")).status == 200


async def test_nodes_are_shown_as_clients_read_them(service: Service) -> None:
    service.backend.answers[ListMembers] = [_MEMBER]
    answer = await service.call("GET", "/v1/sys/ha-status", "operator")
    (node,) = answer.json["nodes"]
    assert answer.json["data"]["nodes"] == [node]
    assert (node["hostname"], node["api_address"], node["active_node"], node["cluster_address"]) == (
        "host-1",
        "https://host-1:8202",
        True,
        "",
    )
    assert node["last_echo"] == "2027-01-15T08:00:05Z"


async def test_versions_are_told_to_who_runs_a_vault_or_the_cluster(service: Service) -> None:
    service.backend.answers[ListVersions] = [
        InstalledVersion("1.14.2+kms.0.1.0", 1.8e9),
        InstalledVersion("1.14.2+kms.0.2.0", 1.8e9 + 60, "1.14.2+kms.0.1.0"),
    ]
    for token in ("operator", "root"):
        answer = await service.call("LIST", "/v1/sys/version-history", token)
        assert answer.json["data"]["keys"] == ["1.14.2+kms.0.1.0", "1.14.2+kms.0.2.0"]
        assert answer.json["data"]["key_info"]["1.14.2+kms.0.2.0"] == {
            "build_date": "",
            "previous_version": "1.14.2+kms.0.1.0",
            "timestamp_installed": "2027-01-15T08:01:00Z",
        }
    assert (await service.call("LIST", "/v1/sys/version-history", "data")).status == 403
    assert (await service.call("GET", "/v1/sys/version-history", "root")).status == 405
    assert service.tenant.asked == []


async def test_operators_of_the_cluster_list_its_vaults_and_no_vault_does(service: Service) -> None:
    service.backend.answers[ListVaults] = [("vault_a", 3), ("vault_b", 4)]
    listed = await service.call("LIST", "/v1/sys/namespaces?after=vault_0/&limit=2", "operator")
    assert listed.json["data"]["keys"] == ["vault_a/", "vault_b/"]
    assert listed.json["data"]["key_info"]["vault_a/"]["id"] == "3"
    assert service.backend.asked == [ListVaults("vault_0", 2)]
    service.backend.answers[FindVault] = 3
    shown = await service.call("GET", "/v1/sys/namespaces/vault_a", "operator")
    assert shown.json["data"] == {"custom_metadata": {}, "id": "3", "path": "vault_a/"}
    asked = len(service.backend.asked)
    for method, path in (("LIST", "sys/namespaces"), ("GET", "sys/namespaces/vault_a")):
        assert (await service.call(method, f"/v1/{path}", "root")).status == 404
        assert (await service.call(method, f"/v1/{path}", "data")).status == 403
    assert len(service.backend.asked) == asked
    service.backend.answers[FindVault] = None
    assert (await service.call("GET", "/v1/sys/namespaces/none", "operator")).status == 404
    assert (await service.call("GET", "/v1/sys/internal/ui/namespaces", "data")).json["data"] == {}


async def test_nothing_is_replicated_and_that_is_no_error(service: Service) -> None:
    for token in ("data", "root", "operator"):
        answer = await service.call("GET", "/v1/sys/replication/status", token)
        assert (answer.status, answer.json["data"]) == (200, {"mode": "disabled"})
    assert (await service.call("GET", "/v1/sys/replication/status")).status == 403
    assert (await service.call("GET", "/v1/sys/replication/dr/status", "root")).status == 400


async def test_the_catalog_has_what_can_be_mounted(service: Service) -> None:
    answer = await service.call("GET", "/v1/sys/plugins/catalog", "root")
    assert answer.json["data"]["auth"] == sorted(LOGIN_TYPES)
    assert {(each["type"], each["name"], each["version"]) for each in answer.json["data"]["detailed"]} == {
        (kind, name, f"v{API_VERSION}") for kind, names in BUILT_IN.items() for name in names
    }
    for kind, names in BUILT_IN.items():
        listed = await service.call("LIST", f"/v1/sys/plugins/catalog/{kind}", "operator")
        assert listed.status == (200 if names else 404)
        for name in names:
            shown = await service.call("GET", f"/v1/sys/plugins/catalog/{kind}/{name}", "root")
            assert shown.json["data"]["builtin"] is True
    assert (await service.call("GET", "/v1/sys/plugins/catalog/secret/none", "root")).status == 404
    assert (await service.call("LIST", "/v1/sys/plugins/catalog/none", "root")).status == 405
    old = await service.call("GET", "/v1/sys/plugins/catalog/kv", "root")
    assert "Deprecated API endpoint" in old.json["warnings"][0]
    assert (await service.call("GET", "/v1/sys/plugins/catalog", "data")).status == 403


async def test_the_router_is_shown_by_each_tag(service: Service) -> None:
    for tag, places in (("root", True), ("storage", True), ("uuid", False), ("accessor", False)):
        answer = await service.call("GET", f"/v1/sys/internal/inspect/router/{tag}", "root")
        shown = {each["mount_path"]: each for each in answer.json["data"][tag]}
        assert {"sys/", "token/", "cubbyhole/", "identity/", "secret/", "door/"} <= shown.keys()
        assert ("storage_prefix" in shown["secret/"]) is places
        assert shown["secret/"]["mount_type"] == "kv"
    assert (await service.call("GET", "/v1/sys/internal/inspect/router/none", "root")).status == 404
    assert (await service.call("GET", "/v1/sys/internal/inspect/router/root", "data")).status == 403
