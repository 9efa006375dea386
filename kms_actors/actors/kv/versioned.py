"""KV version 2: what each message does within a transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeAlias

from kms_actors.actors.kv.storage import MountReader, MountStorage
from kms_actors.errors import NotFound, PermissionDenied
from kms_actors.kv import documents, engine, settings
from kms_actors.kv.messages import (
    DeleteMetadata,
    DeleteVersions,
    DestroyVersions,
    MetadataWritten,
    PatchMetadata,
    PatchSecret,
    ReadConfig,
    ReadMetadata,
    ReadSecret,
    ReadSubkeys,
    SecretVersion,
    SetTimes,
    UndeleteVersions,
    WriteConfig,
    WriteMetadata,
    WriteSecret,
)
from kms_actors.kv.records import Config, Head, KeyMetadata
from kms_actors.kv.times import timed
from kms_actors.messages import Grants, Message

#: What looks, and what changes a secret: they may run again on conflict, at the same time (nanoseconds).
Look: TypeAlias = Callable[[MountReader, Any, int], Awaitable[Any]]
Work: TypeAlias = Callable[[MountStorage, Any, int], Awaitable[Any]]

#: Bytes of a document from which merging it takes long enough to let others go on in between.
_LARGE: Final = 64 * 1024


async def _read_config(storage: MountReader, _: ReadConfig, __: int) -> Config:
    return await storage.config()


async def write_config(storage: MountStorage, message: WriteConfig, _: int) -> None:
    """Change the settings of a mount."""
    storage.write_config(settings.configured(await storage.config(), message.settings))


async def _read_secret(storage: MountReader, message: ReadSecret | ReadSubkeys, now: int) -> SecretVersion:
    if message.version > 0:
        head = await storage.head_beside_data(message.path, message.version)
    else:
        head = await storage.head(message.path)
    if head is None:
        raise NotFound
    number = message.version if message.version > 0 else head.metadata.current_version
    if number not in head.metadata.versions:
        raise NotFound
    readable = head.metadata.versions[number].readable(now)
    data = await storage.data(message.path, head, number) if readable else None
    return _version(head.metadata, number, now, data)


async def _read_subkeys(storage: MountReader, message: ReadSubkeys, now: int) -> SecretVersion:
    found = await _read_secret(storage, message, now)
    if found.data is None:
        return found
    names = documents.subkeys(found.data, message.depth)
    return SecretVersion(found.number, found.version, found.custom_metadata, found.readable, names)


async def _write_secret(storage: MountStorage, message: WriteSecret, now: int) -> SecretVersion:
    head, config = await storage.head_and_config(message.path)
    authorise(message.grants, head)
    metadata = engine.put(head.metadata if head else None, config, message.cas, now)
    await storage.require_room(head, message.data)
    storage.add_version(message.path, head, metadata, message.data)
    return _version(metadata, metadata.current_version, now)


async def _patch_secret(storage: MountStorage, message: PatchSecret, now: int) -> SecretVersion | None:
    head, config = await storage.head_and_config(message.path)
    if head is None:
        return None
    engine.check_and_set(head.metadata, config, message.cas)  # first, also where nothing can be patched
    if not head.metadata.versions:
        return None
    current = _version(head.metadata, head.metadata.current_version, now)
    if not current.readable:
        return current
    metadata = engine.put(head.metadata, config, message.cas, now)
    data = documents.merge(await storage.data(message.path, head, current.number), message.patch)
    await storage.require_room(head, data)
    storage.add_version(message.path, head, metadata, data)
    if len(data) > _LARGE:
        await asyncio.sleep(0)  # others of the same transaction may be as large
    return _version(metadata, metadata.current_version, now)


async def _delete_versions(storage: MountStorage, message: DeleteVersions, now: int) -> None:
    head = await storage.head(message.path)
    if head is not None:
        numbers = (head.metadata.current_version,) if message.versions is None else message.versions
        storage.update(message.path, head, engine.delete(head.metadata, numbers, now))


async def _undelete_versions(storage: MountStorage, message: UndeleteVersions, now: int) -> None:
    head, config = await storage.head_and_config(message.path)
    if head is not None:
        storage.update(message.path, head, engine.undelete(head.metadata, config, message.versions, now))


async def _destroy_versions(storage: MountStorage, message: DestroyVersions, now: int) -> None:
    head = await storage.head(message.path)
    if head is not None:
        storage.update(message.path, head, engine.destroy(head.metadata, message.versions, now))


async def _read_metadata(storage: MountReader, message: ReadMetadata, _: int) -> KeyMetadata:
    head = await storage.head(message.path)
    if head is None:
        raise NotFound
    return head.metadata


async def _write_metadata(storage: MountStorage, message: WriteMetadata, now: int) -> MetadataWritten:
    head, config = await storage.head_and_config(message.path)
    authorise(message.grants, head)
    return await _apply(storage, message, head, config, now)


async def _patch_metadata(storage: MountStorage, message: PatchMetadata, now: int) -> MetadataWritten | None:
    head, config = await storage.head_and_config(message.path)
    if head is not None:
        return await _apply(storage, message, head, config, now)
    settings.applied(None, message.settings, now)  # a mistake is told first
    return MetadataWritten() if message.settings.empty else None


async def _delete_metadata(storage: MountStorage, message: DeleteMetadata, _: int) -> None:
    await storage.remove(message.path)


async def _set_times(storage: MountStorage, message: SetTimes, now: int) -> None:
    head = await storage.head(message.path)
    if head is None:
        raise NotFound
    storage.update(message.path, head, timed(head.metadata, message.times, now))


#: Settings of a secret that its mount may demand.
_MANDATED: Final = ("cas_required", "metadata_cas_required")


async def _apply(
    storage: MountStorage, message: WriteMetadata | PatchMetadata, head: Head | None, config: Config, now: int
) -> MetadataWritten:
    sent = message.settings
    if not sent.empty:
        metadata = head.metadata if head else None
        after = settings.applied(metadata, sent, now)  # a mistake is told first
        settings.check_and_set(metadata, config, sent)
        await storage.require_room(head)
        storage.update(message.path, head, after)
    still = (name for name in _MANDATED if getattr(config, name) and getattr(sent, name) is False)
    return MetadataWritten(tuple(still))


def authorise(grants: Grants, head: Head | None) -> None:
    """Raise PermissionDenied for a write that needs `create` where nothing is, or `update` where something is."""
    if not (grants.create if head is None else grants.update):
        raise PermissionDenied


def _version(metadata: KeyMetadata, number: int, now: int, data: bytes | None = None) -> SecretVersion:
    version = metadata.versions[number]
    return SecretVersion(number, version, metadata.custom_metadata, version.readable(now), data)


#: Each only looks.
QUERIES: Final[Mapping[type[Message], Look]] = {
    ReadConfig: _read_config,
    ReadSecret: _read_secret,
    ReadSubkeys: _read_subkeys,
    ReadMetadata: _read_metadata,
}

#: Changes of one secret, in the order in which they come.
COMMANDS: Final[Mapping[type[Message], Work]] = {
    WriteSecret: _write_secret,
    PatchSecret: _patch_secret,
    DeleteVersions: _delete_versions,
    UndeleteVersions: _undelete_versions,
    DestroyVersions: _destroy_versions,
    WriteMetadata: _write_metadata,
    PatchMetadata: _patch_metadata,
    DeleteMetadata: _delete_metadata,
    SetTimes: _set_times,
}
