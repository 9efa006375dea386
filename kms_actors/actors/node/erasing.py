"""Deleted vaults: their records are removed a page a transaction, by the sweep of the cluster, on any node.

The first step takes the keyring, so that what is left opens to nobody. The last one sees that nothing is left but
what says so, and removes that, with the vault's entry: from then on its id is free. Its number is never used again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple

import structlog
from msgspec.structs import replace

from kms_actors.actors.cluster.changes import GONE, Change, record
from kms_actors.actors.cluster.removing import MOST, next_size, remove_page
from kms_actors.actors.cluster.schedule import look_never
from kms_actors.actors.tenant.standing import ERASURE, erasure_of, put
from kms_actors.store import keyspace
from kms_actors.store.api import Priority, Store, Transaction
from kms_actors.store.keyspace import TenantKeys, after
from kms_actors.store.pages import behind
from kms_actors.tenancy.records import Erasure

#: Seconds of one visit, after which other vaults have their turn.
_VISIT: Final = 10.0
#: What stays to the end: where the vault stands, and that it is looked at.
_KEPT: Final = ("due", "epoch", ERASURE, "header")
#: What a backup has put into a vault that is being restored.
_LOCK: Final = "restore"

_log: Final = structlog.get_logger(__name__)


class _Step(NamedTuple):
    """What a transaction came to: nothing is `left` to do if that is None; `removed` is of a vault that is gone."""

    left: Erasure | None
    removed: int | None = None


class Eraser:
    """Removes the records of vaults that are to be deleted."""

    def __init__(
        self, store: Store, trusted_time: Callable[[], int | None], elapsed: Callable[[], float] = time.monotonic
    ) -> None:
        """`trusted_time` gives nanoseconds since 1970, or None while the clock must not decide what is due."""
        self._store = store
        self._trusted_time = trusted_time
        self._elapsed = elapsed
        self._size = MOST // 4

    async def erase(self, number: int, vault_id: str) -> bool:
        """Remove records for a while; return whether nothing is left to do, now."""
        now = self._trusted_time()
        if now is None:
            return False
        end = self._elapsed() + _VISIT
        while True:
            began = self._elapsed()
            step = partial(self._step, keys=TenantKeys(number), vault_id=vault_id, size=self._size, now=now / 1e9)
            done = await self._store.run(step, priority=Priority.BATCH)
            if done.removed is not None:
                _log.info("vault deleted", vault=vault_id, removed=done.removed)
            if done.left is None:
                return True
            self._size = next_size(self._size, self._elapsed() - began)
            if self._elapsed() >= end:
                return False

    async def _step(self, tr: Transaction, keys: TenantKeys, vault_id: str, size: int, now: float) -> _Step:
        """Remove a page."""
        erasure = await erasure_of(tr, keys)
        if erasure is None or erasure.due > now or await tr.get(keys.key(_LOCK)) is not None:
            return _Step(None)  # it stays, or another took it over
        if not erasure.begun:
            for area in ("keyring", "unsealed", "progress", "seal"):
                tr.clear(keys.key(area))
            erasure = replace(erasure, begun=now)
        removed = await remove_page(tr, _spans(keys), size)
        if removed == size:
            erasure = replace(erasure, removed=erasure.removed + removed)
            put(tr, keys, ERASURE, erasure)
            return _Step(erasure)
        await look_never(tr, keys)
        tr.clear_range(keys.prefix, after(keys.prefix))
        tr.clear(keyspace.vault(vault_id))
        record(tr, Change(vault_id, GONE, "", now))
        return _Step(None, erasure.removed + removed)


def _spans(keys: TenantKeys) -> list[tuple[bytes, bytes]]:
    """Return where what goes lies: before, between and behind what stays."""
    spans, begin = [], keys.prefix + b"\0"
    for area in _KEPT:
        place = keys.key(area)
        spans.append((begin, place))
        begin = behind(place)
    return [*spans, (begin, after(keys.prefix))]
