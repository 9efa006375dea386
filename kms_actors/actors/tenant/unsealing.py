"""Where an unsealed tenant's root key and the shares given so far are kept.

`ClusterUnsealing`: in the store, wrapped by the master keyring, so that shares may go to any node and one unseal
serves all. `NodeUnsealing`: in this process alone; the store never holds a root key, and each node is unsealed for
itself. Either way a seal raises the tenant's epoch in the store, which ends every copy.
"""

from __future__ import annotations

from typing import Protocol

from kms_actors.actors.tenant.master import count_sealed, follow, place_of
from kms_actors.errors import Sealed
from kms_actors.keyring.keyring import Keyring
from kms_actors.keyring.record import version_of
from kms_actors.keyring.seal import UnsealProgress
from kms_actors.secret import SecretBytes, overwrite
from kms_actors.store.api import Reads, Transaction
from kms_actors.store.keyspace import TenantKeys


class Unsealing(Protocol):
    """The tenant's integer and epoch name what is kept: a key of an older epoch is gone."""

    @property
    def shared(self) -> bool:
        """Whether the root key is kept for all nodes: what replaces it is, too."""
        return True

    async def stored(self, tr: Reads, keys: TenantKeys) -> bytes | None:
        """Read what the store has of the root key, for `opened`."""

    def opened(self, keys: TenantKeys, epoch: int, stored: bytes | None) -> SecretBytes | None:
        """Return the root key, if it is kept."""

    async def root_key(self, tr: Reads, keys: TenantKeys, epoch: int) -> SecretBytes | None:
        """Read and open."""
        return self.opened(keys, epoch, await self.stored(tr, keys))

    def keep_root_key(self, tr: Transaction, keys: TenantKeys, epoch: int, root_key: SecretBytes) -> None:
        """Have the key kept at the commit, and drop the progress."""

    def keep_root_key_here(self, keys: TenantKeys, epoch: int, root_key: SecretBytes) -> None:
        """Keep it in this process, where it is kept nowhere else: once that is committed."""
        return

    async def progress(self, tr: Transaction, keys: TenantKeys) -> UnsealProgress | None: ...

    def keep_progress(self, tr: Transaction, keys: TenantKeys, progress: UnsealProgress | None) -> None: ...

    def seal(self, tr: Transaction, keys: TenantKeys) -> None:
        """Drop the key."""

    def adopt(self, master: Keyring) -> None:
        """Take in later versions of the master keyring, where that is needed."""
        return

    def forget(self) -> None:
        """Let go of all keys, for the node is sealed: nobody opens anything by them from now on."""


class ClusterUnsealing(Unsealing):
    """Records (`unsealed`) and (`progress`) of the tenant; `namespace` is that of the cluster, see `master`."""

    def __init__(self, master: Keyring, namespace: str = "") -> None:
        self._known: Keyring | None = master
        self._place = place_of(namespace)
        self._counts = bool(namespace)

    def adopt(self, master: Keyring) -> None:
        self._master.adopt(master)

    @property
    def _master(self) -> Keyring:
        if self._known is None:
            raise Sealed
        return self._known

    def forget(self) -> None:
        self._known = None

    async def stored(self, tr: Reads, keys: TenantKeys) -> bytes | None:
        found = await tr.get(keys.key("unsealed"))
        await self._follow(tr, found)
        return found

    async def _follow(self, tr: Reads, record: bytes | None) -> None:
        """Keep up with a rotation that is not heard of yet, and that a record of now shows."""
        if record is not None and version_of(record) > self._master.active_version:
            await follow(tr, self._place, self._master)

    def opened(self, keys: TenantKeys, epoch: int, stored: bytes | None) -> SecretBytes | None:
        return None if stored is None else SecretBytes(self._master.open(keys.key("unsealed"), stored))

    def keep_root_key(self, tr: Transaction, keys: TenantKeys, epoch: int, root_key: SecretBytes) -> None:
        key = keys.key("unsealed")
        tr.set(key, self._master.seal(key, root_key.reveal()))
        self._count(tr)
        tr.clear(keys.key("progress"))

    def _count(self, tr: Transaction) -> None:
        if self._counts:
            count_sealed(tr, self._place, self._master)

    async def progress(self, tr: Transaction, keys: TenantKeys) -> UnsealProgress | None:
        key = keys.key("progress")
        record = await tr.get(key)
        if record is None:
            return None
        await self._follow(tr, record)
        opened = self._master.open(key, record)
        try:
            return UnsealProgress.decode(opened)
        finally:
            overwrite(opened)

    def keep_progress(self, tr: Transaction, keys: TenantKeys, progress: UnsealProgress | None) -> None:
        key = keys.key("progress")
        if progress is None:
            tr.clear(key)
        else:
            encoded = progress.encode()
            tr.set(key, self._master.seal(key, encoded))
            self._count(tr)
            overwrite(encoded)

    def seal(self, tr: Transaction, keys: TenantKeys) -> None:
        tr.clear(keys.key("unsealed"))


class NodeUnsealing(Unsealing):
    """Memory of this process, by tenant integer; lost when the node is sealed or ends."""

    def __init__(self) -> None:
        self._root_keys: dict[int, tuple[int, SecretBytes]] = {}
        self._progress: dict[int, UnsealProgress] = {}

    @property
    def shared(self) -> bool:
        return False

    async def stored(self, tr: Reads, keys: TenantKeys) -> bytes | None:
        return None

    def opened(self, keys: TenantKeys, epoch: int, stored: bytes | None) -> SecretBytes | None:
        known_epoch, root_key = self._root_keys.get(keys.number, (-1, None))
        if known_epoch != epoch:
            self._root_keys.pop(keys.number, None)
            return None
        return root_key

    def keep_root_key(self, tr: Transaction, keys: TenantKeys, epoch: int, root_key: SecretBytes) -> None:
        """Nothing yet: a transaction that runs again would take the vault for unsealed, and write nothing."""

    def keep_root_key_here(self, keys: TenantKeys, epoch: int, root_key: SecretBytes) -> None:
        self._root_keys[keys.number] = epoch, root_key
        self._progress.pop(keys.number, None)

    async def progress(self, tr: Transaction, keys: TenantKeys) -> UnsealProgress | None:
        return self._progress.get(keys.number)

    def keep_progress(self, tr: Transaction, keys: TenantKeys, progress: UnsealProgress | None) -> None:
        if progress is None:
            self._progress.pop(keys.number, None)
        else:
            self._progress[keys.number] = progress

    def seal(self, tr: Transaction, keys: TenantKeys) -> None:
        self._root_keys.pop(keys.number, None)

    def forget(self) -> None:
        self._root_keys.clear()
        self._progress.clear()
