"""Seal, health, mounts and tokens over the wire."""

from __future__ import annotations

import re
from typing import Any, Final

import pytest

from tests.support.api import Api
from tests.support.node import Node
from tests.support.tenant import Tenant
from tests.support.tokens import Issuer, new_vault_id


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("", 200),
        ("?standbyok=true", 200),
        ("?activecode=299", 299),
        ("?sealedcode=299", 200),
        ("?uninitcode=abc", 400),
        ("?activecode=abc", 400),
    ],
)
def test_health_codes(node: Node, query: str, status: int) -> None:
    answer = Api(node.address).get(f"sys/health{query}")
    assert answer.status == status
    head = Api(node.address).call("HEAD", f"sys/health{query}")
    assert (head.status, head.body) == (status, b"")
    if status != 400:
        health = answer.json
        assert isinstance(health.pop("server_time_utc"), int)
        assert re.match(r"\d+\.\d+\.\d+", health.pop("version"))
        assert health == {
            "initialized": True,
            "sealed": False,
            "standby": False,
            "performance_standby": False,
            "replication_performance_mode": "disabled",
            "replication_dr_mode": "disabled",
            "cluster_name": "kms-c1",
            "cluster_id": "ab3c4b32-97e0-5972-9992-5765b6ede481",
        }


def test_seal_status_and_leader_need_no_token(node: Node) -> None:
    status = Api(node.address).get("sys/seal-status").json
    assert re.match(r"\d+\.\d+\.\d+", status.pop("version"))
    assert status == {
        "type": "n/a",
        "initialized": True,
        "sealed": False,
        "t": 3,
        "n": 5,
        "progress": 0,
        "nonce": "",
        "build_date": "n/a",
        "commit_date": "n/a",
        "migration": False,
        "cluster_name": "kms-c1",
        "cluster_id": "ab3c4b32-97e0-5972-9992-5765b6ede481",
        "recovery_seal": False,
        "storage_type": "n/a",
    }
    leader = Api(node.address).get("sys/leader").json
    assert (leader["ha_enabled"], leader["active_time"]) == (False, "0001-01-01T00:00:00Z")
    assert Api(node.address).get("sys/init").json == {"initialized": True}


STRUCT: Final = "failed to parse JSON input: json: cannot unmarshal string into Go struct field"
SEAL: Final = "invalid seal configuration: "


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({}, f"{SEAL}shares must be at least one"),
        ({"secret_shares": 5}, f"{SEAL}threshold must be at least one"),
        ({"secret_shares": 5, "secret_threshold": 6}, f"{SEAL}threshold cannot be larger than shares"),
        (
            {"secret_shares": 5, "secret_threshold": 1},
            f"{SEAL}threshold must be greater than one for multiple shares",
        ),
        ({"secret_shares": 256, "secret_threshold": 3}, f"{SEAL}shares must be less than 256"),
        ({"secret_shares": -1, "secret_threshold": -1}, f"{SEAL}shares must be at least one"),
        (
            {"secret_shares": "5", "secret_threshold": 3},
            f"{STRUCT} InitRequest.secret_shares of type int",
        ),
        (
            {"secret_shares": 5, "secret_threshold": 3, "recovery_shares": 5},
            "parameters recovery_shares not applicable to seal type shamir",
        ),
    ],
)
def test_init_refusals(node: Node, issuer: Issuer, body: Any, error: str) -> None:
    newcomer = Api(node.address, issuer.tenant_operator(new_vault_id()))
    answer = newcomer.put("sys/init", body)
    assert (answer.status, answer.errors) == (400, [error])
    assert newcomer.get("sys/init").json == {"initialized": False}


def test_init_again_is_refused(operator: Api) -> None:
    answer = operator.put("sys/init", {"secret_shares": 1, "secret_threshold": 1})
    assert (answer.status, answer.errors) == (400, ["Vault is already initialized"])


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({}, "'key' must be specified in request body as JSON, or 'reset' set to true"),
        ({"key": ""}, "'key' must be specified in request body as JSON, or 'reset' set to true"),
        ({"key": "!!!!"}, "'key' must be a valid hex or base64 string"),
        ({"key": "abcd"}, "invalid key: key is shorter than minimum 16 bytes"),
        ({"key": "ab" * 72}, "invalid key: key is longer than maximum 33 bytes"),
        ({"reset": True}, "vault is unsealed"),
    ],
)
def test_unseal_refusals(operator: Api, body: Any, error: str) -> None:
    answer = operator.put("sys/unseal", body)
    assert (answer.status, answer.errors) == (400, [error])


def test_share_for_an_unsealed_tenant_answers_its_status(prepared: Tenant) -> None:
    status = prepared.operator.put("sys/unseal", {"key": prepared.shares[0]}).json
    assert (status["sealed"], status["progress"]) == (False, 0)


