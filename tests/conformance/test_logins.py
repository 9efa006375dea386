"""Logins by the official command line and by hvac, as their users type them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hvac
import pytest
from hvac import exceptions

from tests.conformance.vault_cli import VaultCli, find_vault
from tests.support.api import Api
from tests.support.node import Node
from tests.support.tenant import Tenant


@pytest.fixture
def operator(tenant: Tenant, tmp_path: Path) -> VaultCli:
    """The command line with the root token of a vault of its own."""
    home = tmp_path / "operator"
    home.mkdir()
    (home / ".vault-token").write_text(tenant.root.token or "")
    return VaultCli(find_vault(), tenant.root.address, home)


@pytest.fixture
def newcomer(tenant: Tenant, tmp_path: Path) -> VaultCli:
    """The command line of somebody without a token."""
    home = tmp_path / "newcomer"
    home.mkdir()
    return VaultCli(find_vault(), tenant.root.address, home)


@pytest.fixture
def client(tenant: Tenant) -> Iterator[Any]:
    client = hvac.Client(url=tenant.root.address, token=tenant.root.token)
    yield client
    client.adapter.close()


@pytest.fixture
def nobody(tenant: Tenant) -> Iterator[Any]:
    client = hvac.Client(url=tenant.root.address, namespace=tenant.vault_id)
    yield client
    client.adapter.close()


class TestCommandLine:
    def test_auth_methods(self, operator: VaultCli) -> None:
        arguments = ("-path=people", "-description=ours", "-default-lease-ttl=1h", "-token-type=default-batch")
        assert "Success! Enabled userpass auth method" in operator("auth", "enable", *arguments, "userpass").out
        listed = json.loads(operator("auth", "list", "-format=json").out)
        assert list(listed) == ["people/", "token/"]
        assert listed["people/"]["config"]["default_lease_ttl"] == 3600
        assert "people/" in operator("auth", "list", "-detailed").out
        operator("auth", "tune", "-description=theirs", "-max-lease-ttl=2h", "-user-lockout-threshold=3", "people/")
        tuned = json.loads(operator("read", "-format=json", "sys/auth/people/tune").out)["data"]
        assert (tuned["description"], tuned["max_lease_ttl"], tuned["user_lockout_threshold"]) == ("theirs", 7200, 3)
        assert (
            "path is already in use at people/" in operator("auth", "enable", "-path=people", "userpass", code=2).err
        )
        assert "plugin not found in the catalog" in operator("auth", "enable", "nope", code=2).err
        operator("auth", "disable", "people/")
        assert list(json.loads(operator("auth", "list", "-format=json").out)) == ["token/"]

    def test_login_with_a_password(self, operator: VaultCli, newcomer: VaultCli, tenant: Tenant) -> None:
        operator("auth", "enable", "userpass")
        operator("write", "auth/userpass/users/ann", "password=right", "token_policies=readers", "token_ttl=1h")
        namespace = f"-namespace={tenant.vault_id}"
        refused = newcomer("login", namespace, "-method=userpass", "username=ann", "password=wrong", code=2)
        assert "invalid username or password" in refused.err
        shown = newcomer("login", namespace, "-method=userpass", "username=ann", "password=right").out
        assert '["default" "readers"]' in shown
        assert "token_meta_username    ann" in shown
        about = json.loads(newcomer("token", "lookup", "-format=json").out)["data"]
        assert (about["display_name"], about["path"]) == ("userpass-ann", "auth/userpass/login/ann")
        assert about["entity_id"]
        operator("auth", "disable", "userpass")
        newcomer("token", "lookup", code=2)

    def test_login_as_a_machine(self, operator: VaultCli, newcomer: VaultCli, tenant: Tenant) -> None:
        tenant.root.put("secret/data/app/db", {"data": {"password": "p"}})
        tenant.root.put("sys/policies/acl/app", {"policy": 'path "secret/data/app/*" { capabilities = ["read"] }'})
        operator("auth", "enable", "approle")
        arguments = ("token_policies=app", "secret_id_num_uses=1", "secret_id_ttl=10m", "token_ttl=20m")
        operator("write", "auth/approle/role/app", *arguments)
        role_id = operator("read", "-field=role_id", "auth/approle/role/app/role-id").out
        wrapped = operator(
            "write", "-wrap-ttl=60", "-f", "-field=wrapping_token", "auth/approle/role/app/secret-id"
        ).out
        secret_id = newcomer("unwrap", "-field=secret_id", wrapped).out
        namespace, ids = f"-namespace={tenant.vault_id}", (f"role_id={role_id}", f"secret_id={secret_id}")
        given = json.loads(newcomer("write", namespace, "-format=json", "auth/approle/login", *ids).out)["auth"]
        assert (given["policies"], given["lease_duration"]) == (["app", "default"], 1200)
        assert given["metadata"] == {"role_name": "app"}
        newcomer("login", given["client_token"])
        assert newcomer("kv", "get", "-mount=secret", "-field=password", "app/db").out == "p"
        assert "permission denied" in newcomer("kv", "put", "-mount=secret", "app/db", "a=b", code=2).err
        assert "invalid role or secret ID" in newcomer("write", namespace, "auth/approle/login", *ids, code=2).err
        assert operator("list", "auth/approle/role").out.split() == ["Keys", "----", "app"]
        assert "Tidy operation successfully started" in operator("write", "-f", "auth/approle/tidy/secret-id").err
        operator("auth", "disable", "approle")
        newcomer("token", "lookup", code=2)

    def test_batch_tokens(self, operator: VaultCli, newcomer: VaultCli, tenant: Tenant) -> None:
        tenant.root.put("secret/data/app/db", {"data": {"password": "p"}})
        tenant.root.put("sys/policies/acl/app", {"policy": 'path "secret/data/app/*" { capabilities = ["read"] }'})
        operator("auth", "enable", "-token-type=batch", "userpass")
        operator("write", "auth/userpass/users/ann", "password=right", "token_policies=app", "token_ttl=1h")
        namespace = f"-namespace={tenant.vault_id}"
        newcomer("login", namespace, "-method=userpass", "username=ann", "password=right")
        about = json.loads(newcomer("token", "lookup", "-format=json").out)["data"]
        assert (about["type"], about["renewable"], about["policies"]) == ("batch", False, ["app", "default"])
        assert about["entity_id"]
        assert newcomer("kv", "get", "-mount=secret", "-field=password", "app/db").out == "p"
        assert "permission denied" in newcomer("kv", "put", "-mount=secret", "app/db", "a=b", code=2).err
        operator("auth", "disable", "userpass")
        newcomer("token", "lookup", code=2)


def test_what_proves_somebody_is_never_told(node: Node, tenant: Tenant) -> None:
    canaries = [f"canary-{name}-Zm9vYmFy" for name in ("password", "wrong", "role", "secret", "chosen")]
    password, wrong, role_id, secret_id, chosen = canaries
    root, nobody = tenant.root, tenant.root.with_token(None).with_headers(**{"X-Vault-Namespace": tenant.vault_id})
    answers = []
    for kind in ("approle", "userpass"):
        assert root.post(f"sys/auth/{kind}", {"type": kind}).status == 204
    answers += [
        root.post("auth/userpass/users/ann", {"password": password}),
        root.post("auth/userpass/users/ann", {"password": password, "token_ttl": "x"}),
        root.post("auth/userpass/users/ann", {"password_hash": password}),
        root.get("auth/userpass/users/ann"),
        *(nobody.post("auth/userpass/login/ann", {"password": wrong}) for _ in range(7)),
        root.post("auth/approle/role/app", {"role_id": role_id}),
        root.post("auth/approle/role/other", {"role_id": role_id}),
        root.post("auth/approle/role/app/secret-id/lookup", {"secret_id": secret_id}),
        root.post("auth/approle/role/app/secret-id-accessor/lookup", {"secret_id_accessor": secret_id}),
        root.get("auth/approle/role/app"),
        *(nobody.post("auth/approle/login", {"role_id": role_id, "secret_id": secret_id}) for _ in range(7)),
        *(nobody.post("auth/approle/login", {"role_id": secret_id, "secret_id": secret_id}) for _ in range(2)),
    ]
    assert root.post("auth/approle/role/app/custom-secret-id", {"secret_id": chosen}).data["secret_id"] == chosen
    answers += [
        root.post("auth/approle/role/app/custom-secret-id", {"secret_id": chosen}),
        root.post("auth/approle/role/app/secret-id/lookup", {"secret_id": chosen}),
        root.list("auth/approle/role/app/secret-id"),
    ]
    told = b"".join(answer.body for answer in answers) + node.log.encode()
    assert b"a name was locked after failed logins" in told
    assert [canary for canary in canaries if canary.encode() in told] == []
    metrics = Api(node.metrics_address).call("GET", "/metrics").body
    assert [canary for canary in canaries if canary.encode() in metrics] == []


class TestHvac:
    def test_approle(self, client: Any, nobody: Any) -> None:
        client.sys.enable_auth_method("approle")
        roles = client.auth.approle
        roles.create_or_update_approle("app", token_policies=["readers"], secret_id_num_uses=2, token_ttl="10m")
        assert roles.list_roles()["data"]["keys"] == ["app"]
        assert roles.read_role("app")["data"]["token_ttl"] == 600
        roles.update_role_id("app", "own-role-id")
        assert roles.read_role_id("app")["data"]["role_id"] == "own-role-id"
        made = roles.generate_secret_id("app", metadata={"a": "b"}, cidr_list=["127.0.0.1/32"])["data"]
        auth = nobody.auth.approle.login("own-role-id", made["secret_id"])["auth"]
        assert (auth["policies"], auth["metadata"]) == (["default", "readers"], {"a": "b", "role_name": "app"})
        assert nobody.is_authenticated()
        assert nobody.lookup_token()["data"]["ttl"] <= 600
        assert roles.read_secret_id("app", made["secret_id"])["data"]["secret_id_num_uses"] == 1
        accessor = made["secret_id_accessor"]
        assert roles.read_secret_id_accessor("app", accessor)["data"]["metadata"] == {"a": "b"}
        own = roles.create_custom_secret_id("app", "own-secret-id")["data"]
        accessors = roles.list_secret_id_accessors("app")["data"]["keys"]
        assert accessors == sorted([accessor, own["secret_id_accessor"]])
        roles.destroy_secret_id("app", "own-secret-id")
        roles.destroy_secret_id_accessor("app", accessor)
        with pytest.raises(exceptions.InvalidPath):
            roles.list_secret_id_accessors("app")
        with pytest.raises(exceptions.InvalidPath):
            roles.read_secret_id_accessor("app", accessor)
        with pytest.raises(exceptions.InvalidRequest):
            nobody.auth.approle.login("own-role-id", made["secret_id"])
        roles.delete_role("app")
        with pytest.raises(exceptions.InvalidPath):
            roles.read_role("app")

    def test_auth_methods(self, client: Any) -> None:
        client.sys.enable_auth_method("userpass", path="people", description="ours", config={"max_lease_ttl": "2h"})
        methods = client.sys.list_auth_methods()["data"]
        assert methods["people/"]["type"] == "userpass"
        client.sys.tune_auth_method("people", default_lease_ttl="30m", listing_visibility="unauth")
        tuning = client.sys.read_auth_method_tuning("people")["data"]
        assert (tuning["default_lease_ttl"], tuning["max_lease_ttl"]) == (1800, 7200)
        client.sys.disable_auth_method("people")
        assert "people/" not in client.sys.list_auth_methods()["data"]

    def test_userpass(self, client: Any, nobody: Any) -> None:
        client.sys.enable_auth_method("userpass")
        users = client.auth.userpass
        users.create_or_update_user("ann", password="one", policies="readers")
        assert users.list_user()["data"]["keys"] == ["ann"]
        assert users.read_user("ann")["data"]["policies"] == ["readers"]
        users.update_password_on_user("ann", "two")
        with pytest.raises(exceptions.InvalidRequest):
            nobody.auth.userpass.login("ann", "one")
        auth = nobody.auth.userpass.login("ann", "two")["auth"]
        assert (auth["policies"], auth["metadata"]) == (["default", "readers"], {"username": "ann"})
        assert nobody.is_authenticated()
        users.delete_user("ann")
        with pytest.raises(exceptions.InvalidPath):
            users.list_user()
