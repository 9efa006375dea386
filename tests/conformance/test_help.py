"""Help and the OpenAPI document, by the real command lines and over the wire."""

from __future__ import annotations

from pathlib import Path

import pytest
from openapi_spec_validator import validate

from tests.conformance.vault_cli import VaultCli, find_vault
from tests.support.reference import find_bao
from tests.support.tenant import Tenant


@pytest.fixture(params=["bao", "vault"])
def cli(request: pytest.FixtureRequest, tenant: Tenant, tmp_path: Path) -> VaultCli:
    """A command line of a user of the vault."""
    binary = find_bao() if request.param == "bao" else find_vault()
    made = VaultCli(binary, tenant.user.address, tmp_path)
    assert tenant.user.token is not None
    made.login(tenant.user.token)
    return made


def test_path_help_tells_of_a_path_and_does_nothing_there(cli: VaultCli, tenant: Tenant) -> None:
    tenant.user.post("secret/data/app", {"data": {"canary": "canary-value"}})
    told = cli("path-help", "secret/data/app").out
    assert "Request:        data/app" in told
    assert "The secret: names and values." in told
    assert "canary" not in told
    assert "^encrypt/(?P<name>" in cli("path-help", "transit").out
    assert "Enable, show and disable a mount." in cli("path-help", "sys/mounts/x").out
    assert "No handler for route" in cli("path-help", "nosuch/x", code=2).err.replace("no handler", "No handler")


def test_a_vault_has_a_valid_document_of_its_own_mounts(tenant: Tenant) -> None:
    tenant.root.post("sys/mounts/mine", {"type": "kv", "options": {"version": "1"}})
    document = tenant.root.get("sys/internal/specs/openapi").json
    validate(document)
    assert {"/mine/{path}", "/secret/data/{path}", "/transit/encrypt/{name}"} <= document["paths"].keys()
