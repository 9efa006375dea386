"""KV version 1: what each message does within a transaction.

A secret lies where one of version 2 does, in the same form, with one version (`engine.overwrite`). So a mount becomes
one of version 2 by its options alone, in one transaction. A request that came before, as one of version 1, is then
refused, whichever node it came to: each reads the mount in its own transaction.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final, TypeVar

from kms_actors.actors.kv.storage import MountReader, MountStorage
from kms_actors.actors.kv.versioned import Look, Work, authorise
from kms_actors.actors.tenant.store import TenantStore
from kms_actors.errors import NotFound, Unavailable
from kms_actors.kv import engine
from kms_actors.kv.messages import DeleteUnversioned, ReadUnversioned, WriteUnversioned
from kms_actors.messages import Message
from kms_actors.mounts import Mount
from kms_actors.store.api import Reads

T = TypeVar("T")


def require_unversioned(store: TenantStore, number: int) -> Mount:
    """Return a mount that a request came to as one of version 1; raises Unavailable where it no longer is."""
    mount = store.require_mount(number)
    if mount.engine != "kv-v1":
        raise Unavailable("the mount was changed meanwhile, try again")
    return mount


async def read_unversioned(store: TenantStore, number: int, look: Callable[[Reads], Awaitable[T]]) -> T:
    """Run what only looks below a mount of version 1; raises as `require_unversioned` does."""
    return await store.read_below(look, require_unversioned(store, number))


async def _read(storage: MountReader, message: ReadUnversioned, now: int) -> bytes:
    head = await storage.head(message.path)
    if head is None:
        raise NotFound
    current = head.metadata.current_version
    version = head.metadata.versions.get(current)
    if version is None or not version.readable(now):  # of a program that took the mount for one of version 2
        raise NotFound
    return await storage.data(message.path, head, current)


async def _write(storage: MountStorage, message: WriteUnversioned, now: int) -> None:
    head = await storage.head(message.path)
    authorise(message.grants, head)
    await storage.require_room(head, message.data)
    storage.overwrite(message.path, head, engine.overwrite(head.metadata if head else None, now), message.data)


async def _delete(storage: MountStorage, message: DeleteUnversioned, _: int) -> None:
    await storage.remove(message.path)


#: Each only looks.
QUERIES: Final[Mapping[type[Message], Look]] = {ReadUnversioned: _read}

#: Changes of one secret, in the order in which they come.
COMMANDS: Final[Mapping[type[Message], Work]] = {WriteUnversioned: _write, DeleteUnversioned: _delete}
