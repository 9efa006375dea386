"""Audit devices of the cluster, on one of its processes: entries of all vaults, and of what concerns none.

They are read with the first request after an unseal, and after each change; until they are known, nothing is done.

Records: as those of a vault, see `tenant.audit_records`, below (`node`, namespace), sealed by the master keyring.
"""

from __future__ import annotations

import asyncio
import os
from functools import partial
from typing import Any, Final

from kms_actors import request_context
from kms_actors.actors.audit.book import Books
from kms_actors.actors.audit.changing import Change, Changing
from kms_actors.actors.audit.opening import Audit, ScopeDevices
from kms_actors.actors.audit.outlets import Scope
from kms_actors.actors.audit.trail import Trail
from kms_actors.actors.cluster.changes import AUDIT, CLUSTER, record
from kms_actors.actors.cluster.changes import Change as Line
from kms_actors.actors.tenant.audit_records import AuditRecords
from kms_actors.audit.device import Devices
from kms_actors.audit.messages import AUDIT_MESSAGES
from kms_actors.errors import Sealed
from kms_actors.keyring.keyring import Keyring
from kms_actors.messages import Message
from kms_actors.runtime.coalesced import Coalesced
from kms_actors.store import keyspace
from kms_actors.store.api import Store, Transaction

_SECOND: Final = 10**9


class NodeAudit:
    """The devices of the cluster as one process has them open."""

    def __init__(self, store: Store, namespace: str, audit: Audit) -> None:
        self._store = store
        self._namespace = namespace
        self._audit = audit
        self._open = ScopeDevices(audit, Scope(namespace, is_node=True))
        self._work = Changing(audit, Scope(namespace, is_node=True), self).work()
        self._records: AuditRecords | None = None
        self._known = True  # nothing, while it is sealed
        self._reading = Coalesced(self._load, lambda work: asyncio.get_running_loop().create_task(work))

    @property
    def audited(self) -> bool:
        """Whether requests are to be recorded, as far as is known: False only where there are no devices."""
        return not self._known or self._open.trail is not None

    async def trail(self) -> Trail | None:
        """Return what is open; None where there is nothing, or the node is sealed. Raises StoreUnavailable."""
        while not self._known and self._records is not None:
            await asyncio.shield(self._reading.run())
        return self._open.trail

    def unsealed(self, keyring: Keyring) -> None:
        """Take the master keyring, which opens the records."""
        key = partial(keyspace.node, self._namespace)
        self._records = AuditRecords(key, keyring)
        self._open.unsealed(self._store, key, keyring)
        self._known = False

    def sealed(self) -> None:
        """Close all devices, and forget their keys."""
        self._records = None
        self._known = True
        self._open.close()

    def changed(self) -> None:
        """Read them anew before anything more is done."""
        if self._records is not None:
            self._known = False

    async def _load(self) -> None:
        while not self._known and self._records is not None:
            records, self._known = self._records, True  # what changes from here on is heard, and read again
            try:
                devices = await self._store.run(records.read)
            except BaseException:
                self._known = False
                raise
            if self._records is records:
                self._open.take(devices)

    @property
    def books(self) -> Books:
        """See `Place`."""
        return self._open.books

    @staticmethod
    def handles(message: Message) -> bool:
        """Tell whether a message is for these devices."""
        return type(message) in AUDIT_MESSAGES

    async def ask(self, message: Message) -> Any:
        """Carry out a message of an operator."""
        return await asyncio.shield(asyncio.ensure_future(self._work[type(message)](message)))

    async def read(self) -> Devices:
        """See `Place`."""
        if self._records is None:
            raise Sealed
        return await self._store.run(self._records.read)

    async def change(self, change: Change) -> bool:
        """See `Place`."""
        records = self._records
        if records is None:
            raise Sealed
        recorded = request_context.current().record
        if recorded is not None:
            await recorded.recorded()
        now = self._audit.clock() / _SECOND

        async def body(tr: Transaction) -> bool:
            before = await records.read(tr)
            devices = change(before)
            if devices is before:
                return False
            records.write(tr, before, devices)
            record(tr, Line(CLUSTER, AUDIT, "", now))
            return True

        changed = await self._store.run(body, idempotency_key=os.urandom(16))
        self.changed()
        await self.trail()
        return changed
