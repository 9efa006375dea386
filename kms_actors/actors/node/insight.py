"""What the node answers about itself: from its settings, from the store, and from the machine."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from kms_actors.actors.cluster import members
from kms_actors.config import Configuration
from kms_actors.insight.messages import (
    FindVault,
    ListMembers,
    ListVaults,
    ListVersions,
    ReadHost,
    ReadSettings,
)
from kms_actors.insight.records import Member
from kms_actors.insight.settings import sanitized
from kms_actors.messages import Message
from kms_actors.observe import host
from kms_actors.store.api import Store

#: Vaults in one list.
MOST_VAULTS: Final = 10_000

Answer = Callable[[Any], Awaitable[Any]]


class Insight:
    """Of one process. `handlers` are asked by nobody whom the edge has not let through."""

    def __init__(self, configuration: Configuration, store: Store, sealed: Callable[[], bool]) -> None:
        self._configuration = configuration
        self._sealed = sealed
        self._store = store
        self.handlers: Mapping[type[Message], Answer] = {
            ReadHost: self._read_host,
            ReadSettings: self._read_settings,
            ListMembers: self._list_members,
            ListVersions: self._list_versions,
            ListVaults: self._list_vaults,
            FindVault: self._find_vault,
        }

    @property
    def _namespace(self) -> str:
        return self._configuration.master_keyring_provider.namespace

    async def _read_host(self, _: ReadHost) -> dict[str, Any]:
        return await asyncio.to_thread(_host, self._configuration.cluster.path)

    async def _read_settings(self, _: ReadSettings) -> dict[str, Any]:
        return sanitized(self._configuration)

    async def _list_members(self, _: ListMembers) -> list[Member]:
        """Return the nodes; what this one said last is some seconds old, and what it is now is known."""
        now = time.time()
        own = self._configuration.master_keyring_provider.node_name
        return [
            msgspec.structs.replace(each, heard=now, sealed=self._sealed()) if each.name == own else each
            for each in await members.list_members(self._store, self._namespace, now)
        ]

    async def _list_versions(self, _: ListVersions) -> Any:
        return await members.list_versions(self._store, self._namespace)

    async def _list_vaults(self, message: ListVaults) -> Any:
        limit = min(message.limit or MOST_VAULTS, MOST_VAULTS)
        return await members.list_vaults(self._store, message.after, limit)

    async def _find_vault(self, message: FindVault) -> Any:
        return await members.find_vault(self._store, message.vault_id)


def _host(store: str | None) -> dict[str, Any]:
    """Return what the machine is, with the disks of the system and of an embedded store."""
    return host.describe(["/"] if store is None else ["/", str(Path(store).absolute().parent)])
