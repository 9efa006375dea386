"""Development mode: whatever is done to its vault, the next start has it ready, or says that it has not.

The kind: a newcomer who seals the vault, as the console offers it, and has lost what was in it.
"""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from kms_actors.cli.development import VAULT_ID, Development
from kms_actors.keyring.shamir import parse_share
from kms_actors.messages import Seal, Unseal
from tests.support.vaults import node, opened

_FILE = """
[master_keyring_provider]
namespace = "kms-c1"
node_name = "n1"
[authenticator]
name = "biscuit"
[authenticator.provider]
service = "s"
"""


async def test_a_vault_that_was_sealed_is_unsealed_by_its_key_and_by_the_next_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, directory = tmp_path / "node.toml", tmp_path / "dev"
    file.write_text(_FILE)
    development = Development.prepare(file, directory)
    key = directory / "unseal.key"
    async with opened(tmp_path) as store, node(store, tmp_path) as service:
        await development.ready(service)
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
        assert f"{key}" in capsys.readouterr().out
        tenant = await service.tenant(VAULT_ID)
        await tenant.ask(Seal())
        await tenant.ask(Unseal(parse_share(key.read_text().strip())))
        assert not (await service.tenant(VAULT_ID)).sealed
        await tenant.ask(Seal())
        await development.ready(service)
        assert not (await service.tenant(VAULT_ID)).sealed
        assert "is sealed" not in capsys.readouterr().out

        await (await service.tenant(VAULT_ID)).ask(Seal())
        key.unlink()
        await development.ready(service)
        assert f"{VAULT_ID} is sealed, and {key} does not open it" in capsys.readouterr().out
