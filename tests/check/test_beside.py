"""A check beside running nodes tells nothing that is not so, whatever they do between two of its transactions."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import msgspec
import pytest

from kms_actors.actors.node.erasing import Eraser
from kms_actors.actors.node.records import NodeRecords
from kms_actors.actors.node.service import NodeService
from kms_actors.ceremony.messages import RotateKeyring
from kms_actors.check import walk
from kms_actors.check.orphans import find_orphans
from kms_actors.check.walk import check
from kms_actors.errors import InvalidShares
from kms_actors.keyring import stored
from kms_actors.keyring.master_seal import ProviderSeal
from kms_actors.kv import messages as kv
from kms_actors.messages import DisableMount, EnableMount, Seal
from kms_actors.secret import SecretBytes
from kms_actors.store import keyspace
from kms_actors.store.keyspace import TenantKeys
from kms_actors.tenancy.records import Erasure
from tests.store.access import get, put
from tests.support.faulty_store import CountingStore
from tests.support.vaults import Vault, filled, master_of, node, opened

NAMESPACE: Final = "kms-c1"


@pytest.fixture(autouse=True)
def _small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walk, "_MOST", 10)


async def rotate_master(service: NodeService, _: Vault) -> None:
    await service.ask_node(RotateKeyring())


async def rotate(service: NodeService, vault: Vault) -> None:
    await (await vault.unsealed(service)).ask(RotateKeyring())


async def seal(service: NodeService, vault: Vault) -> None:
    tenant = await service.tenant(vault.vault_id)
    await tenant.ask(Seal())
    await vault.unsealed(service)


async def change(service: NodeService, vault: Vault) -> None:
    tenant = await vault.unsealed(service)
    await tenant.ask(EnableMount("more/", "kv-v2", "", {}))
    mount = tenant.mounts.get("more/")
    assert mount is not None
    for path in ("a", "b"):
        await tenant.ask(kv.WriteSecret(mount.number, path, b"{}"))
    await tenant.ask(DisableMount("more/"))


@pytest.mark.parametrize("happens", [rotate_master, rotate, seal, change])
async def test_nothing_is_found_that_is_not_so(
    tmp_path: Path, happens: Callable[[NodeService, Vault], Awaitable[None]]
) -> None:
    async with opened(tmp_path) as store, node(store, tmp_path) as service:
        vault = await filled(service, "vault_a")
        for at in itertools.count():
            counting = CountingStore(store, at, lambda: happens(service, vault))
            report = await check(counting, await master_of(store, tmp_path), lambda *_: None)
            assert list(report.findings) == [], at
            if counting.runs <= at:
                break
        assert at > 2


async def test_a_vault_that_is_being_deleted_is_not_damaged(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        async with node(store, tmp_path) as service:
            await filled(service, "vault_a")
        master = await master_of(store, tmp_path)
        await put(store, (TenantKeys(1).key("erasure"), stored.encode(Erasure("vault_a", 1.0, 2.0, ""))))
        steps = 0
        while True:
            eraser = Eraser(store, time.time_ns, elapsed=itertools.count(step=20).__next__)
            eraser._size = 3
            gone = await eraser.erase(1, "vault_a")
            assert list((await check(store, master, lambda *_: None)).findings) == [], steps
            assert [orphans async for orphans in find_orphans(store)] == [], steps
            if gone:
                break
            steps += 1
        assert steps > 5


async def test_a_key_that_is_the_masters_no_more_ends_the_check(tmp_path: Path) -> None:
    """As by a rekey, or when the master key has changed hands: what it does not open would be taken for damaged."""
    async with opened(tmp_path) as store:
        async with node(store, tmp_path) as service:
            await filled(service, "vault_a")
        place = keyspace.node(NAMESPACE, "seal")

        async def rekey() -> None:
            sealed = ProviderSeal.decode(await get(store, place) or b"")
            await put(store, (place, msgspec.structs.replace(sealed, key_check_value="0" * 32).encode()))

        with pytest.raises(InvalidShares):
            await check(CountingStore(store, 1, rekey), await master_of(store, tmp_path), lambda *_: None)


async def test_what_another_cluster_in_the_store_has_sealed_is_its_own(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        async with node(store, tmp_path) as service:
            await filled(service, "vault_a")
        master = await master_of(store, tmp_path)
        seal_, _ = await NodeRecords(store, NAMESPACE).read()
        assert seal_ is not None
        key = SecretBytes(os.urandom(32))
        await NodeRecords(store, "kms-c2", second_cluster=True).create(seal_, key, 0.0)
        assert list((await check(store, master, lambda *_: None)).findings) == []
