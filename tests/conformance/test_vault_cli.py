"""Single commands of the official `vault` command line client, each on a tenant of its own."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path

import pytest

from tests.conformance.vault_cli import VaultCli, find_vault, rows
from tests.support.api import Api
from tests.support.node import Node
from tests.support.tenant import Tenant
from tests.support.tokens import Issuer, new_vault_id
from tests.support.walkthrough import FOREIGN_SHARES


def vault_for(api: Api, home: Path) -> VaultCli:
    """Return the client with the token of `api` in its home, where `vault login` keeps it."""
    assert api.token is not None
    home.mkdir(exist_ok=True)
    (home / ".vault-token").write_text(api.token)
    return VaultCli(find_vault(), api.address, home)


@pytest.fixture
def vault(tenant: Tenant, tmp_path: Path) -> VaultCli:
    """The client of a tenant's user."""
    return vault_for(tenant.user, tmp_path / "user")


@pytest.fixture
def operator(tenant: Tenant, tmp_path: Path) -> VaultCli:
    """The client of a tenant's operator."""
    return vault_for(tenant.operator, tmp_path / "operator")


@pytest.fixture
def newcomer(node: Node, issuer: Issuer, tmp_path: Path) -> VaultCli:
    """The client of an operator whose tenant is not initialised."""
    return vault_for(Api(node.address, issuer.tenant_operator(new_vault_id())), tmp_path / "newcomer")


# Seal.


def test_init_status_tells_by_its_exit_code(newcomer: VaultCli, operator: VaultCli) -> None:
    assert "not initialized" in newcomer("operator", "init", "-status", code=2).out
    assert "is initialized" in operator("operator", "init", "-status").out


def test_init_twice_is_refused(operator: VaultCli) -> None:
    refused = operator("operator", "init", code=2)
    assert "Vault is already initialized" in refused.err


def test_init_splits_as_asked(newcomer: VaultCli) -> None:
    made = json.loads(newcomer("operator", "init", "-key-shares=4", "-key-threshold=2", "-format=json").out)
    assert (made["unseal_shares"], made["unseal_threshold"]) == (4, 2)
    assert len(made["unseal_keys_b64"]) == 4
    assert [base64.b64decode(key).hex() for key in made["unseal_keys_b64"]] == made["unseal_keys_hex"]
    first = newcomer("operator", "unseal", made["unseal_keys_b64"][3]).table
    assert (first["Total Shares"], first["Threshold"], first["Unseal Progress"]) == ("4", "2", "1/2")
    second = newcomer("operator", "unseal", made["unseal_keys_hex"][0]).table
    assert second["Sealed"] == "false"


@pytest.mark.parametrize(("shares", "threshold"), [(1, 2), (5, 1), (256, 3)])
def test_impossible_splits_are_refused(newcomer: VaultCli, shares: int, threshold: int) -> None:
    newcomer("operator", "init", f"-key-shares={shares}", f"-key-threshold={threshold}", code=2)
    newcomer("operator", "init", "-status", code=2)


def test_one_share_alone_unseals(newcomer: VaultCli) -> None:
    made = newcomer("operator", "init", "-key-shares=1", "-key-threshold=1").out
    (share,) = re.findall(r"Unseal Key 1: (\S+)", made)
    assert newcomer("operator", "unseal", share).table["Sealed"] == "false"


def test_status_before_init_has_no_shares(newcomer: VaultCli) -> None:
    status = newcomer("status", code=2).table
    assert (status["Initialized"], status["Sealed"], status["Total Shares"]) == ("false", "true", "0")


def test_reset_forgets_the_shares_given(operator: VaultCli, tenant: Tenant) -> None:
    operator("operator", "seal")
    given = operator("operator", "unseal", tenant.shares[0]).table
    assert given["Unseal Progress"] == "1/3"
    assert operator("operator", "unseal", "-reset").table["Unseal Progress"] == "0/3"
    again = operator("operator", "unseal", tenant.shares[1]).table
    assert again["Unseal Progress"] == "1/3"
    assert again["Unseal Nonce"] != given["Unseal Nonce"]


