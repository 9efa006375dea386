"""Audit devices in the store, of a vault or of the node.

(…, `audit`, path)      Device, sealed
(…, `audit-headers`)    Headers, sealed
(…, `audit-revision`)   how often any of these was changed
(…, `auditlog`, id of a device, id of a log)  StoredAnchor, sealed; see `actors.audit.book`

The revision of a vault is read by each of its changes: what was decided while other devices were known is not done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from kms_actors.audit.device import Device, Devices, Headers
from kms_actors.keyring import stored
from kms_actors.keyring.keyring import Keyring
from kms_actors.store.api import Entry, Reads, Transaction
from kms_actors.store.keyspace import after

AREA: Final = "audit"
HEADERS: Final = "audit-headers"
REVISION: Final = "audit-revision"
ANCHORS: Final = "auditlog"

#: Returns the key of a record of a scope.
MakeKey = Callable[..., bytes]


def audit_span(key: MakeKey) -> tuple[bytes, bytes]:
    """Return begin and end of all records of audit."""
    return key(AREA), after(key(REVISION))


def revision_of(record: bytes | None) -> int:
    """Return the revision that a record tells."""
    return int.from_bytes(record or b"", "little")


class AuditRecords:
    """The records of one scope that is unsealed."""

    def __init__(self, key: MakeKey, keyring: Keyring) -> None:
        self._key = key
        self._keyring = keyring

    async def read(self, tr: Reads) -> Devices:
        """Return what there is."""
        return self.opened(await tr.get_range(*audit_span(self._key)))

    def opened(self, entries: Iterable[Entry]) -> Devices:
        """Return what lies in records; any others among them are left alone."""
        records = dict(entries)
        headers, revision = self._key(HEADERS), self._key(REVISION)
        begin, end = self._key(AREA), after(self._key(AREA))
        devices = (
            stored.decode(self._keyring.open(key, record), Device, "audit device")
            for key, record in records.items()
            if begin < key < end
        )
        shown = Headers()
        if headers in records:
            shown = stored.decode(self._keyring.open(headers, records[headers]), Headers, "audited headers")
        return Devices(revision_of(records.get(revision)), tuple(devices), shown)

    def write(self, tr: Transaction, before: Devices, after_it: Devices) -> None:
        """Write what differs, and the revision of what is to be."""
        for device in after_it.all:
            if before.get(device.path) != device:
                key = self._key(AREA, device.path)
                tr.set(key, self._keyring.seal(key, stored.encode_secret(device)))
        for device in before.all:
            if after_it.get(device.path) is None:
                tr.clear(self._key(AREA, device.path))
                anchors = self._key(ANCHORS, device.uuid)
                tr.clear_range(anchors, after(anchors))
        if before.headers != after_it.headers:
            key = self._key(HEADERS)
            tr.set(key, self._keyring.seal(key, stored.encode(after_it.headers)))
        tr.set(self._key(REVISION), after_it.revision.to_bytes(8, "little"))
