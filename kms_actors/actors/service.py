"""A node as the HTTP edge sees it: the node actor, and the directory of tenants while the node is unsealed."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from kms_actors.config import Configuration
from kms_actors.errors import Sealed
from kms_actors.keyring.keyring import Keyring
from kms_actors.runtime import ask
from kms_actors.secret import SecretBytes
from kms_actors.store.api import Store

from .changes import CLUSTER, Change, ChangeFeed
from .directory import TenantDirectory, TenantHandle
from .messages import Event, Message, RevokeToken
from .node import NodeActor, NodeRecords, unseal_from_file
from .tenant import Services
from .unsealing import ClusterUnsealing, NodeUnsealing


class NodeService:
    """Owns the actors of one process. Make it with `start`, end it with `stop`."""

    def __init__(self, configuration: Configuration, store: Store) -> None:
        self._configuration = configuration
        self._store = store
        self._records = NodeRecords(store, configuration.master_keyring_provider.namespace)
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="crypto")
        self._directory: TenantDirectory | None = None
        self._revoked: frozenset[str] = frozenset()
        self._feed = ChangeFeed(store, self._deliver, configuration.tenants.lease_seconds)

    async def start(self) -> None:
        """Start the node actor; with the `static` provider, unseal."""
        provider = self._configuration.master_keyring_provider
        await self._feed.start()
        self._revoked = await self._records.revoked()
        self._node = NodeActor.start(
            self._records, provider, self._configuration.tenants.unseal_progress_seconds, self._seal_changed
        )
        if provider.name == "static":
            await unseal_from_file(self._node, self._records, _read_key(Path(str(provider.key_file))))

    async def stop(self) -> None:
        """End the actors; requests under way have ended before."""
        await self._close_directory()
        await self._node.stop(block=False)
        await self._feed.stop()
        self._threads.shutdown()

    @property
    def namespace(self) -> str:
        return self._configuration.master_keyring_provider.namespace

    @property
    def node_sealed(self) -> bool:
        return self._directory is None

    @property
    def active_tenants(self) -> int:
        return 0 if self._directory is None else len(self._directory)

    @property
    def waiting(self) -> int:
        """Messages accepted by tenants and not yet answered."""
        return 0 if self._directory is None else self._directory.depths()

    @property
    def lease_age(self) -> float:
        """Seconds since the change log was last known to be read to its end."""
        return self._feed.age

    async def ask_node(self, message: Message) -> Any:
        """Send a command or query to the node actor."""
        if isinstance(message, Event):
            raise TypeError("events do not come from outside")
        answer = await ask(self._node, message)
        if isinstance(message, RevokeToken):
            self._revoked |= {message.principal.revocation_ids[-1]}
        return answer

    def node_revoked(self, revocation_ids: tuple[str, ...]) -> bool:
        """Tell whether a cluster operator's token is revoked."""
        return not self._revoked.isdisjoint(revocation_ids)

    async def tenant(self, vault_id: str) -> TenantHandle:
        """Return a tenant, awake; raises Sealed while the node is."""
        if self._directory is None:
            raise Sealed
        return await self._directory.tenant(vault_id)

    async def tenant_by_number(self, number: int) -> TenantHandle | None:
        """Return the tenant that a service token names, or None; raises Sealed while the node is."""
        if self._directory is None:
            raise Sealed
        return await self._directory.tenant_by_number(number)

    def _seal_changed(self, keyring: Keyring | None) -> asyncio.Task[None] | None:
        if keyring is None:
            return asyncio.ensure_future(self._close_directory())
        settings = self._configuration.tenants
        unsealing = ClusterUnsealing(keyring) if settings.unseal_scope == "cluster" else NodeUnsealing()
        self._directory = TenantDirectory(
            Services(self._store, unsealing, self._threads, settings, fresh=lambda: self._feed.fresh)
        )
        return None

    def _deliver(self, change: Change | None) -> None:
        if change is not None and change.vault_id == CLUSTER:
            self._revoked |= {change.name}
        elif self._directory is not None:
            self._directory.deliver(change)

    async def _close_directory(self) -> None:
        directory, self._directory = self._directory, None
        if directory is not None:
            await directory.close()


def _read_key(path: Path) -> SecretBytes:
    return SecretBytes(bytes.fromhex(path.read_text(encoding="ascii").strip()))
