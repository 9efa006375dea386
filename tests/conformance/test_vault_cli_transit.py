"""`vault transit import` and `import-version`, which wrap keys on the caller's machine."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from kms_actors.transit.schemes.scheme import pkcs8
from tests.conformance.test_vault_cli import vault_for
from tests.conformance.vault_cli import VaultCli
from tests.support.api import b64
from tests.support.tenant import Tenant


@pytest.fixture
def vault(tenant: Tenant, tmp_path: Path) -> VaultCli:
    """The client of a tenant's user."""
    return vault_for(tenant.user, tmp_path / "user")


def test_a_symmetric_key_and_its_next_version(tenant: Tenant, vault: VaultCli) -> None:
    keys = [base64.b64encode(os.urandom(32)).decode() for _ in range(2)]
    vault("transit", "import", "transit/keys/brought", keys[0], "exportable=true", "allow_rotation=true")
    (vault.home / "next").write_text(keys[1])
    vault("transit", "import-version", "transit/keys/brought", "@next")
    exported = tenant.user.get("transit/export/encryption-key/brought").data
    assert exported["keys"] == {"1": keys[0], "2": keys[1]}
    assert "imported_key" in vault("read", "transit/keys/brought").table


def test_a_key_pair(tenant: Tenant, vault: VaultCli) -> None:
    private = base64.b64encode(pkcs8(ec.generate_private_key(ec.SECP384R1()))).decode()
    vault("transit", "import", "transit/keys/pair", private, "type=ecdsa-p384")
    signature = tenant.user.post("transit/sign/pair", {"input": b64("x")}).data["signature"]
    assert tenant.user.post("transit/verify/pair", {"input": b64("x"), "signature": signature}).data["valid"]


def test_a_key_that_does_not_fit(vault: VaultCli) -> None:
    refused = vault("transit", "import", "transit/keys/short", base64.b64encode(bytes(20)).decode(), code=3)
    assert "invalid key size 20 bytes for key type aes256-gcm96" in refused.err
