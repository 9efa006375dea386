"""From an empty store to a secret read back, and to a sealed node, with the official `vault` command line client."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from kms_actors.cli.private_file import create_private
from tests.conformance.vault_cli import Outcome, VaultCli, find_vault
from tests.support.node import Node, StoreTable, run_kms_cli
from tests.support.tokens import NAMESPACE
from tests.support.walkthrough import MASTER_KEY_CHECK_VALUE, MASTER_SHARES, SAMPLE_TOKENS

VAULT_ID = "vault_8fa9b31c-4c55-4f11-b9bf-6a656c678906"
OTHER_VAULT_ID = "vault_1d1a4b1c-6a0c-44de-8f0e-0d8b1b7e5a77"

NewUser = Callable[[str], VaultCli]


class Tokens(NamedTuple):
    """What `kms-cli biscuit` printed."""

    cluster_operator: str
    tenant_operator: str
    tenant: str
    other_operator: str
    other: str
    root_public_key: str
    service_public_key: str


@pytest.fixture
def tokens(tmp_path: Path) -> Tokens:
    """Step 1: keys and tokens, made as a user makes them."""
    run_kms_cli("keys", directory=tmp_path)
    made: list[str] = []
    public: set[tuple[str, str]] = set()
    for resource, privilege in (
        (NAMESPACE, "cluster-operator"),
        (VAULT_ID, "tenant-operator"),
        (VAULT_ID, "tenant"),
        (OTHER_VAULT_ID, "tenant-operator"),
        (OTHER_VAULT_ID, "tenant"),
    ):
        printed = run_kms_cli("biscuit", "--addon-id", resource, "--privilege", privilege, directory=tmp_path)
        made.append(only(r"Token:\s+([A-Za-z0-9_=-]+)", printed))
        root = only(r"Root Public Key:?\s+ed25519/([0-9a-f]{64})", printed)
        service = only(r"Service Public Key:?\s+ed25519/([0-9a-f]{64})", printed)
        public.add((root, service))
    ((root, service),) = public
    return Tokens(made[0], made[1], made[2], made[3], made[4], root, service)


@pytest.fixture
def new_node(tmp_path: Path, store_table: StoreTable) -> Iterator[Callable[..., Node]]:
    """Step 2: starts a node that accepts the tokens."""
    nodes = []

    def start(tokens: Tokens, **settings: Any) -> Node:
        keys = tokens.root_public_key, tokens.service_public_key
        node = Node(tmp_path, store_table(tmp_path), *keys, **settings)
        nodes.append(node)
        node.start()
        return node

    yield start
    for node in nodes:
        node.close()


@pytest.fixture
def new_user(tmp_path: Path) -> Callable[[Node, str], VaultCli]:
    """Step 3: a user who logs in with a token."""
    binary = find_vault()

    def log_in(node: Node, token: str) -> VaultCli:
        home = tmp_path / f"home-{abs(hash(token))}"
        home.mkdir()
        vault = VaultCli(binary, node.address, home)
        assert vault.login(token).table == {
            "token": token,
            "token_accessor": "n/a",
            "token_duration": "∞",
            "token_renewable": "false",
            "token_policies": '["default"]',
            "identity_policies": "[]",
            "policies": '["default"]',
        }
        return vault

    return log_in


def test_walk_from_an_empty_store_to_a_sealed_node(
    tokens: Tokens, new_node: Callable[..., Node], new_user: Callable[[Node, str], VaultCli]
) -> None:
    node = new_node(tokens)
    assert_start_is_told_in_order(node, tokens.root_public_key)
    operator = new_user(node, tokens.cluster_operator)
    master_shares, _ = operator_init(operator)  # step 4
    assert_are_shares(master_shares)
    walk_from_master_shares(node, tokens, operator, master_shares, new_user)


def test_walk_to_the_letter_with_tokens_of_2024(
    new_node: Callable[..., Node], new_user: Callable[[Node, str], VaultCli]
) -> None:
    sample = SAMPLE_TOKENS
    tokens = Tokens(
        sample["cluster_operator"],
        sample["tenant_operator"],
        sample["tenant"],
        "",
        "",
        sample["root_public_key"],
        sample["service_public_key"],
    )
    known = f'key_check_value = "{MASTER_KEY_CHECK_VALUE}"'
    node = new_node(tokens, provider=known, issuers="accept_first_signatures = true")
    assert_start_is_told_in_order(node, tokens.root_public_key)
    assert "tokens with first signatures are accepted" in node.log
    operator = new_user(node, tokens.cluster_operator)
    assert operator_init(operator) == ([], "")
    walk_from_master_shares(node, tokens, operator, MASTER_SHARES[2:], new_user)


def test_tokens_of_2024_are_refused_without_the_option_and_the_log_says_why(
    tmp_path: Path, new_node: Callable[..., Node]
) -> None:
    sample = SAMPLE_TOKENS
    key_file = tmp_path / "master.key"
    create_private(key_file, "07" * 32)
    node = new_node(
        Tokens("", "", "", "", "", sample["root_public_key"], sample["service_public_key"]),
        provider=f'key_file = "{key_file}"',
        provider_name="static",
    )
    vault = VaultCli(find_vault(), node.address, tmp_path)
    for token in (sample["cluster_operator"], sample["tenant_operator"], sample["tenant"]):
        assert "Code: 403" in vault("login", f"token={token}", code=2).err
    assert node.log.count("first signature scheme") == 3
    assert "tokens with first signatures are accepted" not in node.log


def walk_from_master_shares(
    node: Node,
    tokens: Tokens,
    operator: VaultCli,
    master_shares: list[str],
    new_user: Callable[[Node, str], VaultCli],
) -> None:
    """Steps 5 to 9; with a second vault where there are tokens for one."""
    assert unseal_in_three(operator, master_shares) == "kms-c1"  # step 5

    tenant_operator = new_user(node, tokens.tenant_operator)  # step 6
    shares, root_token = operator_init(tenant_operator)
    assert_are_shares(shares)
    assert root_token
    assert set(shares).isdisjoint(master_shares)
    assert unseal_in_three(tenant_operator, shares).startswith("vault_")

    tenant = new_user(node, tokens.tenant)
    put_and_get_a_secret(tenant)  # step 7
    use_transit(tenant)  # step 8

    others = []  # step 9
    if tokens.other_operator:
        other_operator = new_user(node, tokens.other_operator)
        unseal_in_three(other_operator, operator_init(other_operator)[0])
        others.append(new_user(node, tokens.other))
        put_and_get_a_secret(others[0])
    assert "sealed" in tenant_operator("operator", "seal").out
    assert_is_sealed(tenant)
    assert tenant_operator("status", code=2).table["Sealed"] == "true"
    for other in others:
        assert other("kv", "get", "-mount=secret", "-field=passcode", "creds").out.strip() == "my-long-passcode"
    operator("operator", "seal")
    for user in (tenant, *others):
        assert_is_sealed(user)
    assert operator("status", code=2).table["Sealed"] == "true"
    assert node.stop() == 0


def test_master_key_made_ahead_unseals_and_init_returns_no_shares(
    tokens: Tokens, new_node: Callable[..., Node], new_user: Callable[[Node, str], VaultCli]
) -> None:
    node = new_node(tokens, provider=f'key_check_value = "{MASTER_KEY_CHECK_VALUE}"')
    operator = new_user(node, tokens.cluster_operator)
    assert operator_init(operator) == ([], "")
    unseal_in_three(operator, MASTER_SHARES[1:4])
    tenant_operator = new_user(node, tokens.tenant_operator)
    unseal_in_three(tenant_operator, operator_init(tenant_operator)[0])
    put_and_get_a_secret(new_user(node, tokens.tenant))


def test_master_key_of_kms_cli_unseals(
    tmp_path: Path, tokens: Tokens, new_node: Callable[..., Node], new_user: Callable[[Node, str], VaultCli]
) -> None:
    printed = run_kms_cli("master-key", "create", directory=tmp_path)
    shares = re.findall(r"[A-Za-z0-9+/]{44}", printed)
    assert_are_shares(shares)
    node = new_node(tokens, provider=f'key_check_value = "{only(r"([0-9a-f]{32})", printed)}"')
    operator = new_user(node, tokens.cluster_operator)
    assert operator_init(operator) == ([], "")
    refused = operator_unseal_all(operator, MASTER_SHARES[:3])
    assert "Code: 400" in refused.err
    unseal_in_three(operator, [shares[4], shares[0], shares[2]])


def only(pattern: str, text: str) -> str:
    """Return the one match of a pattern in what a program printed."""
    (found,) = set(re.findall(pattern, text))
    return str(found)


def assert_start_is_told_in_order(node: Node, root_public_key: str) -> None:
    """Step 2: what the log says, in this order."""
    log = node.log
    position = 0
    for told in (
        f"http://127.0.0.1:{node.metrics_port}/metrics",
        "schemas are being initialised",
        "schemas initialised",
        "biscuit",
        root_public_key,
        "master keyring provider",
        "kms-c1-n1",
        "127.0.0.1",
        str(node.port),
        "tls",
        "workers",
    ):
        found = log.find(told, position)
        assert found >= 0, f"{told!r} is not told, or too early:\n{log}"
        position = found + len(told)


def operator_init(vault: VaultCli) -> tuple[list[str], str]:
    """Return the shares and the initial root token."""
    printed = vault("operator", "init").out
    shares = re.findall(r"^Unseal Key \d+: (.+)$", printed, re.MULTILINE)
    return shares, only(r"Initial Root Token: ?(.*)", printed)


def assert_are_shares(shares: list[str]) -> None:
    """Five shares, 33 bytes in base64, first byte 1 to 5."""
    decoded = [base64.b64decode(share, validate=True) for share in shares]
    assert [(len(share), share[0]) for share in decoded] == [(33, x) for x in range(1, 6)]
    assert len({share[1:] for share in decoded}) == 5


def unseal_in_three(vault: VaultCli, shares: list[str]) -> str:
    """Give three different shares, and read each table; return the cluster, or the vault, that they name."""
    first, second, third = (vault("operator", "unseal", share).table for share in shares[:3])
    constant = {
        "Seal Type": "n/a",
        "Initialized": "true",
        "Total Shares": "5",
        "Threshold": "3",
        "Build Date": "n/a",
        "Storage Type": "n/a",
        "HA Enabled": "false",
        "Cluster Name": first["Cluster Name"],
        "Cluster ID": first["Cluster ID"],
    }
    assert re.fullmatch(r"[0-9a-f-]{36}", first["Cluster ID"])
    version = first["Version"]
    assert re.fullmatch(r"\d+\.\d+\.\d+(\+[0-9A-Za-z.]+)?", version)
    nonce = first["Unseal Nonce"]
    assert len(nonce) == 36
    sealed = constant | {"Sealed": "true", "Unseal Nonce": nonce, "Version": version}
    assert first == sealed | {"Unseal Progress": "1/3"}
    assert second == sealed | {"Unseal Progress": "2/3"}
    assert third == constant | {"Sealed": "false", "Version": version}
    assert vault("status").table == third
    return first["Cluster Name"]


def operator_unseal_all(vault: VaultCli, shares: list[str]) -> Outcome:
    """Give shares of which the last one must be refused."""
    for share in shares[:-1]:
        vault("operator", "unseal", share)
    return vault("operator", "unseal", shares[-1], code=2)


def put_and_get_a_secret(vault: VaultCli) -> None:
    put = vault("kv", "put", "-mount=secret", "creds", "passcode=my-long-passcode").sections
    assert put["Secret Path"] == "secret/data/creds"
    got = vault("kv", "get", "-mount=secret", "creds")
    assert list(got.sections) == ["Secret Path", "Metadata", "Data"]
    assert got.sections["Secret Path"] == "secret/data/creds"
    metadata = rows_of(got, "Metadata")
    assert metadata == rows_of_text(put["Metadata"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z", metadata.pop("created_time"))
    assert metadata == {"custom_metadata": "<nil>", "deletion_time": "n/a", "destroyed": "false", "version": "1"}
    assert rows_of(got, "Data") == {"passcode": "my-long-passcode"}


def use_transit(vault: VaultCli) -> None:
    plaintext = base64.b64encode(b"hello\n").decode()
    key = vault("write", "-f", "transit/keys/orders").table
    assert key["type"] == "aes256-gcm96"
    assert key["latest_version"] == "1"
    first = vault("write", "transit/encrypt/orders", f"plaintext={plaintext}").table
    assert first["key_version"] == "1"
    assert first["ciphertext"].startswith("vault:v1:")
    assert decrypted(vault, first["ciphertext"]) == plaintext
    assert vault("write", "-f", "transit/keys/orders/rotate").table["latest_version"] == "2"
    second = vault("write", "transit/rewrap/orders", f"ciphertext={first['ciphertext']}").table
    assert second["key_version"] == "2"
    assert second["ciphertext"].startswith("vault:v2:")
    assert decrypted(vault, second["ciphertext"]) == decrypted(vault, first["ciphertext"]) == plaintext


def decrypted(vault: VaultCli, ciphertext: str) -> str:
    return vault("write", "-field=plaintext", "transit/decrypt/orders", f"ciphertext={ciphertext}").out.strip()


def assert_is_sealed(vault: VaultCli) -> None:
    for command in (
        ("kv", "get", "-mount=secret", "creds"),
        ("write", "-f", "transit/keys/orders"),
    ):
        refused = vault(*command, code=2)
        assert "Code: 503" in refused.err
        assert "Vault is sealed" in refused.err


def rows_of(outcome: Outcome, section: str) -> dict[str, str]:
    return rows_of_text(outcome.sections[section])


def rows_of_text(text: str) -> dict[str, str]:
    return Outcome(0, text, "").table
