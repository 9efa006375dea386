"""How a tenant's records are read for a backup: what belongs together, what comes last, what stays behind.

A group is a leading record and those that only it makes sense of: a secret's metadata with its data and its name, a
transit key's policy with its versions, what is counted for them, and the time of its next one. Every change of a
group, but for counters, writes its leading record anew, sealed with a fresh nonce; so a group whose leading record is
the same before and after was not changed in between.
"""

from __future__ import annotations

import struct
from typing import Any, Final, NamedTuple

from kms_actors.actors.ceremony.subject import ATTEMPTS
from kms_actors.store.keyspace import TenantKeys
from kms_actors.store.pages import behind

Span = tuple[bytes, bytes]

#: What a tenant is. Read in one transaction, after all else: the keyring then opens everything that was read before.
LAST: Final = (
    *("header", "seal", "keyring", "epoch", "grant", "count"),
    *("mount", "mount-number", "mount-revision", "rekey-backup"),
)

#: Belongs to a cluster, not to a tenant: the root key and the shares as this cluster's master keyring wraps them.
_WRAPPED_BY_MASTER: Final = ("unsealed", "progress")

#: In a tenant that a restore has begun and not ended: `Lock`.
LOCK: Final = "restore"

#: Of which restore the tenant's records are: the epoch that it gave the tenant back with. Not there: of none.
RESTORED: Final = "restored"

#: When the tenant is to be looked at, which an unsealing writes anew; below it, of each transit key, taken with that.
_DUE: Final = "due"

#: Of this store alone: that a tenant is to be deleted, when it was used, and what was measured there.
_OF_THE_STORE: Final = ("erasure", "used", "measured", RESTORED)

#: Of the cluster's own records, those that are made anew by nodes as they run, and by ceremonies under way.
OF_RUNNING_NODES: Final = ("master-key", "upgrade", "sealed", *ATTEMPTS)

#: Of ceremonies under way, with shares that were given for the seal of that moment.
_UNDER_WAY: Final = ("rekey", "generate-root")

_SKIPPED: Final = (*LAST, *_WRAPPED_BY_MASTER, *_OF_THE_STORE, *_UNDER_WAY, LOCK, _DUE)


class Step(NamedTuple):
    """What a walk does at a key: take it with its companions or not, and go on at `next`."""

    next: bytes
    taken: bool
    companions: tuple[Span, ...] = ()


def step(keys: TenantKeys, key: bytes) -> Step:
    """Return what to do at `key`. Areas that this program does not know are taken, each record by itself."""
    match _parts(keys, key):
        case ("kv", mount, ("data" | "list") as area, *_):
            return Step(keys.span("kv", mount, area)[1], taken=False)
        case ("kv", mount, "meta", path):
            name = keys.key("kv", mount, "list", path)
            return Step(behind(key), True, (keys.span("kv", mount, "data", path), (name, behind(name))))
        case ("transit", mount, "policy", name):
            time = keys.key(_DUE, mount, name)
            usage, versions = (keys.span("transit", mount, area, name) for area in ("usage", "version"))
            return Step(behind(key), True, (usage, versions, (time, behind(time))))
        case ("transit", mount, ("usage" | "version") as area, *_):
            return Step(keys.span("transit", mount, area)[1], taken=False)
        case (area, *_) if area in _SKIPPED:
            return Step(keys.span(area)[1], taken=False)
    return Step(behind(key), taken=True)


def _parts(keys: TenantKeys, key: bytes) -> tuple[Any, ...]:
    try:
        return keys.parts(key)
    except (ValueError, IndexError, TypeError, struct.error):  # no tuple
        return ()
