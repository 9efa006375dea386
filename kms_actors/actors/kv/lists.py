"""Names, paths and metadata of secrets, however many there are: a page a transaction."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final, TypeAlias

from kms_actors.actors.kv.storage import MountReader
from kms_actors.actors.kv.unversioned import read_unversioned
from kms_actors.actors.tenant.context import TenantContext
from kms_actors.actors.tenant.listing import Names, list_names
from kms_actors.errors import InvalidRequest, NotFound
from kms_actors.kv.keys import MountKeys
from kms_actors.kv.messages import ListMetadata, ListSecrets, ScanSecrets
from kms_actors.kv.records import KeyMetadata
from kms_actors.store.api import Reads

#: Paths that one scan gives.
MOST_SCANNED: Final = 100_000
#: Secrets, and bytes of their metadata as stored, that one list with metadata shows.
MOST_SHOWN: Final = 10_000
MOST_BYTES: Final = 2 << 20
#: Heads read in one transaction: they are as large as the data in them.
_HEADS: Final = 64

#: Runs what only looks in a transaction.
Run: TypeAlias = Callable[[Callable[[Reads], Awaitable[Any]]], Awaitable[Any]]


async def list_secrets(context: TenantContext, keys: MountKeys, message: ListSecrets) -> list[str]:
    """Answer ListSecrets, or ScanSecrets."""
    run: Run = context.store.read if message.versioned else partial(read_unversioned, context.store, message.mount)
    if isinstance(message, ScanSecrets):
        return await _names(context, keys, run, message, recursive=True, most=MOST_SCANNED)
    names = await _names(context, keys, run, message)
    if not names:
        raise NotFound
    return names


async def list_metadata(
    context: TenantContext, keys: MountKeys, message: ListMetadata
) -> dict[str, KeyMetadata | None]:
    """Answer ListMetadata. A secret that is removed meanwhile is left out."""
    names = await _names(context, keys, context.store.read, message, recursive=message.recursive, most=MOST_SHOWN)
    if not names and not message.recursive:
        raise NotFound
    shown: dict[str, KeyMetadata | None] = dict.fromkeys(names)
    secrets = [name for name in names if not name.endswith("/")]
    left = MOST_BYTES
    for start in range(0, len(secrets), _HEADS):
        some = secrets[start : start + _HEADS]
        paths = [message.folder + name for name in some]
        found, size = await context.store.read(partial(_metadata, keys, context, paths))
        left -= size
        if left < 0:
            raise InvalidRequest("the metadata of these secrets is too large for one answer: use limit and after")
        for name, metadata in zip(some, found, strict=True):
            if metadata is None:
                del shown[name]
            else:
                shown[name] = metadata
        await context.turns.turn(context.vault_id)
    return shown


def _metadata(
    keys: MountKeys, context: TenantContext, paths: list[str], reads: Reads
) -> Awaitable[tuple[list[KeyMetadata | None], int]]:
    return MountReader(reads, keys, context.keyring).metadata(paths)


async def _names(
    context: TenantContext,
    keys: MountKeys,
    run: Run,
    message: ListSecrets | ListMetadata,
    *,
    recursive: bool = False,
    most: int = 0,
) -> list[str]:
    """Return names, or paths; raises InvalidRequest for more than `most`, if that is not 0."""

    def read(after: str, limit: int, goes_on: bool) -> Awaitable[Any]:
        def look(reads: Reads) -> Awaitable[Names]:
            reader = MountReader(reads, keys, context.keyring)
            if recursive:
                return reader.paths(message.folder, after, limit)
            return reader.names(message.folder, after, limit, goes_on=goes_on)

        return run(look)

    rest = partial(context.turns.turn, context.vault_id)
    limit = min(message.limit or most + 1, most + 1) if most else message.limit
    names = await list_names(read, message.after, limit, context.long_reads, rest)
    if most and len(names) > most:
        raise InvalidRequest(f"there are more than {most} secrets: use limit and after")
    return names