def test_repeated_share_does_not_count_twice(operator: VaultCli, tenant: Tenant) -> None:
    operator("operator", "seal")
    for _ in range(4):
        assert operator("operator", "unseal", tenant.shares[2]).table["Unseal Progress"] == "1/3"


def test_wrong_share_is_refused_without_telling_which(operator: VaultCli, tenant: Tenant) -> None:
    operator("operator", "seal")
    wrong = base64.b64encode(b"\x03" + bytes(32)).decode()
    told = set()
    for shares in ([tenant.shares[0], tenant.shares[1], wrong], [wrong, tenant.shares[0], tenant.shares[1]]):
        for share in shares[:-1]:
            operator("operator", "unseal", share)
        refused = operator("operator", "unseal", shares[-1], code=2).err
        assert not any(share in refused for share in shares)
        told.add(refused)
        assert operator("status", code=2).table["Unseal Progress"] == "0/3"
    assert len(told) == 1
    for share in tenant.shares[2:]:
        status = operator("operator", "unseal", share).table
    assert status["Sealed"] == "false"


def test_shares_of_another_key_are_refused(operator: VaultCli) -> None:
    operator("operator", "seal")
    for share in FOREIGN_SHARES[:2]:
        operator("operator", "unseal", share)
    refused = operator("operator", "unseal", FOREIGN_SHARES[2], code=2)
    assert "Code: 400" in refused.err
    assert operator("status", code=2).table["Sealed"] == "true"


def test_text_that_is_no_share_is_refused(operator: VaultCli) -> None:
    operator("operator", "seal")
    refused = operator("operator", "unseal", "no-share-at-all!", code=2)
    assert "'key' must be a valid hex or base64 string" in refused.err


def test_sealing_needs_an_operator(vault: VaultCli) -> None:
    assert "permission denied" in vault("operator", "seal", code=2).err
    assert vault("status").table["Sealed"] == "false"


# Tokens.


def test_a_wrong_token_cannot_log_in(node: Node, tmp_path: Path) -> None:
    vault = VaultCli(find_vault(), node.address, tmp_path)
    refused = vault("login", "no-token", code=2)
    assert "Code: 403" in refused.err
    assert "permission denied" in refused.err


def test_token_lookup_shows_the_own_token(vault: VaultCli, tenant: Tenant) -> None:
    shown = vault("token", "lookup").table
    assert shown["id"] == tenant.user.token
    assert (shown["policies"], shown["type"], shown["ttl"]) == ("[default]", "service", "0s")
    assert shown["expire_time"] == "<nil>"


def test_initial_root_token_logs_in_and_works(tenant: Tenant, tmp_path: Path) -> None:
    vault = VaultCli(find_vault(), tenant.root.address, tmp_path)
    assert tenant.root.token is not None
    logged_in = vault.login(tenant.root.token).table
    assert (logged_in["token"], logged_in["policies"]) == (tenant.root.token, '["root"]')
    vault("kv", "put", "-mount=secret", "creds", "a=b")
    assert vault("kv", "get", "-mount=secret", "-field=a", "creds").out.strip() == "b"


def test_token_capabilities_follow_the_right(vault: VaultCli, operator: VaultCli) -> None:
    shown = vault("token", "capabilities", "secret/data/creds").out.strip()
    assert shown == "create, delete, list, patch, read, scan, update"
    assert vault("token", "capabilities", "sys/mounts/more").out.strip() == "read"
    assert vault("token", "capabilities", "sys/seal").out.strip() == "deny"
    assert operator("token", "capabilities", "sys/seal").out.strip() == "root"


# Mounts.


def test_secrets_list_shows_both_engines(operator: VaultCli) -> None:
    mounts = {row["Path"]: row["Type"] for row in operator("secrets", "list").columns}
    assert mounts["secret/"] == "kv"
    assert mounts["transit/"] == "transit"


def test_secrets_can_be_enabled_and_disabled(operator: VaultCli, vault: VaultCli) -> None:
    operator("secrets", "enable", "-path=team/kv", "-version=2", "kv")
    vault("kv", "put", "-mount=team/kv", "a/b", "c=d")
    assert vault("kv", "get", "-mount=team/kv", "-field=c", "a/b").out.strip() == "d"
    assert "path is already in use at team/kv/" in operator("secrets", "enable", "-path=team/kv", "kv-v2", code=2).err
    operator("secrets", "disable", "team/kv")
    vault("kv", "get", "-mount=team/kv", "a/b", code=2)
    operator("secrets", "enable", "-path=team/kv", "kv-v2")
    assert "No value found" in vault("kv", "get", "-mount=team/kv", "a/b", code=2).err


