"""`vault policy` and what comes of it: policies written, read, shown by `-output-policy`, and kept to."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conformance.test_vault_cli import vault_for
from tests.conformance.vault_cli import VaultCli
from tests.support.tenant import Tenant
from tests.support.tokens import Issuer

TEAM = """\
path "secret/data/team/*" {
  capabilities = ["create", "read"]
}

path "secret/metadata/team/*" {
  capabilities = ["list"]
}

path "secret/data/team/keys" {
  capabilities = ["deny"]
}
"""


@pytest.fixture
def operator(tenant: Tenant, tmp_path: Path) -> VaultCli:
    """The client of a tenant's operator."""
    return vault_for(tenant.operator, tmp_path / "operator")


@pytest.fixture
def bearer(tenant: Tenant, issuer: Issuer, tmp_path: Path) -> VaultCli:
    """The client of who has the policy `team` and no right beside it."""
    return vault_for(tenant.user.with_token(issuer.tenant(tenant.vault_id, policies=["team"])), tmp_path / "bearer")


def write(vault: VaultCli, name: str, text: str, code: int = 0) -> str:
    (vault.home / "policy.hcl").write_text(text, encoding="utf-8")
    outcome = vault("policy", "write", name, "policy.hcl", code=code)
    return outcome.out + outcome.err


def test_a_policy_is_written_read_listed_and_deleted(operator: VaultCli) -> None:
    assert operator("policy", "list").out.split() == ["default", "root"]
    assert "Success! Uploaded policy: team" in write(operator, "Team", TEAM)
    assert operator("policy", "list").out.split() == ["default", "team", "root"]
    assert operator("policy", "read", "team").out.strip() == TEAM.strip()
    assert "cubbyhole/*" in operator("policy", "read", "default").out
    operator("policy", "delete", "team")
    assert "No policy named: team" in operator("policy", "read", "team", code=2).err


def test_a_formatted_policy_is_the_same_policy(operator: VaultCli) -> None:
    (operator.home / "ragged.hcl").write_text(TEAM.replace("\n  ", "\n").replace(" = ", "="), encoding="utf-8")
    operator("policy", "fmt", "ragged.hcl")
    assert (operator.home / "ragged.hcl").read_text(encoding="utf-8").strip() == TEAM.strip()
    operator("policy", "write", "team", "ragged.hcl")


def test_what_is_no_policy_is_refused_with_its_place(operator: VaultCli) -> None:
    refused = write(operator, "team", TEAM.replace('"read"]', '"red"]'), code=2)
    assert "line 2, column 29: invalid capability 'red'" in refused
    assert "No policy named: team" in operator("policy", "read", "team", code=2).err


@pytest.mark.parametrize("name", ["root", "default"])
def test_built_in_policies_stay(operator: VaultCli, name: str) -> None:
    assert f"cannot delete {'default' if name == 'default' else chr(34) + name + chr(34)} policy" in (
        operator("policy", "delete", name, code=2).err
    )


def test_a_bearer_is_kept_to_it(operator: VaultCli, bearer: VaultCli) -> None:
    assert "preflight capability check returned 403" in bearer("kv", "get", "-mount=secret", "team/a", code=2).err
    write(operator, "team", TEAM)
    bearer("kv", "put", "-mount=secret", "team/a", "x=1")
    assert bearer("kv", "get", "-mount=secret", "-field=x", "team/a").out.strip() == "1"
    assert bearer("kv", "list", "-mount=secret", "team").out.split() == ["Keys", "----", "a"]
    assert "permission denied" in bearer("kv", "put", "-mount=secret", "team/a", "x=2", code=2).err  # no update
    assert "permission denied" in bearer("kv", "put", "-mount=secret", "team/keys", "x=2", code=2).err
    assert "permission denied" in bearer("kv", "list", "secret", code=2).err
    assert "permission denied" in bearer("policy", "list", code=2).err
    assert bearer("token", "capabilities", "secret/data/team/b").out.strip() == "create, read"
    assert bearer("token", "capabilities", "secret/data/team/keys").out.strip() == "deny"
    operator("policy", "delete", "team")
    assert "permission denied" in bearer("read", "secret/data/team/a", code=2).err


def test_what_output_policy_prints_is_enough(operator: VaultCli, bearer: VaultCli) -> None:
    write(operator, "team", 'path "secret/*" { capabilities = ["list"] }')  # so that the mount is seen
    operator("kv", "put", "-mount=secret", "team/a", "x=1")
    assert "permission denied" in bearer("kv", "get", "-mount=secret", "team/a", code=2).err
    printed = bearer("kv", "get", "-output-policy", "-mount=secret", "team/a").out
    write(operator, "team", printed)
    assert bearer("kv", "get", "-mount=secret", "-field=x", "team/a").out.strip() == "1"


def test_a_bearer_may_be_given_policies_to_manage(operator: VaultCli, bearer: VaultCli) -> None:
    write(operator, "team", 'path "sys/policies/acl/app-*" { capabilities = ["read", "update", "delete"] }')
    write(bearer, "app-one", TEAM)
    assert bearer("policy", "read", "app-one").out.strip() == TEAM.strip()
    assert "permission denied" in write(bearer, "team", 'path "*" { capabilities = ["read"] }', code=2)
    bearer("policy", "delete", "app-one")


def test_passwords_are_generated(operator: VaultCli) -> None:
    policy = 'length = 12 rule "charset" { charset = "ab" min-chars = 1 }'
    operator("write", "sys/policies/password/letters", f"policy={policy}")
    password = operator("read", "-field=password", "sys/policies/password/letters/generate").out.strip()
    assert len(password) == 12
    assert set(password) <= {"a", "b"}
    assert operator("list", "sys/policies/password").out.split() == ["Keys", "----", "letters"]
