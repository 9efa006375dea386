"""A tenant actor with nothing but Transit, on a real store."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from kms_actors.actors.tenant.context import TenantContext
from kms_actors.actors.transit.controller import TransitController
from kms_actors.actors.transit.usage import TransitUsage
from kms_actors.keyring.keyring import Keyring
from kms_actors.messages import Message
from kms_actors.mounts import Mount
from kms_actors.runtime import AsyncioActor, Threads, ask
from kms_actors.store.api import Store
from kms_actors.store.keyspace import TenantKeys
from kms_actors.store.sqlite.engine import SqliteStore
from tests.actors.grounds import plant, tenant_store

MOUNT = Mount("transit/", "transit", 2, "uuid", "accessor")
OTHER = Mount("other/", "transit", 7, "uuid", "accessor")


class Tenant(AsyncioActor):
    """Counts what it reads of the store, and can be made slow to learn what it has read.

    What its keys are used for is written when it is asked for, and at the end.
    """

    def __init__(self, store: Store, keyring: Keyring, threads: Threads, usage_seconds: float = 3600.0) -> None:
        super().__init__()
        self.mailbox_limit = 64
        self.reads = 0
        self._store = store
        self.context = TenantContext(
            vault_id="vault_1",
            store=tenant_store(self, TenantKeys(1), keyring, MOUNT, OTHER),  # type: ignore[arg-type]
            keys=TenantKeys(1),
            keyring=keyring,
            clock=time.time_ns,
            spawn=self.spawn,
            spawn_apart=self.spawn_apart,
            ask=self.ask,
            notify=self.notify,
            record=lambda *_: None,
            threads=threads.of("vault_1", self.wanted),
            wanted=self.wanted,
        )
        self.controller = TransitController(
            self.context, usage=lambda context, records: TransitUsage(context, records, usage_seconds)
        )
        self.handlers = self.controller.handlers()
        self.gate: asyncio.Event | None = None
        self.after_read: asyncio.Event | None = None

    def on_receive(self, message: Any) -> Any:
        return self.handlers[type(message)](message)

    def on_stopping(self) -> None:
        self.controller.usage.end()

    async def run(self, body: Any, *, idempotency_key: bytes | None = None, **options: Any) -> Any:
        """Run on the real store; a read may be held open behind `gate` once it has its result."""
        if idempotency_key is not None:
            return await self._store.run(body, idempotency_key=idempotency_key, **options)
        self.reads += 1
        result = await self._store.run(body, **options)
        if self.gate is not None:
            if self.after_read is not None:
                self.after_read.set()
            await self.gate.wait()
        return result

    async def ask(self, message: Message) -> Any:
        """Ask through the mailbox."""
        return await ask(self.actor_ref, message)


async def mounted(store: Store, keyring: Keyring) -> None:
    """Write what changes of the tenant's mounts rest on."""
    await plant(store, TenantKeys(1), keyring, MOUNT, OTHER)


@asynccontextmanager
async def opened(directory: Path, actors: int = 1) -> AsyncIterator[tuple[SqliteStore, list[Tenant]]]:
    """Open a store and `actors` actors of one tenant on it, as as many nodes have them."""
    store = await SqliteStore.open(directory / "kms.db")
    keyring = Keyring.generate(0.0)
    await mounted(store, keyring)
    threads = Threads()
    references = [Tenant.start(store, keyring, threads) for _ in range(actors)]
    yield store, [reference._actor_weakref() for reference in references]  # type: ignore[misc]
    for reference in references:
        await reference.stop(block=False)
    threads.close()
    await store.close()