def test_unseal_before_init_is_refused(node: Node, issuer: Issuer) -> None:
    newcomer = Api(node.address, issuer.tenant_operator(new_vault_id()))
    answer = newcomer.put("sys/unseal", {"key": "01" * 33})
    assert (answer.status, answer.errors) == (400, ["Vault is not initialized"])


def test_sealed_tenant_answers_503_and_its_status(tenant: Tenant) -> None:
    for _ in range(2):
        assert tenant.operator.post("sys/seal").status == 204
    for path in ("secret/data/a", "transit/keys/a", "sys/mounts", "sys/internal/ui/mounts/secret/a", "nothing/x"):
        answer = tenant.user.get(path)
        assert (answer.status, answer.errors) == (503, ["Vault is sealed"])
    assert tenant.user.get("sys/seal-status").json["sealed"] is True
    assert tenant.user.get("auth/token/lookup-self").status == 200


def test_mounts_are_shown_twice(user: Api) -> None:
    body = user.get("sys/mounts").json
    assert set(body["data"]) >= {"secret/", "transit/"}
    assert {name: body[name] for name in body["data"]} == body["data"]
    mount = user.get("sys/mounts/secret").data
    assert (mount["type"], mount["options"], mount["local"]) == ("kv", {"version": "2"}, False)
    assert {"accessor", "config", "description", "uuid", "seal_wrap"} <= set(mount)
    missing = user.get("sys/mounts/nothing")
    assert (missing.status, missing.errors) == (400, ["No secret engine mount at nothing/"])


def test_preflight_of_kv_commands(user: Api) -> None:
    for path in ("secret", "secret/creds", "secret/a/b"):
        found = user.get(f"sys/internal/ui/mounts/{path}").data
        assert (found["path"], found["type"], found["options"]) == ("secret/", "kv", {"version": "2"})
    refused = user.get("sys/internal/ui/mounts/nothing/x")
    text = "preflight capability check returned 403, please ensure client's policies grant access to path"
    assert (refused.status, refused.errors) == (403, [f'{text} "nothing/x/"'])


def test_capabilities(user: Api, operator: Api) -> None:
    one = user.post("sys/capabilities-self", {"path": "secret/data/x"}).json
    all_but_sudo = ["create", "delete", "list", "patch", "read", "scan", "update"]
    assert one["data"] == {"capabilities": all_but_sudo, "secret/data/x": all_but_sudo}
    assert one["secret/data/x"] == all_but_sudo
    two = operator.post("sys/capabilities-self", {"paths": ["secret/data/x", "sys/mounts/x"]}).data
    assert two == {"secret/data/x": ["root"], "sys/mounts/x": ["root"]}
    none = user.post("sys/capabilities-self", {})
    assert (none.status, none.errors) == (400, ["paths must be supplied"])


def test_lookup_of_a_biscuit(prepared: Tenant) -> None:
    found = prepared.user.get("auth/token/lookup-self").data
    assert (found["id"], found["accessor"], found["policies"]) == (prepared.user.token, "n/a", ["default"])
    assert (found["ttl"], found["expire_time"], found["renewable"]) == (0, None, False)
    assert (found["type"], found["identity_policies"], found["meta"]) == ("service", [], None)


def test_lookup_of_the_initial_root_token(prepared: Tenant) -> None:
    found = prepared.root.get("auth/token/lookup-self").data
    assert (found["id"], found["policies"], found["path"]) == (prepared.root.token, ["root"], "auth/token/root")
    assert len(found["accessor"]) == 24
    assert (found["ttl"], found["orphan"], found["type"]) == (0, True, "service")


def test_mounting(tenant: Tenant) -> None:
    operator = tenant.operator
    assert operator.post("sys/mounts/team", {"type": "kv-v2", "description": "ours"}).status == 204
    again = operator.post("sys/mounts/team", {"type": "kv-v2"})
    assert (again.status, again.errors) == (400, ["path is already in use at team/"])
    assert operator.post("sys/mounts/team/tune", {"description": "theirs"}).status == 204
    assert operator.get("sys/mounts/team/tune").data["description"] == "theirs"
    for _ in range(2):
        assert operator.delete("sys/mounts/team").status == 204
    assert operator.get("team/data/x").status == 404
    for path, word in (("sys", "mount"), ("auth", "mount")):
        refused = operator.post(f"sys/mounts/{path}", {"type": "kv-v2"})
        assert (refused.status, refused.errors) == (400, [f'cannot {word} "{path}/"'])
    refused = operator.delete("sys/mounts/sys")
    assert (refused.status, refused.errors) == (400, ['cannot unmount "sys/"'])
