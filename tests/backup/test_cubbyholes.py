"""What tokens keep comes back with their vault."""

from __future__ import annotations

from pathlib import Path

from kms_actors.check.walk import check
from tests.support.backups import backup, restore
from tests.support.vaults import filled, node, opened
from tests.support.wrapped import ANSWER, found, keep


async def test_cubbyholes_and_wrapped_answers_move_to_another_cluster(tmp_path: Path) -> None:
    for name in ("source", "target"):
        (tmp_path / name).mkdir()
    async with opened(tmp_path / "source") as store, node(store, tmp_path / "source") as service:
        vault = await filled(service, "vault_a")
        kept = await keep(await service.tenant("vault_a"), vault.root_token)
        data = await backup(store, "vault_a")
    assert ANSWER not in data
    async with opened(tmp_path / "target") as target, node(target, tmp_path / "target") as service:
        await restore(target, data)
        assert (await check(target, None, lambda *_: None)).findings == {}
        await found(await vault.unsealed(service), kept)
