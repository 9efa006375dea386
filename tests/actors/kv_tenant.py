"""A KV controller on the embedded store, without its actor."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from kms_actors.actors.kv.controller import KvController
from kms_actors.actors.tenant.context import TenantContext
from kms_actors.keyring.keyring import Keyring
from kms_actors.kv import messages as kv
from kms_actors.messages import Message
from kms_actors.mounts import Mount
from kms_actors.runtime import Threads
from kms_actors.store.api import Store, Transaction
from kms_actors.store.keyspace import TenantKeys
from kms_actors.store.sqlite.engine import SqliteStore
from tests.actors.grounds import plant, tenant_store

SECOND = 10**9
T0 = 1_700_000_000 * SECOND
MOUNT = 4
VERSIONED = Mount("secret/", "kv", MOUNT, "uuid", "accessor", options={"version": "2"})
UNVERSIONED = Mount("plain/", "kv", MOUNT, "uuid", "accessor", options={"version": "1"})
SMALL = b'{"a":1}'


class Tenant:
    """A controller, its store, and a clock that tests set."""

    def __init__(self, store: SqliteStore, keyring: Keyring, mount: Mount = VERSIONED) -> None:
        self.store = store
        self.now = T0
        self.keys = TenantKeys(9)
        context = TenantContext(
            vault_id="vault",
            store=tenant_store(store, self.keys, keyring, mount),
            keys=self.keys,
            keyring=keyring,
            clock=lambda: self.now,
            spawn=asyncio.ensure_future,
            spawn_apart=asyncio.ensure_future,
            ask=self.ask,
            notify=lambda event: self.handlers[type(event)](event),
            record=lambda *_: None,
            threads=Threads().of("vault_1"),
        )
        self.handlers = KvController(context).handlers()

    async def ask(self, message: Message) -> Any:
        return await self.handlers[type(message)](message)

    async def put(self, path: str, data: bytes = SMALL, cas: int | None = None) -> kv.SecretVersion:
        answer: kv.SecretVersion = await self.ask(kv.WriteSecret(MOUNT, path, data, cas))
        return answer

    async def get(self, path: str, version: int = 0) -> kv.SecretVersion:
        answer: kv.SecretVersion = await self.ask(kv.ReadSecret(MOUNT, path, version))
        return answer

    async def names(self, folder: str = "", after: str = "", limit: int = 0) -> list[str]:
        answer: list[str] = await self.ask(kv.ListSecrets(MOUNT, folder, after, limit))
        return answer

    async def stored(self) -> dict[bytes, bytes]:
        async def body(transaction: Transaction) -> dict[bytes, bytes]:
            return dict(await transaction.get_range(*self.keys.span("kv")))

        return await self.store.run(body)


async def mounted(store: Store, keyring: Keyring, mount: Mount = VERSIONED) -> None:
    """Write what changes of the tenant's mount rest on."""
    await plant(store, TenantKeys(9), keyring, mount)


@asynccontextmanager
async def opened(directory: Path, mount: Mount = VERSIONED, kind: type[Tenant] = Tenant) -> AsyncIterator[Tenant]:
    store = await SqliteStore.open(directory / "kms.db")
    try:
        tenant = kind(store, keyring := Keyring.generate(0.0), mount)
        await mounted(store, keyring, mount)
        yield tenant
    finally:
        await store.close()
