"""The first reading of a backup: proves the whole file before a restore writes anything."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import BinaryIO, Final, NamedTuple

from kms_actors.backup.format import (
    ALL,
    Cluster,
    End,
    FrameReader,
    Header,
    Records,
    Tenant,
)
from kms_actors.errors import FormatError
from kms_actors.store import keyspace, schema
from kms_actors.store.api import Entry
from kms_actors.store.keyspace import ALLOCATOR, TenantKeys

#: Told how many more bytes of the file are done.
Advance = Callable[[int], None]

_LAST_TENANT: Final = 62**6 - 1
_DISORDER: Final = "the backup holds records where they cannot be"


class Contents(NamedTuple):
    """What a proven backup holds."""

    header: Header
    digest: bytes
    counts: End
    vaults: dict[str, int]  # tenant integers by vault id
    cluster: tuple[Entry, ...]


def verify(file: BinaryIO, advance: Advance) -> Contents:
    """Read all of `file` from its beginning.

    Raises:
        FormatError: cut short, damaged, no backup, or one that this program cannot restore.

    """
    file.seek(0)
    reader = FrameReader(file)
    if reader.header.store_format != schema.FORMAT:
        raise FormatError(
            f"the backup is of a store of format {reader.header.store_format}; "
            f"this program restores format {schema.FORMAT}"
        )
    vaults: dict[str, int] = {}
    cluster: tuple[Entry, ...] = ()
    under_way: str | None = None
    counts = End(0, 0, 0)
    place = 0
    for frame in reader.frames():
        match frame:
            case Records() | Tenant():
                _check_tenant(frame, vaults, under_way)
                vaults[frame.vault] = frame.tenant
                under_way = frame.vault if isinstance(frame, Records) else None
            case Cluster():
                _check_cluster(frame)
                cluster = frame.entries
            case End():
                counts = frame
        advance(reader.offset - place)
        place = reader.offset
    scope = reader.header.scope
    if under_way is not None or (scope != ALL and (list(vaults) != [scope] or cluster)):
        raise FormatError(_DISORDER)
    return Contents(reader.header, reader.digest.digest(), counts, vaults, cluster)


def _check_tenant(frame: Records | Tenant, vaults: dict[str, int], under_way: str | None) -> None:
    """Keep a frame from writing beyond its tenant, and a tenant from being in two places."""
    begins = frame.vault not in vaults
    if begins != (under_way is None) or (
        not begins and (under_way, vaults[frame.vault]) != (frame.vault, frame.tenant)
    ):
        raise FormatError(_DISORDER)
    if not 1 <= frame.tenant <= _LAST_TENANT:
        raise FormatError(_DISORDER)
    prefix = TenantKeys(frame.tenant).prefix
    if not all(key.startswith(prefix) for key, _ in frame.entries):
        raise FormatError(_DISORDER)


def _check_cluster(frame: Cluster) -> None:
    for key, _ in frame.entries:
        if key != ALLOCATOR and not _is_of_a_cluster(key):
            raise FormatError(_DISORDER)


def _is_of_a_cluster(key: bytes) -> bool:
    try:
        node, namespace, *rest = keyspace.unpack(key)
    except (ValueError, IndexError, TypeError, struct.error):  # no tuple
        return False
    return (
        key == keyspace.pack(node, namespace, *rest) and node == "node" and isinstance(namespace, str) and rest != []
    )
