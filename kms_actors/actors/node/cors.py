"""The cluster's CORS settings on one process: read when the node is unsealed, and when a node has changed them.

With them go those of the console (`console_headers.py`).

Record: (`node`, namespace, `cors`) Cors, sealed by the master keyring: who writes into the store opens no door.
"""

from __future__ import annotations

import os
import time

import structlog

from kms_actors.actors.cluster.changes import CLUSTER, CORS, Change, record
from kms_actors.actors.node.console_headers import HeaderSettings
from kms_actors.errors import KmsError, Sealed
from kms_actors.insight.cors import Cors, DeleteCors, ReadCors, WriteCors
from kms_actors.keyring import stored
from kms_actors.keyring.keyring import Keyring
from kms_actors.store import keyspace
from kms_actors.store.api import Store, Transaction

_log = structlog.get_logger(__name__)


class CorsSettings:
    """`current` is None while the node is sealed, and where no page may send requests."""

    def __init__(self, store: Store, namespace: str) -> None:
        self._store = store
        self._key = keyspace.node(namespace, "cors")
        self._keyring: Keyring | None = None
        self.current: Cors | None = None
        self.console = HeaderSettings(store, namespace)

    async def unsealed(self, keyring: Keyring) -> None:
        """Begin to know the settings."""
        self._keyring = keyring
        await self.reload()

    def sealed(self) -> None:
        """Let go of the keyring."""
        self._keyring = self.current = None
        self.console.sealed()

    async def reload(self) -> None:
        """Read them anew; none where they cannot be read: then no page gets to see an answer."""
        keyring = self._keyring
        await self.console.reload(keyring)
        if keyring is None:
            return
        try:
            raw = await self._store.run(lambda tr: tr.get(self._key))
            found = None if raw is None else stored.decode(keyring.open(self._key, raw), Cors, "CORS settings")
        except KmsError as error:
            _log.warning("settings of CORS cannot be read: no page may send requests", error=type(error).__name__)
            found = None
        if self._keyring is keyring:
            self.current = found

    async def read(self, _: ReadCors) -> Cors | None:
        """Answer ReadCors."""
        if self._keyring is None:
            raise Sealed
        return self.current

    async def write(self, message: WriteCors) -> None:
        """Answer WriteCors."""
        keyring = self._keyring
        if keyring is None:
            raise Sealed
        sealed = keyring.seal(self._key, stored.encode(message.cors))
        await self._change(sealed)

    async def delete(self, _: DeleteCors) -> None:
        """Answer DeleteCors."""
        if self._keyring is None:
            raise Sealed
        await self._change(None)

    async def _change(self, sealed: bytes | None) -> None:
        now = time.time()

        async def body(tr: Transaction) -> None:
            if sealed is None:
                tr.clear(self._key)
            else:
                tr.set(self._key, sealed)
            record(tr, Change(CLUSTER, CORS, "", now))

        await self._store.run(body, idempotency_key=os.urandom(16))
        await self.reload()