def test_enabling_what_does_not_exist_is_refused(operator: VaultCli) -> None:
    assert "plugin not found in the catalog" in operator("secrets", "enable", "nothing", code=2).err


def test_a_user_cannot_change_mounts(vault: VaultCli) -> None:
    assert "permission denied" in vault("secrets", "enable", "-path=mine", "kv-v2", code=2).err
    assert "permission denied" in vault("secrets", "disable", "secret", code=2).err


# KV.


def test_kv_list_shows_one_level(vault: VaultCli) -> None:
    for path in ("one", "dir/two", "dir/sub/three"):
        vault("kv", "put", "-mount=secret", path, "a=b")
    assert vault("kv", "list", "secret").out.split() == ["Keys", "----", "dir/", "one"]
    assert vault("kv", "list", "-mount=secret", "dir").out.split() == ["Keys", "----", "sub/", "two"]
    assert "No value found" in vault("kv", "list", "-mount=secret", "nothing", code=2).err


def test_kv_missing_secret_has_no_value(vault: VaultCli) -> None:
    assert "No value found at secret/data/nothing" in vault("kv", "get", "-mount=secret", "nothing", code=2).err


def test_kv_versions_are_kept(vault: VaultCli) -> None:
    vault("kv", "put", "-mount=secret", "creds", "a=1")
    vault("kv", "put", "-mount=secret", "creds", "a=2")
    assert vault("kv", "get", "-mount=secret", "-field=a", "creds").out.strip() == "2"
    assert vault("kv", "get", "-mount=secret", "-field=a", "-version=1", "creds").out.strip() == "1"


def test_kv_check_and_set(vault: VaultCli) -> None:
    vault("kv", "put", "-mount=secret", "-cas=0", "creds", "a=1")
    refused = vault("kv", "put", "-mount=secret", "-cas=0", "creds", "a=2", code=2)
    assert "check-and-set parameter did not match the current version" in refused.err
    vault("kv", "put", "-mount=secret", "-cas=1", "creds", "a=2")


def test_kv_patch_merges(vault: VaultCli) -> None:
    vault("kv", "put", "-mount=secret", "creds", "a=1", "b=2")
    vault("kv", "patch", "-mount=secret", "creds", "b=3", "c=4")
    vault("kv", "patch", "-mount=secret", "-method=rw", "creds", "d=5")
    got = vault("kv", "get", "-mount=secret", "creds").sections
    assert rows(got["Data"]) == {"a": "1", "b": "3", "c": "4", "d": "5"}
    assert rows(got["Metadata"])["version"] == "3"


def test_kv_delete_undelete_destroy(vault: VaultCli) -> None:
    vault("kv", "put", "-mount=secret", "creds", "a=1")
    vault("kv", "put", "-mount=secret", "creds", "a=2")
    vault("kv", "delete", "-mount=secret", "creds")
    deleted = vault("kv", "get", "-mount=secret", "creds").sections
    assert "Data" not in deleted
    assert rows(deleted["Metadata"])["deletion_time"] != "n/a"
    vault("kv", "undelete", "-mount=secret", "-versions=2", "creds")
    assert vault("kv", "get", "-mount=secret", "-field=a", "creds").out.strip() == "2"
    vault("kv", "delete", "-mount=secret", "-versions=1,2", "creds")
    vault("kv", "undelete", "-mount=secret", "-versions=1", "creds")
    assert vault("kv", "get", "-mount=secret", "-field=a", "-version=1", "creds").out.strip() == "1"
    vault("kv", "destroy", "-mount=secret", "-versions=1,2", "creds")
    for version in (1, 2):
        destroyed = vault("kv", "get", "-mount=secret", f"-version={version}", "creds").sections
        assert "Data" not in destroyed
        assert rows(destroyed["Metadata"])["destroyed"] == "true"


