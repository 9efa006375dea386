"""The walk: a page a transaction, each record that an older version has sealed written anew by the newest.

A page reads the keyring with its records, so it is always by the newest; and since it reads what it writes, a change
of any of these records that commits first has it run again, with fewer records each time. Records say what they said,
and keep their nonces: nobody has to hear of it.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Final, NamedTuple

import msgspec

from kms_actors.actors.tenant.master import UPGRADE, follow, place_of
from kms_actors.actors.tenant.sealed import sealed_key
from kms_actors.backup.layout import LOCK
from kms_actors.check.findings import parts_of
from kms_actors.check.keys import Master, tenant_keyring
from kms_actors.check.records import CLUSTER_RECORDS, TENANT_RECORDS, Sealing, find
from kms_actors.errors import InvalidRequest, TransactionConflict
from kms_actors.keyring.keyring import Keyring
from kms_actors.keyring.place import Place, place_key
from kms_actors.keyring.record import version_of
from kms_actors.store import keyspace
from kms_actors.store.api import Priority, Store, Transaction
from kms_actors.store.keyspace import TenantKeys
from kms_actors.store.pages import read_page

ALL: Final = "all"
#: Records, and bytes, of a page.
_MOST: Final = 128
_BYTES: Final = 200_000
_BEGIN: Final = keyspace.pack()

#: Told how many more vaults and records were looked at.
Advance = Callable[[int, int], None]


class Outcome(NamedTuple):
    """What a reseal has done, with all runs before that were interrupted."""

    resealed: int
    left_out: int
    rotated: bool


class Reseal:
    """One run, of all of a cluster or of one vault's records (`vault` and its tenant integer)."""

    def __init__(
        self,
        store: Store,
        master: Master,
        namespace: str,
        *,
        now: float,
        advance: Advance,
        vault: tuple[str, int] | None = None,
        settle: float = 0.0,
    ) -> None:
        """`settle` is how many seconds after a rotation some node may still seal by the version before."""
        if master.keyring is None:
            raise InvalidRequest("the master keyring does not open: see `kms-cli store check`")
        self._store = store
        self._master = master
        self._keyring: Keyring = master.keyring
        self._namespace = namespace
        self._now = now
        self._settle = settle
        self._advance = advance
        self._key = place_key(namespace, ALL if vault is None else vault[0])
        first = _BEGIN if vault is None else TenantKeys(vault[1]).prefix
        self._span = first, keyspace.after(first)
        self._most = _MOST

    async def run(self, *, restart: bool = False) -> Outcome:
        """Go on where a run before was interrupted; with `restart`, from the beginning.

        Raises:
            InvalidRequest: another process does so, too.

        """
        place = await self._store.run(self._read, priority=Priority.BATCH)
        if place is None or restart:
            place = Place(self._span[0], self._now)
        known: Place | None = None  # as this run has written it
        while place.next:
            place, vaults, records = await self._page(place, known)
            known = place
            self._advance(vaults, records)
        await self._store.run(self._forget, priority=Priority.BATCH)
        return Outcome(place.resealed, place.left_out, place.rotated)

    async def _page(self, place: Place, known: Place | None) -> tuple[Place, int, int]:
        while True:
            body = functools.partial(self._reseal, place=place, known=known, most=self._most)
            try:
                page = await self._store.run(body, idempotency_key=os.urandom(16), priority=Priority.BATCH)
            except TransactionConflict:
                if self._most == 1:
                    raise
                self._most = max(1, self._most // 4)
            else:
                self._most = min(_MOST, self._most * 2)
                return page

    async def _read(self, tr: Transaction) -> Place | None:
        raw = await tr.get(self._key)
        return None if raw is None else Place.decode(raw)

    async def _forget(self, tr: Transaction) -> None:
        tr.clear(self._key)

    async def _reseal(self, tr: Transaction, place: Place, known: Place | None, most: int) -> tuple[Place, int, int]:
        if known is not None and await self._read(tr) != known:
            raise InvalidRequest("another process reseals these records, or was begun anew meanwhile")
        if not await follow(tr, place_of(self._namespace), self._keyring):
            raise InvalidRequest("the master keyring was rotated while this stood still: run it again")
        entries, following = await read_page(tr, place.next, self._span[1], most_entries=most, most_bytes=_BYTES)
        page = _Page(tr, self._master, self._keyring, place.began - self._settle)
        for key, value in entries:
            await page.take(key, value)
        await page.end()
        moved = msgspec.structs.replace(
            place,
            next=following or b"",
            resealed=place.resealed + page.resealed,
            left_out=place.left_out + page.left_out,
            rotated=place.rotated or page.rotated,
        )
        tr.set(self._key, moved.encode())
        return moved, page.vaults, len(entries)


class _Page:
    """Within one transaction: the keyrings of the tenants whose records it has, and what was done."""

    def __init__(self, tr: Transaction, master: Master, keyring: Keyring, settled: float) -> None:
        """A keyring that was rotated after `settled` may have been unknown to who wrote behind the walk."""
        self._tr = tr
        self._master = master
        self._keyring = keyring
        self._settled = settled
        self._tenants: dict[int, Keyring | None] = {}
        self._counts: dict[int, int] = {}
        self.resealed = self.left_out = self.vaults = 0
        self.rotated = self._is_new(keyring)

    async def take(self, key: bytes, value: bytes) -> None:
        """Seal a record anew, if an older version has sealed it."""
        parts = parts_of(key) or ()
        if len(parts) > 2 and parts[0] == "t" and isinstance(parts[1], int):
            await self._of_tenant(parts[1], key, value, parts[2:])
        elif len(parts) > 2 and parts[0] == "node" and parts[2] != UPGRADE:
            known = find(CLUSTER_RECORDS, parts)
            if known is not None and known.sealing is Sealing.MASTER_KEYRING:
                self._take(self._keyring, key, value)

    async def _of_tenant(self, number: int, key: bytes, value: bytes, parts: tuple[object, ...]) -> None:
        if number not in self._tenants:
            self._tenants[number] = await self._open(number)
        known = find(TENANT_RECORDS, parts)
        keyring = self._tenants[number]
        if parts == ("header",):
            self.vaults += 1
            self.left_out += keyring is None
        if known is not None and known.sealing is Sealing.MASTER_KEYRING:
            self._take(self._keyring, key, value)
        elif known is not None and known.sealing is Sealing.KEYRING and keyring is not None:
            self._counts[number] = self._counts.get(number, 0) + self._take(keyring, key, value)

    async def _open(self, number: int) -> Keyring | None:
        """Return the keyring of a tenant; None where it is sealed, or being restored."""
        keys = TenantKeys(number)
        lock = await self._tr.get(keys.key(LOCK))
        keyring = (await tenant_keyring(self._tr, keys, self._master)).keyring
        if lock is not None or keyring is None:
            return None
        self.rotated |= self._is_new(keyring)
        return keyring

    def _is_new(self, keyring: Keyring) -> bool:
        return keyring.active_version > 1 and keyring.active_since > self._settled

    def _take(self, keyring: Keyring, key: bytes, value: bytes) -> bool:
        if not 0 < version_of(value) < keyring.active_version:
            return False
        self._tr.set(key, keyring.reseal(key, value))
        self.resealed += 1
        return True

    async def end(self) -> None:
        """Count what the keyrings have sealed."""
        for number, count in self._counts.items():
            keyring = self._tenants[number]
            assert keyring is not None
            self._tr.add(sealed_key(TenantKeys(number), keyring.active_version), count)
