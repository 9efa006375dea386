"""The way from a process to the node actor, wherever that lives.

A node has one node actor. With one process it is here (`LocalNode`); with several it is in the supervisor, and each
worker has a link to it (`kms_actors.processes.remote`).
"""

from __future__ import annotations

from typing import Any, Final, Protocol

from kms_actors.actors.node.actor import NodeActor, SealObserver, UnsealUnattended
from kms_actors.actors.node.records import NodeRecords
from kms_actors.actors.node.sealing import Sealing
from kms_actors.actors.node.unattended import Unattended
from kms_actors.config import Configuration
from kms_actors.messages import (
    Event,
    Message,
)
from kms_actors.runtime import ask
from kms_actors.seals.opening import providers_of
from kms_actors.store.api import Store

#: Seconds for which a start waits for the provider of the master key; then the node serves, sealed.
_FIRST_SECONDS: Final = 5.0


class NodeLink(Protocol):
    """Asks the node actor, and hears of each unseal and seal."""

    async def start(self, observe: SealObserver) -> None:
        """Begin; `observe` is called at once if the node is unsealed, and at each change."""

    async def ask(self, message: Message) -> Any:
        """Send a command or query; raises what the node actor's handler does."""

    async def stop(self) -> None: ...


class LocalNode:
    """The node actor in this process, and what unseals it without anybody's help."""

    def __init__(self, configuration: Configuration, store: Store) -> None:
        self._configuration = configuration
        self._settings = configuration.master_keyring_provider
        self._records = NodeRecords(store, self._settings.namespace, second_cluster=self._settings.second_cluster)
        self._providers = providers_of(self._settings)
        self._unattended = Unattended(
            lambda: ask(self._actor, UnsealUnattended()), self._settings.namespace, self._settings.name
        )

    async def start(self, observe: SealObserver) -> None:
        """Start the node actor, and have it unsealed if a provider does that; raises SettingError."""
        for provider in self._providers.values():
            await provider.check()
        sealing = Sealing(self._records, self._settings, self._providers)
        progress_seconds = self._configuration.tenants.unseal_progress_seconds
        self._actor = NodeActor.start(self._records, sealing, progress_seconds, observe)
        if self._settings.name == "static":
            await self._unattended.once()  # what is wrong with a file is no outage that ends by itself
        if self._settings.types != {"shamir"}:
            await self._unattended.begin(_FIRST_SECONDS)

    async def ask(self, message: Message) -> Any:
        """See `NodeLink.ask`."""
        if isinstance(message, Event):
            raise TypeError("events do not come from outside")
        return await ask(self._actor, message)

    async def stop(self) -> None:
        """End the actor."""
        await self._unattended.stop()
        await self._actor.stop(block=False)
        for provider in self._providers.values():
            await provider.close()
