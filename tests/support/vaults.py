"""Vaults on an embedded store, used through a node's own actors."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kms_actors import config
from kms_actors.actors.node.directory import TenantHandle
from kms_actors.actors.node.service import NodeService
from kms_actors.backup.paging import export_page
from kms_actors.check.keys import Master, open_master
from kms_actors.cli.private_file import create_private
from kms_actors.cli.store.given import Given
from kms_actors.kv import messages as kv
from kms_actors.messages import (
    Grants,
    Initialize,
    ReadSealStatus,
    Unseal,
)
from kms_actors.mounts import Mount
from kms_actors.store import schema
from kms_actors.store.api import Store
from kms_actors.store.sqlite.engine import SqliteStore
from kms_actors.transit import messages as transit
from kms_actors.transit.items import DecryptItem, EncryptItem
from kms_actors.transit.policy import KeyOptions

#: Public keys of nobody who signs tokens here.
_KEYS = [
    "8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c",
    "8139770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b394",
]
LARGE = b'{"a":"%b"}' % (b"x" * 70_000)


def configuration(directory: Path, **tenants: Any) -> config.Configuration:
    """Return the configuration of a node that unseals itself; the master key is made at need."""
    key_file = directory / "master.key"
    if not key_file.exists():
        create_private(key_file, os.urandom(32).hex())
    tree = {
        "cluster": {"backend": "sqlite", "path": str(directory / "kms.sqlite")},
        "master_keyring_provider": {
            "name": "static",
            "key_file": str(key_file),
            "namespace": "kms-c1",
            "node_name": "n1",
        },
        "authenticator": {"name": "biscuit", "provider": {"keys": [_KEYS], "service": "s"}},
        "tenants": tenants,
    }
    return config.check(tree, directory / "node.toml")


async def master_of(store: Store, directory: Path) -> Master:
    """Return the master key that the file in `directory` has wrapped, with its keyring."""
    settings = configuration(directory).master_keyring_provider
    key = await Given((), directory / "master.key").master_key(store, settings)
    assert key is not None
    return await open_master(store, settings.namespace, key)


@contextlib.asynccontextmanager
async def node(
    store: Store, directory: Path, clock: Callable[[], int] = time.time_ns, **tenants: Any
) -> AsyncIterator[NodeService]:
    """Run a node on `store`, with the master key of `directory`, and `tenants` in its configuration."""
    await schema.initialise(store)
    service = NodeService(configuration(directory, **tenants), store, clock=clock, export=export_page)
    await service.start()
    try:
        yield service
    finally:
        await service.stop()


async def trust(service: NodeService) -> None:
    """Have the cluster come to trust the clock of `service`, which is alone."""
    for _ in range(40):
        if await service.timekeeper.look():
            return
    raise AssertionError("the clock is not trusted")


@dataclass(frozen=True)
class Vault:
    """What a vault's operators and users know of it."""

    vault_id: str
    shares: tuple[bytes, ...]
    root_token: str
    ciphertexts: tuple[str, ...] = ()

    async def unsealed(self, service: NodeService) -> TenantHandle:
        """Give the shares, one after the other."""
        tenant = await service.tenant(self.vault_id)
        status = await tenant.ask(ReadSealStatus())
        assert status.initialized
        for share in self.shares[: status.threshold] if status.sealed else ():
            await tenant.ask(Unseal(share))
        return tenant

    async def check(self, service: NodeService) -> None:
        """Read back all that `filled` wrote."""
        tenant = await self.unsealed(service)
        assert [m.path for m in tenant.mounts] == ["secret/", "transit/"]
        for number in (1, 2, 3):
            found = await tenant.ask(kv.ReadSecret(1, "app/db", number))
            assert found.data == _data(number)
        assert (await tenant.ask(kv.ReadSecret(1, "app/one"))).data == b'{"n":1}'
        assert await tenant.ask(kv.ListSecrets(1, "app/")) == ["db", "one"]
        items = tuple(DecryptItem(ciphertext) for ciphertext in self.ciphertexts)
        answers = await tenant.ask(transit.Decrypt(transit_mount(tenant), "orders", items))
        assert list(answers) == [b"first", b"second"]


def _data(number: int) -> bytes:
    return LARGE if number == 2 else b'{"n":%d}' % number


def transit_mount(tenant: TenantHandle) -> Mount:
    mount = tenant.mounts.get("transit/")
    assert mount is not None
    return mount


async def filled(service: NodeService, vault_id: str) -> Vault:
    """Make a vault with secrets (small and large) and a rotated transit key."""
    tenant = await service.tenant(vault_id)
    made = await tenant.ask(Initialize(3, 2))
    vault = Vault(vault_id, made.shares, made.root_token)
    await vault.unsealed(service)
    for number in (1, 2, 3):
        await tenant.ask(kv.WriteSecret(1, "app/db", _data(number)))
    await tenant.ask(kv.WriteSecret(1, "app/one", b'{"n":1}'))
    mount = transit_mount(tenant)
    await tenant.ask(transit.CreateKey(mount, "orders", KeyOptions()))
    ciphertexts = []
    for plaintext in (b"first", b"second"):
        answers = await tenant.ask(
            transit.Encrypt(mount, "orders", (EncryptItem(plaintext),), Grants(), False, "", False)
        )
        ciphertexts.append(answers[0][0])
        await tenant.ask(transit.RotateKey(mount, "orders"))
    return Vault(vault_id, made.shares, made.root_token, tuple(ciphertexts))


@contextlib.asynccontextmanager
async def opened(directory: Path) -> AsyncIterator[Store]:
    """Open the embedded store of `directory`."""
    store = await SqliteStore.open(directory / "kms.sqlite")
    try:
        yield store
    finally:
        await store.close()
