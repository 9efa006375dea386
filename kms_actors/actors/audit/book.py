"""The book of a scope's logs: its signing key, and the anchors of its logs in the store.

The key is derived from the keyring of the vault, or of the cluster for the node's own devices: made with the keyring,
kept with it, and the same on every node. Whoever has the keyring can sign; nobody else can.

Records: see `tenant.audit_records`.
"""

from __future__ import annotations

import os
from typing import Final, Protocol
from urllib.parse import quote

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from kms_actors.actors.tenant import audit_records
from kms_actors.actors.tenant.audit_records import ANCHORS as AREA
from kms_actors.actors.tenant.audit_records import MakeKey
from kms_actors.audit.device import Device
from kms_actors.audit.log.anchors import StoredAnchor
from kms_actors.audit.log.findings import Trust
from kms_actors.audit.log.notes import Signer
from kms_actors.keyring import stored
from kms_actors.keyring.keyring import Keyring
from kms_actors.store.api import Store, Transaction
from kms_actors.store.keyspace import after

_LABEL: Final = b"audit log"
#: Anchors of one device that are read; each process has one, and some are left of those that crashed.
_MOST: Final = 1000


class Book(Protocol):
    """What the writer of a device's logs needs."""

    @property
    def trust(self) -> Trust:
        """The key that signs, and what its name begins with."""

    def signer(self, log: str) -> Signer:
        """Return what signs a log."""

    async def anchors(self) -> list[StoredAnchor]:
        """Return those of the device's logs."""

    async def advance(self, before: StoredAnchor | None, anchor: StoredAnchor) -> bool:
        """Put `anchor` in the place of `before`; False, and nothing done, where another one is there."""


def key_scope(name: str, *, is_node: bool) -> str:
    """Return what the names of all keys of a scope begin with; `name` is a namespace, or a vault's id."""
    kind = "node" if is_node else "vault"
    return f"clever-kms/{kind}/{quote(name, safe='')}/audit"


class Books:
    """Those of the devices of one scope; `key` makes keys of its records, which `keyring` seals."""

    def __init__(self, store: Store, key: MakeKey, keyring: Keyring, scope: str) -> None:
        self.store: Final = store
        self.key: Final = key
        self.keyring = keyring
        self.scope: Final = scope

    def of(self, device: Device) -> StoredBook:
        """Return that of a device."""
        return StoredBook(self, device)


class StoredBook:
    """That of one device."""

    def __init__(self, books: Books, device: Device) -> None:
        self._books = books
        self._device = device.uuid
        self._own = books.key(audit_records.AREA, device.path)

    @property
    def trust(self) -> Trust:
        return Trust(self._books.scope, self._books.keyring.issuer(_LABEL))

    def signer(self, log: str) -> Signer:
        """See `Book`."""
        seed = self._books.keyring.derive(_LABEL)
        return Signer(f"{self._books.scope}/{log}", Ed25519PrivateKey.from_private_bytes(seed))

    async def anchors(self) -> list[StoredAnchor]:
        """See `Book`."""
        begin = self._books.key(AREA, self._device)
        found = await self._books.store.run(lambda tr: tr.get_range(begin, after(begin), limit=_MOST))
        return [self._opened(key, record) for key, record in found]

    async def advance(self, before: StoredAnchor | None, anchor: StoredAnchor) -> bool:
        """See `Book`. A device that is not enabled, or not any more, has no anchors: nothing is done."""
        key = self._books.key(AREA, self._device, anchor.log)
        sealed = self._books.keyring.seal(key, stored.encode(anchor))

        async def body(tr: Transaction) -> bool:
            device, record = await tr.get_many((self._own, key))
            if device is None:
                return True
            if (None if record is None else self._opened(key, record)) != before:
                return False
            tr.set(key, sealed)
            return True

        return await self._books.store.run(body, idempotency_key=os.urandom(16))

    def _opened(self, key: bytes, record: bytes) -> StoredAnchor:
        return stored.decode(self._books.keyring.open(key, record), StoredAnchor, "anchor of an audit log")
