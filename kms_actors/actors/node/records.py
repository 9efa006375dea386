"""The cluster's own records, and the transactions of its seal.

(`node`, namespace, `seal`) MasterSeal, (…, `keyring`) the master keyring wrapped by the master key, (…, `revoked`,
id), and what `tenant.master` and ceremonies have. One set for all nodes of a cluster.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

from kms_actors.actors.ceremony.subject import ATTEMPTS
from kms_actors.actors.cluster.changes import CLUSTER, KEYRING, TOKEN, Change, record
from kms_actors.actors.node.master import MasterScope
from kms_actors.actors.node.namespaces import clusters
from kms_actors.actors.tenant import revocations
from kms_actors.actors.tenant.master import MASTER_KEY, keep_master_key, place_of
from kms_actors.errors import AlreadyInitialized, IntegrityError, InvalidRequest, SealChanged
from kms_actors.keyring.keyring import Keyring, unwrap, wrap
from kms_actors.keyring.master_seal import MasterSeal, ProviderSeal, decode_seal
from kms_actors.secret import SecretBytes
from kms_actors.store import keyspace
from kms_actors.store.api import Store, Transaction

_NO_KEYRING: Final = "there is a seal and no keyring"


class Migration(NamedTuple):
    """A change of who keeps the master key: `old` is the key of `before`, `new` that of `after`."""

    before: MasterSeal
    old: SecretBytes
    after: MasterSeal
    new: SecretBytes


async def read_seal(tr: Transaction, namespace: str) -> tuple[MasterSeal | None, bytes | None]:
    """Return the seal of a cluster, and its wrapped keyring."""
    seal, keyring = await tr.get_many([keyspace.node(namespace, area) for area in ("seal", "keyring")])
    return None if seal is None else decode_seal(seal), keyring


class NodeRecords:
    """The cluster's own records."""

    def __init__(self, store: Store, namespace: str, *, second_cluster: bool = False) -> None:
        self._store = store
        self._namespace = namespace
        self._second_cluster = second_cluster
        self._seal_key = keyspace.node(namespace, "seal")
        self._keyring_key = keyspace.node(namespace, "keyring")

    async def read(self) -> tuple[MasterSeal | None, bytes | None]:
        """Return the seal and the wrapped keyring."""
        return await self._store.run(lambda tr: read_seal(tr, self._namespace))

    async def create(self, seal: MasterSeal, master_key: SecretBytes | None, now: float) -> None:
        """Write seal and, where the master key is at hand, a new keyring; AlreadyInitialized if there is one."""
        wrapped = (
            wrap(master_key, self._keyring_key, Keyring.generate(now, owner=self._namespace)) if master_key else None
        )

        async def body(tr: Transaction) -> None:
            if await tr.get(self._seal_key) is not None:
                raise AlreadyInitialized("Vault is already initialized")
            if not self._second_cluster and await clusters(tr):  # begun since this node started
                raise InvalidRequest("the store holds a cluster of another namespace")
            if await tr.get(self._keyring_key) is not None:
                raise InvalidRequest("the cluster's seal is lost while its keyring remains: restore a backup of all")
            tr.set(self._seal_key, seal.encode())
            if wrapped is not None:
                tr.set(self._keyring_key, wrapped)

        await self._store.run(body, idempotency_key=os.urandom(16))

    async def open_keyring(self, master_key: SecretBytes, now: float, *, make: bool = True) -> Keyring:
        """Return the keyring. The first quorum of a master key made before makes it, where it is to `make` one.

        Raises:
            IntegrityError: it is another's, or there is none.

        """
        made = wrap(master_key, self._keyring_key, Keyring.generate(now, owner=self._namespace)) if make else None
        place = place_of(self._namespace)

        async def body(tr: Transaction) -> Keyring:
            stored, kept = await tr.get_many((self._keyring_key, place(MASTER_KEY)))
            if stored is None:
                if made is None:
                    raise IntegrityError(_NO_KEYRING)
                tr.set(self._keyring_key, made)
            keyring = unwrap(master_key, self._keyring_key, stored or made or b"")
            if kept is None:  # of an older program, or restored from a backup
                keep_master_key(tr, place, keyring, master_key)
            return keyring

        return await self._store.run(body, idempotency_key=os.urandom(16))

    async def wrapped_anew(self, before: ProviderSeal, after: ProviderSeal) -> MasterSeal | None:
        """Write a seal whose provider has wrapped the same key anew, unless it was changed; return what there is."""

        async def body(tr: Transaction) -> MasterSeal | None:
            found = await self._seal(tr)
            if found != before:
                return found
            tr.set(self._seal_key, after.encode())
            self._tell(tr)
            return after

        return await self._store.run(body, idempotency_key=os.urandom(16))

    async def migrate(self, change: Migration, now: float) -> Keyring:
        """Have another key open the cluster, and what has opened it nothing any more: at the commit.

        Raises:
            SealChanged: the seal is not what it was when the migration was allowed.
            IntegrityError: the old key does not open the keyring.

        """
        place = place_of(self._namespace)
        fresh = Keyring.generate(now, owner=self._namespace)

        async def body(tr: Transaction) -> Keyring:
            found, wrapped = await asyncio.gather(self._seal(tr), tr.get(self._keyring_key))
            if found != change.before:
                raise SealChanged("the seal was changed on another node meanwhile")
            if wrapped is None and isinstance(change.before, ProviderSeal):
                raise IntegrityError(_NO_KEYRING)
            # Without one there was no quorum yet of a master key that was made before.
            keyring = fresh if wrapped is None else unwrap(change.old, self._keyring_key, wrapped)
            tr.set(self._keyring_key, wrap(change.new, self._keyring_key, keyring))
            tr.set(self._seal_key, change.after.encode())
            keep_master_key(tr, place, keyring, change.new)
            for area in ATTEMPTS:
                tr.clear(place(area))
            self._tell(tr)
            return keyring

        return await self._store.run(body, idempotency_key=os.urandom(16))

    async def _seal(self, tr: Transaction) -> MasterSeal | None:
        raw = await tr.get(self._seal_key)
        return None if raw is None else decode_seal(raw)

    def _tell(self, tr: Transaction) -> None:
        record(tr, Change(CLUSTER, KEYRING, "", time.time()))

    def scope(self, opened: Callable[[], Keyring], renew: Callable[[], Awaitable[None]]) -> MasterScope:
        """Return the cluster as ceremonies have it."""
        return MasterScope(self._store, self._namespace, opened, renew, time.time_ns)

    async def revoke(self, revocation_id: str, ends: int = 0) -> None:
        """Write a revocation id of a cluster operator's token."""
        key = keyspace.node(self._namespace, "revoked", revocation_id)
        now = time.time()

        async def body(tr: Transaction) -> None:
            tr.set(key, revocations.record_of(ends))
            record(tr, Change(CLUSTER, TOKEN, revocation_id, now, ends))

        await self._store.run(body, idempotency_key=os.urandom(16))

    async def revoked(self) -> dict[str, int]:
        """Return all revocation ids, each with when it is needed no more."""
        return await revocations.load(self._store, keyspace.node(self._namespace, "revoked"))

    async def sweep_revoked(self, now: float) -> None:
        """Take away the revocations that are needed no more."""
        await revocations.sweep(self._store, keyspace.node(self._namespace, "revoked"), now)
