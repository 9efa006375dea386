"""sops with `--hc-vault-transit`: encrypted files, whose data keys are wrapped by a Transit key."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.conformance.sops_cli import run_sops
from tests.support.node import Node
from tests.support.tenant import Tenant, make_tenant
from tests.support.tokens import Issuer

CONTENT = "database:\n    user: app\n    password: my-long-passcode\nports:\n    - 1\n    - 2\n"


class User:
    """A user's directory with one encrypted file, `app.yaml`."""

    def __init__(self, tenant: Tenant, home: Path) -> None:
        assert tenant.user.token is not None
        self.tenant, self.home, self.token = tenant, home, tenant.user.token
        (home / "plain.yaml").write_text(CONTENT)
        self.file = home / "app.yaml"
        self.file.write_text(self("encrypt", "--hc-vault-transit", self.uri("dev"), "plain.yaml"))

    def __call__(self, *arguments: str, code: int = 0) -> str:
        return run_sops(self.home, self.token, *arguments, code=code)

    def uri(self, key: str) -> str:
        return f"{self.tenant.user.address}/v1/transit/keys/{key}"

    @property
    def wrapping_versions(self) -> list[str]:
        """The versions of the Transit keys that the file's data key is wrapped by."""
        return re.findall(r"vault:v(\d+):", self.file.read_text())


@pytest.fixture
def user(tenant: Tenant, tmp_path: Path) -> User:
    return User(tenant, tmp_path)


def test_a_file_is_encrypted_by_a_key_made_at_need_and_decrypted(user: User) -> None:
    assert "my-long-passcode" not in user.file.read_text()
    assert user.tenant.user.get("transit/keys/dev").data["type"] == "aes256-gcm96"
    assert user("decrypt", "app.yaml") == CONTENT
    assert user("decrypt", "--extract", '["database"]["password"]', "app.yaml") == "my-long-passcode"


def test_a_file_outlives_rotations_and_moves_to_the_new_version(user: User) -> None:
    transit = user.tenant.user
    transit.post("transit/keys/dev/rotate")
    assert user("decrypt", "app.yaml") == CONTENT
    assert user.wrapping_versions == ["1"]
    user("rotate", "--in-place", "app.yaml")
    assert user.wrapping_versions == ["2"]
    transit.post("transit/keys/dev/config", {"min_decryption_version": 2})
    assert user("decrypt", "app.yaml") == CONTENT


def test_a_file_of_a_version_no_longer_allowed_is_not_decrypted(user: User) -> None:
    transit = user.tenant.user
    transit.post("transit/keys/dev/rotate")
    transit.post("transit/keys/dev/config", {"min_decryption_version": 2})
    refused = user("decrypt", "app.yaml", code=128)
    assert "disallowed by policy (too old)" in re.sub(r"[\s|]+", " ", refused)
    assert "my-long-passcode" not in refused


def test_updatekeys_wraps_the_data_key_for_another_transit_key(user: User) -> None:
    rule = f"creation_rules:\n  - hc_vault_transit_uri: {user.uri('next')}\n"
    (user.home / ".sops.yaml").write_text(rule)
    user("updatekeys", "--yes", "app.yaml")
    assert "key_name: next" in user.file.read_text()
    assert "key_name: dev" not in user.file.read_text()
    assert user("decrypt", "app.yaml") == CONTENT


def test_another_tenant_cannot_decrypt(user: User, node: Node, issuer: Issuer) -> None:
    stranger = make_tenant(node, issuer).user.token
    assert stranger is not None
    assert "my-long-passcode" not in run_sops(user.home, stranger, "decrypt", "app.yaml", code=128)
