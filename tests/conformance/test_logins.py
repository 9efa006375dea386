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
        operator("auth", "disable", "userpass")


class TestHvac:
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
        users.delete_user("ann")
        with pytest.raises(exceptions.InvalidPath):
            users.list_user()
