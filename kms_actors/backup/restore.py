"""Restore: a proven backup into a store, a frame a transaction, resumable at each.

The place is kept in the store and moves in the transaction that writes a frame, so an interrupted restore goes on
exactly where it was, from any machine that has the file. What a vault is comes last: until then it can be used by
nobody, and then it is sealed.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterable
from typing import BinaryIO

from kms_actors.actors.cluster import changes
from kms_actors.actors.cluster.eras import ERA_LENGTH, begin_era
from kms_actors.actors.node.namespaces import clusters
from kms_actors.backup import claim
from kms_actors.backup.claim import (
    Lock,
    decode_number,
    encode_number,
)
from kms_actors.backup.format import (
    ALL,
    Cluster,
    End,
    FrameReader,
    Records,
    Tenant,
)
from kms_actors.backup.verify import (
    Advance,
    Contents,
    verify,
)
from kms_actors.errors import InvalidRequest
from kms_actors.store import keyspace
from kms_actors.store.api import Body, Entry, Priority, Store, T, Transaction
from kms_actors.store.keyspace import ALLOCATOR, TenantKeys


class Restore:
    """One run of a restore of `file`: of everything in it, or of one vault.

    `replace` allows writing over existing vaults. `settle` is how many seconds nodes get to notice that a vault is
    sealed, and to end what they do in it, before its records go: the lease and the time of a request.
    """

    def __init__(
        self,
        store: Store,
        file: BinaryIO,
        vault: str | None = None,
        *,
        replace: bool = False,
        settle: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._file = file
        self._vault = vault
        self._replace = replace
        self._settle = settle
        self._clock = clock
        self._digest = b""
        self._whole = False  # restores a store, not vaults
        self._done = 0  # frames written

    async def prepare(self, advance: Advance, *, restart: bool = False) -> Contents:
        """Prove the file, and see that nothing is in its way; of the store, nothing changes but `restart`'s place.

        Raises:
            FormatError: see `verify`.
            InvalidRequest: a vault is not in the backup, or exists, or its integer does; another cluster's keys.

        """
        contents = verify(self._file, advance)
        if self._vault is not None and self._vault not in contents.vaults:
            raise InvalidRequest(f"{self._vault} is not in the backup")
        self._digest = contents.digest
        self._whole = self._vault is None and contents.header.scope == ALL
        if restart:
            await self._run(self._forget_place)
        self._done = await self._store.run(self._place)
        if self._done > 0:
            return contents
        for vault, number in contents.vaults.items():
            if self._vault in (None, vault):
                await self._store.run(self._standing(vault, number))
        if self._vault is None:
            await self._store.run(lambda tr: _check_cluster(tr, contents.cluster))
        return contents

    async def run(self, advance: Advance) -> None:
        """Write what is not written yet; after `prepare`."""
        done = self._done
        self._file.seek(0)
        reader = FrameReader(self._file)
        offset = 0
        under_way: str | None = None
        for index, frame in enumerate(reader.frames()):
            if index >= done:
                await self._write(
                    frame, index, first=not isinstance(frame, Cluster | End) and frame.vault != under_way
                )
            under_way = frame.vault if isinstance(frame, Records) else None
            advance(reader.offset - offset)
            offset = reader.offset

    async def _write(self, frame: Records | Tenant | Cluster | End, index: int, *, first: bool) -> None:
        match frame:
            case Records() | Tenant() if self._vault in (None, frame.vault):
                if first:
                    await self._claim(frame.vault, frame.tenant)
                await self._write_tenant(frame, index)
            case Cluster() if self._vault is None:
                await self._write_cluster(frame, index)
            case End():
                await self._end()

    async def _claim(self, vault: str, number: int) -> None:
        lock, now = self._lock(vault), self._clock()

        async def take(tr: Transaction) -> bool:
            await self._check_place(tr)  # who is past this vault would leave it marked
            return await claim.mark(tr, lock, number, now, replace=self._replace)

        if await self._run(take):
            await asyncio.sleep(self._settle)

        async def body(tr: Transaction) -> None:
            await self._check_place(tr)
            await claim.empty(tr, lock, number)

        await self._run(body)

    async def _write_tenant(self, frame: Records | Tenant, index: int) -> None:
        lock, now = self._lock(frame.vault), self._clock()
        epoch_key = TenantKeys(frame.tenant).key("epoch")

        async def body(tr: Transaction) -> None:
            await self._check_place(tr)
            await claim.check_lock(tr, lock, frame.tenant)
            for key, value in frame.entries:
                if key != epoch_key:
                    tr.set(key, value)
            if isinstance(frame, Tenant):
                epoch = decode_number(dict(frame.entries).get(epoch_key, b""))
                await claim.release(tr, lock, frame.tenant, epoch, now)
            tr.set(self._place_key, encode_number(index + 1))

        await self._run(body)
        self._done = index + 1

    async def _write_cluster(self, frame: Cluster, index: int) -> None:
        now = self._clock()

        async def body(tr: Transaction) -> None:
            await self._check_place(tr)
            await _check_cluster(tr, frame.entries)
            for key, value in frame.entries:
                if key == ALLOCATOR:
                    await claim.raise_allocator(tr, decode_number(value))
                else:
                    tr.set(key, value)
                    _tell_revoked(tr, key, now)
            tr.set(self._place_key, encode_number(index + 1))

        await self._run(body)
        self._done = index + 1

    async def _end(self) -> None:
        """Forget the place; what nodes know of a store that was restored whole is of another run of its history."""
        era = os.urandom(ERA_LENGTH)

        async def body(tr: Transaction) -> None:
            await self._forget_place(tr)
            if self._whole:
                begin_era(tr, era)

        await self._run(body)

    async def _check_place(self, tr: Transaction) -> None:
        if await self._place(tr) != self._done:
            raise InvalidRequest("another process is restoring this backup here")

    @property
    def _place_key(self) -> bytes:
        return place_key(self._digest, self._vault or ALL)

    async def _place(self, tr: Transaction) -> int:
        return decode_number(await tr.get(self._place_key) or b"")

    async def _forget_place(self, tr: Transaction) -> None:
        tr.clear(self._place_key)

    def _lock(self, vault: str) -> Lock:
        return Lock(vault, self._digest.hex())

    def _standing(self, vault: str, number: int) -> Body[claim.Standing]:
        return lambda tr: claim.standing(tr, self._lock(vault), number, replace=self._replace)

    async def _run(self, body: Body[T]) -> T:
        return await self._store.run(body, idempotency_key=os.urandom(16), priority=Priority.BATCH)


def place_key(digest: bytes, scope: str) -> bytes:
    """Return where an unfinished restore keeps how many frames it has written."""
    return keyspace.pack("restore", digest, scope)


def clusters_of(entries: Iterable[Entry]) -> list[str]:
    """Return the namespaces of the clusters whose records a backup has."""
    parts = [keyspace.unpack(key) for key, _ in entries if key != ALLOCATOR]
    return [namespace for _, namespace, area, *_ in parts if area == "seal"]


async def _check_cluster(tr: Transaction, entries: Iterable[Entry]) -> None:
    """Keep a running cluster from getting the keys of another, and a store from getting another cluster beside it."""
    there, found = await clusters(tr), clusters_of(entries)
    if there and found and not set(there) & set(found):
        raise InvalidRequest(
            f"this store holds the cluster {', '.join(there)}, and the backup is of {', '.join(found)}: restore into "
            "an empty store, or vault by vault (--vault)"
        )
    for key, value in entries:
        decides = key != ALLOCATOR and keyspace.unpack(key)[2] in ("seal", "keyring", "revoked")
        if decides and await tr.get(key) not in (None, value):
            raise InvalidRequest(
                "this store belongs to a cluster with another master key, or whose keyring was rotated since: "
                "restore into an empty store, or vault by vault (--vault)"
            )


def _tell_revoked(tr: Transaction, key: bytes, now: float) -> None:
    """Have running nodes of this cluster learn of a revoked operator's token."""
    match keyspace.unpack(key):
        case ("node", _, "revoked", revocation_id):
            changes.record(tr, changes.Change(changes.CLUSTER, changes.TOKEN, revocation_id, now))
