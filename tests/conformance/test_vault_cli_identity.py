"""Identities by the official command line, as docs/identity.md has them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conformance.vault_cli import VaultCli, find_vault
from tests.support.node import wait_until
from tests.support.tenant import Tenant


@pytest.fixture
def operator(tenant: Tenant, tmp_path: Path) -> VaultCli:
    """The command line with the root token of a vault of its own."""
    (tmp_path / ".vault-token").write_text(tenant.root.token or "")
    return VaultCli(find_vault(), tenant.root.address, tmp_path)


def field(operator: VaultCli, name: str, *arguments: str) -> str:
    return operator(arguments[0], f"-field={name}", *arguments[1:]).out.strip()


def test_entities_aliases_and_groups(operator: VaultCli) -> None:
    operator("auth", "enable", "userpass")
    accessor = json.loads(operator("auth", "list", "-format=json").out)["userpass/"]["accessor"]
    ann = field(operator, "id", "write", "identity/entity", "name=ann", "policies=reader", "metadata=team=red")
    alias = field(
        operator,
        "id",
        "write",
        "identity/entity-alias",
        "name=ann",
        f"mount_accessor={accessor}",
        f"canonical_id={ann}",
    )
    staff = field(
        operator, "id", "write", "identity/group", "name=staff", "policies=staff", f"member_entity_ids={ann}"
    )
    operator("write", "identity/group", "name=everybody", f"member_group_ids={staff}")
    shown = json.loads(operator("read", "-format=json", f"identity/entity/id/{ann}").out)["data"]
    assert (shown["metadata"], shown["policies"]) == ({"team": "red"}, ["reader"])
    assert (shown["direct_group_ids"], len(shown["inherited_group_ids"])) == ([staff], 1)
    assert [each["id"] for each in shown["aliases"]] == [alias]
    assert ann in operator("list", "identity/entity/id").out
    assert operator("list", "identity/group/name").out.split()[-2:] == ["everybody", "staff"]
    found = operator(
        "write", "-format=json", "identity/lookup/entity", "alias_name=ANN", f"alias_mount_accessor={accessor}"
    )
    assert json.loads(found.out)["data"]["id"] == ann
    assert "Success" in operator("write", f"identity/entity/id/{ann}", "disabled=true").out
    assert field(operator, "disabled", "read", "identity/entity/name/ann") == "true"
    assert "Success" in operator("delete", f"identity/group/id/{staff}").out
    refused = operator("write", "identity/group", "name=x", "policies=root", code=2).err
    assert "policies cannot contain root" in refused
    assert "identity tokens are not issued" in operator("read", "identity/oidc/token/x", code=2).err


def test_a_disabled_login_mount_takes_its_aliases_along(operator: VaultCli, tenant: Tenant) -> None:
    operator("auth", "enable", "-path=people", "userpass")
    accessor = json.loads(operator("auth", "list", "-format=json").out)["people/"]["accessor"]
    operator("write", "identity/entity-alias", "name=ann", f"mount_accessor={accessor}")
    operator("list", "identity/entity-alias/id")
    operator("auth", "disable", "people/")
    wait_until(lambda: tenant.root.list("identity/entity-alias/id").status == 404, "the aliases are removed")
