"""The console's further headers on one process, read and changed beside the settings of CORS.

Record: (`node`, namespace, `console-headers`) ConsoleHeaders, sealed by the master keyring.
"""

from __future__ import annotations

import os
import time

import structlog

from kms_actors.actors.cluster.changes import CLUSTER, CORS, Change, record
from kms_actors.errors import KmsError, Sealed
from kms_actors.insight.console_headers import ConsoleHeaders, ReadConsoleHeaders, WriteConsoleHeader, changed
from kms_actors.keyring import stored
from kms_actors.keyring.keyring import Keyring
from kms_actors.store import keyspace
from kms_actors.store.api import Store, Transaction

_NONE = ConsoleHeaders({})
_log = structlog.get_logger(__name__)


class HeaderSettings:
    """`pairs` are names and values; none while the node is sealed."""

    def __init__(self, store: Store, namespace: str) -> None:
        self._store = store
        self._key = keyspace.node(namespace, "console-headers")
        self._keyring: Keyring | None = None
        self.pairs: list[tuple[bytes, bytes]] = []

    def sealed(self) -> None:
        """Let go of the keyring."""
        self._keyring, self.pairs = None, []

    async def reload(self, keyring: Keyring | None) -> None:
        """Read them anew, as this keyring opens them."""
        self._keyring = keyring
        if keyring is None:
            return
        try:
            found = await self._store.run(self._read)
        except KmsError as error:
            _log.warning("headers of the console cannot be read: none is sent", error=type(error).__name__)
            found = _NONE
        if self._keyring is keyring:
            self.pairs = found.pairs

    async def read(self, _: ReadConsoleHeaders) -> ConsoleHeaders:
        """Answer ReadConsoleHeaders."""
        return await self._store.run(self._read)

    async def write(self, message: WriteConsoleHeader) -> None:
        """Answer WriteConsoleHeader."""
        keyring, now = self._keyring, time.time()
        if keyring is None:
            raise Sealed

        async def body(tr: Transaction) -> None:
            after = changed(await self._read(tr), message)
            if after.headers:
                tr.set(self._key, keyring.seal(self._key, stored.encode(after)))
            else:
                tr.clear(self._key)
            record(tr, Change(CLUSTER, CORS, "", now))

        await self._store.run(body, idempotency_key=os.urandom(16))
        await self.reload(keyring)

    async def _read(self, tr: Transaction) -> ConsoleHeaders:
        keyring = self._keyring
        if keyring is None:
            raise Sealed
        raw = await tr.get(self._key)
        return (
            _NONE if raw is None else stored.decode(keyring.open(self._key, raw), ConsoleHeaders, "console headers")
        )
