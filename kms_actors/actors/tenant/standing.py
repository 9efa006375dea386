"""What the cluster's operator has said of a tenant, and what is counted of it.

(`grant`,) Grant; (`erasure`,) Erasure: both are read with what else a wake needs, since they lie between `epoch` and
`keyring`. (`used`,) Used; (`measured`,) Measured. (`count`, kind, mount): a counter, added to blindly by who changes
what is counted; the mount is 0 for what lies below none. None of them is sealed: they are read while the vault is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, TypeVar

import msgspec

from kms_actors.errors import Leaving
from kms_actors.keyring import stored
from kms_actors.store.api import Entry, Reads, Transaction
from kms_actors.store.keyspace import TenantKeys
from kms_actors.tenancy.records import Erasure, Grant

GRANT: Final = "grant"
ERASURE: Final = "erasure"
USED: Final = "used"
MEASURED: Final = "measured"
COUNT: Final = "count"

S = TypeVar("S", bound=msgspec.Struct)


def decoded(raw: bytes | None, kind: type[S]) -> S | None:
    """Return the record that was read, if there is one."""
    return None if raw is None else stored.decode(raw, kind, kind.__name__)


def grant_of(raw: bytes | None) -> Grant:
    """Return what a tenant is given, by its record."""
    return decoded(raw, Grant) or Grant()


async def erasure_of(tr: Reads, keys: TenantKeys) -> Erasure | None:
    """Return what is known of a tenant's deletion; None for one that stays."""
    return decoded(await tr.get(keys.key(ERASURE)), Erasure)


async def require_staying(tr: Reads, keys: TenantKeys) -> None:
    """Raise Leaving for a tenant that is being deleted."""
    erasure = await erasure_of(tr, keys)
    if erasure is not None:
        raise leaving(erasure)


def leaving(erasure: Erasure) -> Leaving:
    """Return the error of a request to a tenant that is being deleted."""
    return Leaving.by(erasure.due, begun=bool(erasure.begun))


def put(tr: Transaction, keys: TenantKeys, area: str, record: msgspec.Struct) -> None:
    """Write one of these records."""
    tr.set(keys.key(area), stored.encode(record))


def counted(keys: TenantKeys, entries: Iterable[Entry]) -> Mapping[str, int]:
    """Return the sums of counters by kind, of what was read of `COUNT`."""
    sums: dict[str, int] = {}
    for key, raw in entries:
        kind = keys.parts(key)[1]
        sums[kind] = sums.get(kind, 0) + int.from_bytes(raw, "little", signed=True)
    return sums
