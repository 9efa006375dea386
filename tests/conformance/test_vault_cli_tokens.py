"""Tokens as the `vault` command line makes them, and as Terraform begins and ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conformance.test_vault_cli import vault_for
from tests.conformance.vault_cli import VaultCli
from tests.support.api import Api
from tests.support.tenant import Tenant

READS = 'path "secret/data/app/*" { capabilities = ["read"] }'


@pytest.fixture(params=["root", "operator", "user"])
def maker(request: pytest.FixtureRequest, tenant: Tenant) -> Api:
    """Who runs Terraform: by the root token, or by a biscuit."""
    found = getattr(tenant, request.param)
    assert isinstance(found, Api)
    return found


def as_bearer(api: Api, token: str) -> Api:
    return Api(api.address, token)


def test_terraform_begins_with_a_child_and_ends_it(maker: Api) -> None:
    assert maker.get("auth/token/lookup-self").status == 200
    asked = {"explicit_max_ttl": "20m", "display_name": "terraform", "renewable": False, "ttl": "20m"}
    made = maker.post("auth/token/create", asked).json["auth"]
    assert (made["lease_duration"], made["renewable"]) == (1200, False)
    child = as_bearer(maker, made["client_token"])
    shown = child.get("auth/token/lookup-self").json["data"]
    assert (shown["explicit_max_ttl"], shown["display_name"]) == (1200, "token-terraform")
    assert child.post("secret/data/app/db", {"data": {"a": 1}}).status == 200
    assert child.get("secret/data/app/db").json["data"]["data"] == {"a": 1}
    assert child.call("PUT", "auth/token/revoke-self").status == 204
    assert child.get("secret/data/app/db").status == 403
    assert maker.get("secret/data/app/db").status == 200


class TestCommandLine:
    @pytest.fixture
    def root(self, tenant: Tenant, tmp_path: Path) -> VaultCli:
        return vault_for(tenant.root, tmp_path / "root")

    def test_a_token_is_made_looked_up_renewed_and_revoked(
        self, root: VaultCli, tenant: Tenant, tmp_path: Path
    ) -> None:
        tenant.root.post("sys/policies/acl/app", {"policy": READS})
        tenant.root.post("secret/data/app/db", {"data": {"a": 1}})
        made = json.loads(root("token", "create", "-policy=app", "-ttl=1h", "-format=json").out)["auth"]
        assert made["policies"] == ["app", "default"]
        child = vault_for(as_bearer(tenant.root, made["client_token"]), tmp_path / "child")
        assert child("kv", "get", "-field=a", "secret/app/db").out.strip() == "1"
        child("kv", "put", "secret/app/db", "a=2", code=2)
        assert child("token", "capabilities", "secret/data/app/db").out.strip() == "read"
        accessor = made["accessor"]
        assert root("token", "capabilities", made["client_token"], "secret/data/app/db").out.strip() == "read"
        assert root("token", "lookup", "-accessor", accessor).table["policies"] == "[app default]"
        assert child("token", "renew", "-increment=30m").table["token_duration"] in {"30m", "29m59s"}
        assert "Success" in root("token", "revoke", "-accessor", accessor).out
        child("kv", "get", "secret/app/db", code=2)

    def test_a_revoked_parent_takes_its_children_along(self, root: VaultCli, tenant: Tenant, tmp_path: Path) -> None:
        parent = root("token", "create", "-ttl=1h", "-field=token").out.strip()
        child = vault_for(as_bearer(tenant.root, parent), tmp_path / "parent")(
            "token", "create", "-ttl=30m", "-field=token"
        )
        grandchild = as_bearer(tenant.root, child.out.strip())
        assert grandchild.get("auth/token/lookup-self").status == 200
        assert "Success" in root("token", "revoke", parent).out
        assert grandchild.get("auth/token/lookup-self").status == 403

    def test_roles_say_what_their_tokens_are(self, root: VaultCli) -> None:
        role = "auth/token/roles/app"
        assert "Success" in root("write", role, "allowed_policies=app", "period=1h", "orphan=true").out
        made = json.loads(root("token", "create", "-role=app", "-format=json").out)["auth"]
        assert (made["policies"], made["orphan"], made["lease_duration"]) == (["app", "default"], True, 3600)
        assert "app" in root("list", "auth/token/roles").out
        root("token", "create", "-role=app", "-policy=other", code=2)
