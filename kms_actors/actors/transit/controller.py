"""Transit in a tenant actor: a cache of loaded keys in front of the store.

A cached key is used within the mailbox turn. A missing one is loaded by a task, shared by all who wait for it,
which reports what it found for the cache (`KeyLoaded`); those who wait compute on that same key.

After each change, and before its answer, `KeyChanged` drops the key and disowns a load that is under way, since it
may have read the store before the change: whoever asks after the answer finds nothing older than the change. Both
events are told, not asked: the mailbox takes them even when it is full, and in the order of all messages.

A key with an `auto_rotate_period` is rotated when the sweep of the cluster finds it due (`RotateDue`), or when it is
used past that time before. Whichever node sees it first does it; the transaction of any other finds that nothing is
due.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, TypeAlias, TypeVar

import msgspec
import structlog

from kms_actors.actors.tenant.context import (
    Handler,
    TenantContext,
)
from kms_actors.actors.tenant.listing import Names, list_names
from kms_actors.actors.tenant.loading import Load, LoadEnded, LoadingCache
from kms_actors.actors.tenant.work import Work
from kms_actors.actors.transit.backups import TransitBackups
from kms_actors.actors.transit.changes import TransitChanges
from kms_actors.actors.transit.imports import TransitImports
from kms_actors.actors.transit.newer import NewerKeys
from kms_actors.actors.transit.operations import (
    SHORT_US,
    TransitOperations,
    Use,
    missing,
)
from kms_actors.actors.transit.schedule import RotateDue
from kms_actors.actors.transit.storage import TransitRecords
from kms_actors.actors.transit.usage import (
    MakeUsage,
    MeasureVersion,
    TransitUsage,
)
from kms_actors.cache import ByteCache
from kms_actors.clock import elapsed
from kms_actors.errors import InvalidRequest, KmsError, NotFound, PermissionDenied
from kms_actors.messages import (
    Event,
    Message,
)
from kms_actors.store.api import Reads
from kms_actors.transit import digests, limits
from kms_actors.transit import messages as m
from kms_actors.transit.exchange.exporting import export_wrapped
from kms_actors.transit.footprint import footprint
from kms_actors.transit.key import SOFT_DELETED, TransitKey
from kms_actors.transit.records import MountSettings
from kms_actors.transit.usage import Part

T = TypeVar("T")

_log = structlog.get_logger(__name__)
KeyId: TypeAlias = tuple[int, str]  # mount number, name
#: Seconds between two comparisons of the schedule with the keys, which only what a wrong clock wrote needs.
_NOTED_EVERY = 86_400.0
_UseIfThere: TypeAlias = Callable[[Any, TransitKey | None], Any]


class KeyLoaded(LoadEnded, frozen=True):
    """A load of a key has ended."""


class KeyChanged(Event, frozen=True):
    """A key is, or may be, other in the store than it was."""

    id: KeyId


class TransitController:
    """Keys and their use, for all Transit mounts of a tenant. `usage` makes what counts the uses of these keys."""

    def __init__(self, context: TenantContext, usage: MakeUsage = TransitUsage) -> None:
        self._context = context
        self._records = TransitRecords(context.keys, context.keyring)
        self._changes = TransitChanges(context, self._records)
        self.usage = usage(context, self._records)
        self._imports = TransitImports(context, self._records, self._changes, self.usage)
        self._backups = TransitBackups(context, self._records, self._changes)
        self._work = Work(context)
        # Of the context, not of this object: what leads back to it would keep keys in memory for a while.
        newer = partial(_find_newer, context, NewerKeys(context, self._records))
        self._operations = TransitOperations(context, newer, self.usage)
        kept: ByteCache[KeyId, TransitKey] = ByteCache(
            context.key_bytes, lambda _, key: footprint(key), account=context.account
        )
        self._cache = LoadingCache(kept, context, KeyLoaded)
        self._rotating: set[KeyId] = set()
        self._noted = float("-inf")  # when the schedule was last compared with the keys

    def handlers(self) -> Mapping[type[Message], Handler]:
        changes, imports = self._changes, self._imports
        return {
            m.Encrypt: partial(self._use, self._encrypt),
            **{kind: partial(self._use, _existing(use)) for kind, use in self._operations.uses().items()},
            m.MakeHash: self._hash,
            m.MakeRandom: lambda message: os.urandom(message.length),
            m.CreateKey: lambda message: self._change(message, changes.create),
            m.RotateKey: lambda message: self._change(message, changes.rotate),
            m.ConfigureKey: lambda message: self._change(message, changes.configure),
            m.TrimKey: lambda message: self._change(message, changes.trim),
            m.DeleteKey: lambda message: self._change(message, changes.delete),
            m.SoftDeleteKey: lambda message: self._change(message, changes.soft_delete),
            m.ImportKey: lambda message: self._change(message, imports.import_key),
            m.ImportVersion: lambda message: self._change(message, imports.import_version),
            m.SetCertificate: lambda message: self._change(message, changes.set_certificate),
            m.DeriveKey: lambda message: self._change(message, imports.derive),
            m.ReadWrappingKey: lambda message: self._context.spawn(imports.wrapping_key(message)),
            m.WrapKey: lambda message: self._context.spawn(self._wrap(message)),
            m.BackUpKey: lambda message: self._change(message, self._backups.back_up),
            m.RestoreKey: lambda message: self._context.spawn(self._restore(message)),
            m.ReadKey: lambda message: self._context.spawn(self._read(message)),
            m.ListKeys: lambda message: self._context.spawn(self._list(message)),
            m.ReadSettings: lambda message: self._context.spawn(self._settings(message)),
            m.WriteSettings: lambda message: self._context.spawn(changes.write_settings(message)),
            RotateDue: lambda _: self._context.spawn(self._rotate_all_due()),
            MeasureVersion: lambda event: self._context.spawn_apart(self._measure(event)),
            KeyLoaded: self._loaded,
            KeyChanged: self._changed,
        }

    # The cache.

    def _use(self, use: _UseIfThere, message: Any) -> Any:
        """Let `use` work with the key of `message`, now or once it is loaded."""
        key_id = (message.mount.number, message.name)
        self._context.store.require_mount(message.mount.number)
        key = self._cache.get(key_id)
        if key is None:
            load = self._cache.load(key_id, partial(self._read_key, key_id))
            return self._context.spawn(self._use_loaded(load, message, use))
        if key.due is not None:
            self._rotate_if_due(key_id, key)
        return use(message, key)

    async def _use_loaded(self, load: Load, message: Any, use: _UseIfThere) -> Any:
        # What comes back may be a task: it then answers in place of this one, and hears if nobody waits any more.
        key = await self._cache.wait(load)
        self._context.proceed()
        return use(message, key)

    async def _read_key(self, key_id: KeyId) -> TransitKey | None:
        return await self._context.store.read(lambda tr: self._records.key(tr, *key_id))

    def _loaded(self, event: KeyLoaded) -> None:
        if self._cache.loaded(event):
            self._rotate_if_due(event.key, event.value)

    def _changed(self, event: KeyChanged) -> None:
        self._cache.changed(event.id)
        self._rotating.discard(event.id)

    # Changes.

    def _change(self, message: Any, change: Callable[[Any], Awaitable[T]]) -> asyncio.Task[T]:
        return self._context.spawn(self._changing(message, change))

    async def _changing(self, message: Any, change: Callable[[Any], Awaitable[T]]) -> T:
        try:
            return await change(message)
        finally:
            # Also after an error: a change whose outcome is unknown may have happened.
            self._context.notify(KeyChanged((message.mount.number, message.name)))

    def _rotate_if_due(self, key_id: KeyId, key: TransitKey) -> None:
        """Let a key that is used past its time get its next version; nobody waits for that."""
        if key_id not in self._rotating and key.is_due(self._context.clock()) and self._context.timely():
            self._rotating.add(key_id)
            self._context.spawn_apart(self._rotate_due(key_id))

    async def _rotate_all_due(self) -> int:
        now = self._context.trusted_time()
        if now is None:
            return 0
        rotated = 0
        if elapsed() - self._noted >= _NOTED_EVERY:
            await self._changes.note_again(now)
            self._noted = elapsed()
        for key_id in await self._changes.due_keys(now):
            if self._context.store.has_mount(key_id[0]):  # else it is about to be removed
                rotated += await self._rotate_due(key_id)
        await self._changes.look_again(now)
        return rotated

    async def _rotate_due(self, key_id: KeyId) -> bool:
        try:
            return await self._changes.rotate_due(*key_id)
        except KmsError as error:
            _log.warning("a transit key that is due was not rotated", error=type(error).__name__)
            return False
        finally:
            self._context.notify(KeyChanged(key_id))

    async def _measure(self, event: MeasureVersion) -> None:
        """See how many messages a version has encrypted; one that has encrypted enough is followed by the next."""
        mount, name, version = event.mount, event.name, event.version
        rotated = False
        try:
            count = await self._changes.measure(mount, name, version)
            near = count is not None and count >= limits.NEAR
            if count is not None and count >= limits.WORN:
                rotated = await self._changes.rotate_worn(mount, name, version)
                vault = self._context.vault_id
                _log.warning("a transit key has encrypted many messages", vault=vault, count=count, rotated=rotated)
            self._context.near_limits.note_key(self._context.vault_id, mount, name, near=near and not rotated)
        except KmsError as error:
            _log.warning("messages of a transit key could not be counted", error=type(error).__name__)
        finally:
            if rotated:
                self._context.notify(KeyChanged((mount, name)))

    async def _restore(self, message: m.RestoreKey) -> None:
        await self._changing(await self._backups.read(message), self._backups.restore)

    # Looking, from the store: what is shown is never older than the request.

    async def _read(self, message: m.ReadKey) -> m.KeyInfo:
        mount, records = message.mount.number, self._records

        async def body(tr: Reads) -> tuple[m.KeyInfo, list[Part]]:
            policy, uses = await asyncio.gather(
                records.policy(tr, mount, message.name), records.usage(tr, mount, message.name)
            )
            if policy is None:
                raise NotFound
            return await records.info(tr, mount, policy, context=message.context), uses

        info = await self.usage.read(mount, body)
        return msgspec.structs.replace(info, warnings=(*info.warnings, *limits.warnings(info.policy, info.usage)))

    async def _list(self, message: m.ListKeys) -> list[str]:
        context = self._context

        def read(after: str, limit: int, _: bool) -> Awaitable[Names]:
            return context.store.read(lambda tr: self._records.names(tr, message.mount.number, after, limit))

        rest = partial(context.turns.turn, context.vault_id)
        return await list_names(read, message.after, message.limit, context.long_reads, rest)

    async def _settings(self, message: m.ReadSettings) -> MountSettings:
        return await self._context.store.read(lambda tr: self._records.settings(tr, message.mount.number))

    # Cryptography.

    def _encrypt(self, message: m.Encrypt, key: TransitKey | None) -> Any:
        if key is None:
            return self._change(message, self._upsert)
        if not message.grants.update:
            raise PermissionDenied("permission denied")
        return self._operations.encrypt(message, key)

    async def _upsert(self, message: m.Encrypt) -> Any:
        key = await self._changes.upsert(message)
        return self._operations.encrypt(message, key)  # a task of it answers in place of this one

    async def _wrap(self, message: m.WrapKey) -> m.ExportedKey:
        mount, records = message.mount.number, self._records

        async def both(tr: Reads) -> tuple[TransitKey | None, TransitKey | None]:
            return await records.key(tr, mount, message.destination), await records.key(tr, mount, message.name)

        destination, source = await self._context.store.read(both)
        if destination is None:
            raise InvalidRequest("no such destination key to export to")
        if destination.policy.soft_deleted:
            raise InvalidRequest(f"for destination key: {SOFT_DELETED}")
        if source is None:
            raise InvalidRequest("no such source key for export")
        keys = await self._context.threads.long(
            export_wrapped, source, destination, message.version, message.hash_function
        )
        return m.ExportedKey(source.type.name, keys)

    def _hash(self, message: m.MakeHash) -> Any:
        return self._work.each(
            partial(digests.hashes_of, message.algorithm), message.items, microseconds=SHORT_US, count=_uncounted
        )


async def _find_newer(context: TenantContext, keys: NewerKeys, key_id: KeyId, known: TransitKey) -> TransitKey | None:
    newer = await keys.newer(key_id, known)
    if newer is not None:
        context.notify(KeyChanged(key_id))  # as the change log will say in a moment
    return newer


def _uncounted(*_: Any) -> None:
    """Hashes are made by no key."""


def _existing(use: Use) -> _UseIfThere:
    """Return a use that answers requests whose key is missing."""

    def checked(message: Any, key: TransitKey | None) -> Any:
        if key is None:
            raise missing(message)
        return use(message, key)

    return checked
