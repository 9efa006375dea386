"""The secrets of one KV mount within one transaction: sealed records in, checked records out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from kms_actors.actors.tenant.listing import PAGE, Names
from kms_actors.actors.tenant.tallies import Tallies
from kms_actors.errors import IntegrityError
from kms_actors.keyring.keyring import Keyring
from kms_actors.kv import records
from kms_actors.kv.keys import MountKeys
from kms_actors.kv.records import Config, Head, KeyMetadata, Version
from kms_actors.store.api import Entry, Reads, Transaction

#: Data up to this size lies in the head, so the common read takes one key, and the head one value of the store.
INLINE: Final = 32 * 1024

#: Keys read of a range of names that may be those of large folders, at first.
_FEW: Final = 64
_LEAST: Final = 16


class MountReader:
    """One transaction's view of a mount."""

    __slots__ = ("_keyring", "_keys", "_reads", "_size")

    def __init__(self, reads: Reads, keys: MountKeys, keyring: Keyring) -> None:
        self._reads = reads
        self._keys = keys
        self._keyring = keyring
        self._size = 0  # of the head that was read last, as it is stored

    async def config(self) -> Config:
        """Return the mount's configuration, all defaults if never written."""
        return self._config(await self._reads.get(self._keys.config))

    async def head(self, path: str) -> Head | None:
        key = self._keys.head(path)
        return self._head(key, await self._reads.get(key))

    async def head_and_config(self, path: str) -> tuple[Head | None, Config]:
        """Return both for one wait."""
        key = self._keys.head(path)
        head, config = await self._reads.get_many((key, self._keys.config))
        return self._head(key, head), self._config(config)

    async def head_beside_data(self, path: str, version: int) -> Head | None:
        """Return the head, and have the transaction hold that version's data, for one wait."""
        key = self._keys.head(path)
        sealed, _ = await self._reads.get_many((key, self._keys.data(path, version)))
        return self._head(key, sealed)

    async def data(self, path: str, head: Head, version: int) -> bytes:
        """Return the data of a version that is not destroyed."""
        if version == head.metadata.current_version and head.inline is not None:
            return head.inline
        key = self._keys.data(path, version)
        sealed = await self._reads.get(key)
        if sealed is None:
            raise IntegrityError("the data of a version is missing")
        return self._keyring.open(key, sealed)

    async def names(self, folder: str, after: str, limit: int, *, goes_on: bool = False) -> Names:
        """Return names right below `folder`, sorted, from behind `after`: a page, or `limit` (if not 0) if less.

        Of a folder within, little more is read than shows that it is there: the next read begins behind it, and is
        the shorter the fewer names the last one gave. A list that `goes_on` begins with a short one.
        """
        begin, end = self._keys.names(folder)
        if after:
            begin = self._behind(folder, after)
        found: list[str] = []
        left, size = PAGE, _FEW if goes_on else PAGE
        while left > 0 and (not limit or len(found) < limit):
            size = min(size, left, limit - len(found) if limit else left)
            page = await self._reads.get_range(begin, end, limit=size)
            before = len(found)
            self._collect(folder, page, found)
            if len(page) < size:
                return Names(found, False)
            left -= size
            begin = self._behind(folder, found[-1])
            size = max(_LEAST, size // 4) if 4 * (len(found) - before) < size else 4 * size
        return Names(found, True)

    async def paths(self, folder: str, after: str, limit: int) -> Names:
        """Return the paths of all secrets below `folder`, relative to it, from behind `after`: a page, as above."""
        begin, end = self._keys.names(folder)
        if after:
            begin = self._keys.name(folder + after) + b"\0"
        size = min(PAGE, limit) if limit else PAGE
        found = await self._reads.get_keys(begin, end, limit=size)
        return Names([self._keys.path(key)[len(folder) :] for key in found], len(found) == size)

    async def metadata(self, paths: Sequence[str]) -> tuple[list[KeyMetadata | None], int]:
        """Return the metadata of secrets, and how many bytes they have as they are stored."""
        keys = [self._keys.head(path) for path in paths]
        found: list[KeyMetadata | None] = []
        size = 0
        for key, sealed in zip(keys, await self._reads.get_many(keys), strict=True):
            head = self._head(key, sealed)
            found.append(None if head is None else head.metadata)
            if head is not None and sealed is not None:
                size += len(sealed) - len(head.inline or b"")
        return found, size

    def _collect(self, folder: str, page: list[Entry], found: list[str]) -> None:
        for key, _ in page:
            name, slash, _ = self._keys.path(key)[len(folder) :].partition("/")
            if not slash or not found or found[-1] != name + slash:
                found.append(name + slash)

    def _behind(self, folder: str, name: str) -> bytes:
        """Return the first key after a name or a folder; after a path below a folder, that after the folder."""
        first, slash, _ = name.partition("/")
        if slash:
            return self._keys.names(folder + first + slash)[1]
        return self._keys.name(folder + name) + b"\0"

    def _head(self, key: bytes, sealed: bytes | None) -> Head | None:
        if sealed is None:
            return None
        self._size = len(sealed)
        return records.decode(self._keyring.open(key, sealed), Head)

    def _config(self, sealed: bytes | None) -> Config:
        if sealed is None:
            return Config()
        return records.decode(self._keyring.open(self._keys.config, sealed), Config)


class MountStorage(MountReader):
    """The same in a transaction that changes it, for one secret. What it makes and removes is counted."""

    __slots__ = ("_tallies", "_transaction")

    def __init__(
        self, transaction: Transaction, keys: MountKeys, keyring: Keyring, tallies: Tallies | None = None
    ) -> None:
        super().__init__(transaction, keys, keyring)
        self._transaction = transaction
        self._tallies = tallies or Tallies()

    async def require_room(self, before: Head | None, data: bytes = b"") -> None:
        """Raise LimitReached where a secret, or these data, would be more than the vault may have."""
        if before is None:
            await self._tallies.require(self._transaction, "secrets", 1)
        if data:
            await self._tallies.require(self._transaction, "bytes", len(data))

    def write_config(self, config: Config) -> None:
        self._set(self._keys.config, records.encode(config))

    def add_version(self, path: str, before: Head | None, metadata: KeyMetadata, data: bytes) -> None:
        """Write the version that `metadata` has and `before` has not; data of trimmed ones goes."""
        grown = 0
        if before is not None and before.inline is not None:
            number = before.metadata.current_version
            size = self._set(self._keys.data(path, number), before.inline)
            if number in metadata.versions:
                grown += size
                _sized(metadata, number, size)
        if metadata.oldest_version != (before.metadata.oldest_version if before else 0):
            begin, _ = self._keys.all_data(path)
            self._transaction.clear_range(begin, self._keys.data(path, metadata.oldest_version))
            if before is not None:
                trimmed = before.metadata.versions.keys() - metadata.versions.keys()
                grown -= sum(before.metadata.versions[number].size for number in trimmed)
        self._write_current(path, before, metadata, data, grown)

    def overwrite(self, path: str, before: Head | None, metadata: KeyMetadata, data: bytes) -> None:
        """Write the one version of a secret of KV version 1; what was before goes."""
        grown = 0
        if before is not None and (before.inline is None or len(before.metadata.versions) > 1):
            self._transaction.clear_range(*self._keys.all_data(path))
            grown = -_apart(before)
        self._write_current(path, before, metadata, data, grown)

    def update(self, path: str, before: Head | None, metadata: KeyMetadata) -> None:
        """Write changed metadata; data of destroyed versions goes."""
        if before is not None and metadata is before.metadata:
            return
        inline = before.inline if before else None
        grown = 0
        for number, version in metadata.versions.items():
            if version.destroyed and before is not None and not before.metadata.versions[number].destroyed:
                self._transaction.clear(self._keys.data(path, number))
                inline = None if number == metadata.current_version else inline
                grown -= version.size
                if version.size:
                    _sized(metadata, number, 0)
        self._write_head(path, before, Head(metadata, inline), grown)

    async def remove(self, path: str) -> None:
        """Remove a secret with all that belongs to it."""
        before = await self.head(path)
        if before is not None:
            self._count(-1, -self._size - _apart(before))
        self._transaction.clear(self._keys.head(path))
        self._transaction.clear(self._keys.name(path))
        self._transaction.clear_range(*self._keys.all_data(path))

    def _write_current(self, path: str, before: Head | None, metadata: KeyMetadata, data: bytes, grown: int) -> None:
        inline = len(data) <= INLINE
        if not inline:
            size = self._set(self._keys.data(path, metadata.current_version), data)
            _sized(metadata, metadata.current_version, size)
            grown += size
        self._write_head(path, before, Head(metadata, data if inline else None), grown)

    def _write_head(self, path: str, before: Head | None, head: Head, grown: int) -> None:
        """Write a head, and count that its records have `grown` by so many bytes beside it."""
        size = self._set(self._keys.head(path), records.encode(head))
        if before is None:
            self._transaction.set(self._keys.name(path), b"")
            self._count(1, grown + size)
        else:
            self._count(0, grown + size - self._size)
        self._size = size

    def _count(self, secrets: int, size: int) -> None:
        mount = self._keys.mount
        if secrets:
            self._tallies.count(self._transaction, "secrets", secrets, mount)
        self._tallies.count(self._transaction, "bytes", size, mount)

    def _set(self, key: bytes, plaintext: bytes) -> int:
        """Write a record; return how many bytes it has."""
        sealed = self._keyring.seal(key, plaintext)
        self._transaction.set(key, sealed)
        return len(sealed)


def _apart(head: Head) -> int:
    """Return the bytes of data that has records of its own."""
    return sum(version.size for version in head.metadata.versions.values())


def _sized(metadata: KeyMetadata, number: int, size: int) -> None:
    """Note how long the record of a version's data is, in metadata that nobody else has yet."""
    version = metadata.versions[number]
    metadata.versions[number] = Version(version.created, version.deletion, version.destroyed, size)
