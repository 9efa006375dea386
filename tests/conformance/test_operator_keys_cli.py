"""Rekey, rotation and root tokens as operators type them: the command lines of Vault and OpenBao, and hvac."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import hvac
import pysequoia
import pytest

from tests.conformance.vault_cli import VaultCli, find_vault
from tests.support.api import Api
from tests.support.node import Node
from tests.support.reference import find_bao
from tests.support.tenant import Tenant
from tests.support.tokens import Issuer


@pytest.fixture(params=["vault", "bao"])
def program(request: pytest.FixtureRequest) -> Path:
    return find_vault() if request.param == "vault" else find_bao()


@pytest.fixture
def cli(program: Path, tenant: Tenant, tmp_path: Path) -> VaultCli:
    """The client of a vault's operator."""
    return client(program, tenant.operator, tmp_path)


def client(program: Path, api: Api, home: Path) -> VaultCli:
    assert api.token is not None
    (home / ".vault-token").write_text(api.token)
    return VaultCli(program, api.address, home)


def told(cli: VaultCli, *arguments: str) -> dict[str, Any]:
    """Run a command; return what it prints as JSON."""
    printed = json.loads(cli("operator", *arguments[:1], "-format=json", *arguments[1:]).out)
    found: dict[str, Any] = printed.get("data") or printed if "request_id" in printed else printed
    return found


def test_the_keyring_is_rotated_and_its_term_shown(cli: VaultCli) -> None:
    before = int(told(cli, "key-status")["term"])
    assert "Success! Rotated key" in cli("operator", "rotate").out
    assert f"{before + 1}" in cli("operator", "key-status").out
    assert int(told(cli, "key-status")["term"]) == before + 1


def commands_of_rekeys(program: Path) -> list[str]:
    return ["rekey"] if program.name.startswith("vault") else ["rekey", "rotate-keys"]


def test_shares_are_changed_and_verified(cli: VaultCli, program: Path, tenant: Tenant) -> None:
    shares, threshold = tenant.shares, 3
    for command in commands_of_rekeys(program):
        begun = told(cli, command, "-init", "-key-shares=3", "-key-threshold=2", "-verify")
        nonce = begun["nonce"]
        assert nonce in cli("operator", command, "-status").out
        for share in shares[:threshold]:
            made = told(cli, command, f"-nonce={nonce}", share)
        nonce = made["verification_nonce"]
        assert told(cli, command, "-verify", f"-nonce={nonce}", made["keys_base64"][0])["progress"] == 1
        done = cli("operator", command, "-verify", f"-nonce={nonce}", made["keys_base64"][2])
        assert "are now active" in " ".join(done.out.split())
        shares, threshold = made["keys_base64"], 2
    tenant.operator.call("PUT", "sys/seal")
    for share in shares[:2]:
        cli("operator", "unseal", share)
    assert tenant.operator.get("sys/seal-status").json["sealed"] is False


def test_an_attempt_is_cancelled(cli: VaultCli, program: Path) -> None:
    for command in commands_of_rekeys(program):
        told(cli, command, "-init", "-key-shares=1", "-key-threshold=1")
        assert "Success" in cli("operator", command, "-cancel").out
        assert told(cli, command, "-status")["started"] is False


def test_shares_are_encrypted_and_backed_up(cli: VaultCli, program: Path, tenant: Tenant, tmp_path: Path) -> None:
    holder = pysequoia.Tsk.generate("a <a@example.org>")
    key = tmp_path / "a.asc"
    key.write_bytes(base64.b64encode(bytes(holder.extract_certificate())))
    shares = tenant.shares[:3]
    for command in commands_of_rekeys(program):
        begun = told(cli, command, "-init", "-key-shares=1", "-key-threshold=1", f"-pgp-keys={key}", "-backup")
        for share in shares:
            made = told(cli, command, f"-nonce={begun['nonce']}", share)
        message = base64.b64decode(made["keys_base64"][0])
        plain = pysequoia.decrypt(message, decryptor=holder.decryptor()).bytes
        assert plain is not None
        shares = [plain.decode()]
        kept = told(cli, command, "-backup-retrieve")
        assert kept.get("Keys", kept.get("keys")) == {holder.extract_certificate().fingerprint: made["keys"]}
        assert "Success" in cli("operator", command, "-backup-delete").out


def test_a_root_token_is_generated_and_decoded(cli: VaultCli, tenant: Tenant) -> None:
    otp = cli("operator", "generate-root", "-generate-otp").out.strip()
    assert len(otp) == 28
    begun = told(cli, "generate-root", "-init", f"-otp={otp}")
    assert begun["nonce"] in cli("operator", "generate-root", "-status").out
    for share in tenant.shares[:3]:
        made = told(cli, "generate-root", f"-nonce={begun['nonce']}", share)
    token = cli("operator", "generate-root", f"-decode={made['encoded_token']}", f"-otp={otp}").out.strip()
    assert tenant.operator.with_token(token).get("auth/token/lookup-self").data["policies"] == ["root"]
    told(cli, "generate-root", "-init")
    assert "Success" in cli("operator", "generate-root", "-cancel").out


def test_the_clusters_operator_rotates_the_clusters_keyring(
    program: Path, node: Node, issuer: Issuer, tmp_path: Path
) -> None:
    cluster = Api(node.address, issuer.cluster_operator())
    before = cluster.get("sys/key-status").data["term"]
    cli = client(program, cluster, tmp_path)
    cli("operator", "rotate")
    assert cluster.get("sys/key-status").data["term"] == before + 1
    refused = cli("operator", "generate-root", "-init", code=2)
    assert "a cluster has no root token" in refused.err


def test_hvac_rekeys_rotates_and_generates_a_root_token(tenant: Tenant) -> None:
    sys = hvac.Client(url=tenant.operator.address, token=tenant.operator.token).sys
    sys.rotate_encryption_key()
    assert sys.get_encryption_key_status()["data"]["term"] == 2
    begun = sys.start_rekey(secret_shares=3, secret_threshold=2, require_verification=True)
    assert sys.read_rekey_progress()["required"] == 3
    made = sys.rekey_multi(tenant.shares[:3], nonce=begun["nonce"])
    assert sys.read_rekey_verify_progress()["started"] is True
    sys.rekey_verify_multi(made["keys"], nonce=made["verification_nonce"])
    assert sys.read_rekey_progress()["required"] == 2
    sys.start_rekey(secret_shares=1, secret_threshold=1)
    sys.cancel_rekey()
    attempt = sys.start_root_token_generation(otp="A" * 28)
    assert sys.read_root_generation_progress()["started"] is True
    for share in made["keys"][:2]:
        done = sys.generate_root(share, attempt["nonce"])
    mixed = base64.b64decode(done["encoded_root_token"] + "==")
    token = bytes(byte ^ ord("A") for byte in mixed).decode()
    assert hvac.Client(url=tenant.operator.address, token=token).is_authenticated()
    sys.start_root_token_generation(otp="A" * 28)
    sys.cancel_root_generation()