def test_kv_rollback_writes_an_old_version_again(vault: VaultCli) -> None:
    vault("kv", "put", "-mount=secret", "creds", "a=1")
    vault("kv", "put", "-mount=secret", "creds", "a=2")
    vault("kv", "rollback", "-mount=secret", "-version=1", "creds")
    got = vault("kv", "get", "-mount=secret", "creds").sections
    assert rows(got["Data"]) == {"a": "1"}
    assert rows(got["Metadata"])["version"] == "3"


def test_kv_metadata_commands(vault: VaultCli) -> None:
    vault("kv", "put", "-mount=secret", "creds", "a=1")
    settings = ("-max-versions=2", "-custom-metadata=team=blue", "-delete-version-after=1h")
    vault("kv", "metadata", "put", "-mount=secret", *settings, "creds")
    vault("kv", "metadata", "patch", "-mount=secret", "-custom-metadata=for=tests", "creds")
    shown = vault("kv", "metadata", "get", "-mount=secret", "creds").sections
    metadata = rows(shown["Metadata"])
    assert metadata["custom_metadata"] == "map[for:tests team:blue]"
    assert (metadata["max_versions"], metadata["delete_version_after"]) == ("2", "1h0m0s")
    assert rows(shown["Version 1"])["destroyed"] == "false"
    vault("kv", "metadata", "patch", "-mount=secret", "-remove-custom-metadata=team", "creds")
    shown = vault("kv", "metadata", "get", "-mount=secret", "creds").sections
    assert rows(shown["Metadata"])["custom_metadata"] == "map[for:tests]"
    vault("kv", "metadata", "delete", "-mount=secret", "creds")
    assert "No value found" in vault("kv", "get", "-mount=secret", "creds", code=2).err


def test_kv_as_of_the_older_syntax(vault: VaultCli) -> None:
    vault("kv", "put", "secret/creds", "a=1")
    assert vault("kv", "get", "-field=a", "secret/creds").out.strip() == "1"


def test_kv_under_an_unknown_mount_is_refused(vault: VaultCli) -> None:
    refused = vault("kv", "get", "-mount=nothing", "creds", code=2)
    assert "preflight capability check returned 403" in refused.err


# Transit.


def test_transit_key_settings(vault: VaultCli) -> None:
    vault("write", "-f", "transit/keys/orders")
    vault("write", "-f", "transit/keys/orders/rotate")
    old = vault("write", "-field=ciphertext", "transit/encrypt/orders", "plaintext=aGk=", "key_version=1").out.strip()
    vault("write", "transit/keys/orders/config", "min_decryption_version=2")
    refused = vault("write", "transit/decrypt/orders", f"ciphertext={old}", code=2)
    assert "ciphertext or signature version is disallowed by policy (too old)" in refused.err
    shown = vault("read", "transit/keys/orders").table
    assert (shown["min_decryption_version"], shown["latest_version"]) == ("2", "2")
    assert re.fullmatch(r"map\[2:\d+\]", shown["keys"])


def test_transit_keys_are_listed_and_deleted(vault: VaultCli) -> None:
    vault("write", "-f", "transit/keys/orders")
    vault("write", "-f", "transit/keys/bills")
    assert vault("list", "transit/keys").out.split() == ["Keys", "----", "bills", "orders"]
    refused = vault("delete", "transit/keys/orders", code=2)
    assert "deletion is not allowed for this key" in refused.err
    vault("write", "transit/keys/orders/config", "deletion_allowed=true")
    vault("delete", "transit/keys/orders")
    assert "No value found" in vault("read", "transit/keys/orders", code=2).err


def test_transit_refuses_what_is_not_base64(vault: VaultCli) -> None:
    vault("write", "-f", "transit/keys/orders")
    refused = vault("write", "transit/encrypt/orders", "plaintext=not base64", code=2)
    assert "illegal base64 data at input byte 3" in refused.err


def test_unknown_paths_are_told(vault: VaultCli) -> None:
    assert "No value found at nothing/here" in vault("read", "nothing/here", code=2).err
    assert 'no handler for route "nothing/here"' in vault("write", "nothing/here", "a=b", code=2).err
    assert "unsupported path" in vault("write", "sys/nothing", "a=b", code=2).err
