"""The way from a process to the node actor, wherever that lives.

A node has one node actor. With one process it is here (`LocalNode`); with several it is in the supervisor, and each
worker has a link to it (`kms_actors.processes.remote`).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final, Protocol

import structlog

from kms_actors.actors.node.actor import (
    NodeActor,
    NodeRecords,
    SealObserver,
    unseal_from_file,
)
from kms_actors.config import Configuration, SettingError
from kms_actors.errors import InvalidShares
from kms_actors.messages import (
    Event,
    Message,
)
from kms_actors.runtime import ask
from kms_actors.secret import SecretBytes
from kms_actors.store.api import Store
from kms_actors.system_errors import in_words

KEY_FILE: Final = "master_keyring_provider.key_file"
_log = structlog.get_logger(__name__)
_HEX_KEY: Final = re.compile(r"\s*([0-9a-fA-F]{64})\s*")


class NodeLink(Protocol):
    """Asks the node actor, and hears of each unseal and seal."""

    async def start(self, observe: SealObserver) -> None:
        """Begin; `observe` is called at once if the node is unsealed, and at each change."""

    async def ask(self, message: Message) -> Any:
        """Send a command or query; raises what the node actor's handler does."""

    async def stop(self) -> None: ...


class LocalNode:
    """The node actor in this process."""

    def __init__(self, configuration: Configuration, store: Store) -> None:
        self._configuration = configuration
        provider = configuration.master_keyring_provider
        self._records = NodeRecords(store, provider.namespace, second_cluster=provider.second_cluster)

    async def start(self, observe: SealObserver) -> None:
        """Start the node actor; with the `static` provider, unseal."""
        provider = self._configuration.master_keyring_provider
        progress_seconds = self._configuration.tenants.unseal_progress_seconds
        self._actor = NodeActor.start(self._records, provider, progress_seconds, observe)
        if provider.name == "static":
            await self._unseal_from(Path(str(provider.key_file)))

    async def _unseal_from(self, path: Path) -> None:
        try:
            await unseal_from_file(self._actor, self._records, _read_key(path))
        except InvalidShares:
            raise SettingError(KEY_FILE, f"{path} holds the master key of another cluster") from None
        _log.info("unsealed", scope=self._configuration.master_keyring_provider.namespace, by="key file")

    async def ask(self, message: Message) -> Any:
        """See `NodeLink.ask`."""
        if isinstance(message, Event):
            raise TypeError("events do not come from outside")
        return await ask(self._actor, message)

    async def stop(self) -> None:
        """End the actor."""
        await self._actor.stop(block=False)


def _read_key(path: Path) -> SecretBytes:
    try:
        found = _HEX_KEY.fullmatch(path.read_text(encoding="latin-1"))
    except OSError as error:
        raise SettingError(KEY_FILE, f"{path}: {in_words(error)}") from None
    if found is None:
        raise SettingError(KEY_FILE, f"{path} holds no master key: 64 hex characters")
    return SecretBytes(bytes.fromhex(found[1]))
