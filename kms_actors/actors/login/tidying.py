"""Removes secret ids that have ended: by the sweep of the cluster when they do, and all at once when asked to.

Both go on a few at a time, and are told by the store what there is left to do: they may end anywhere, and run on
several nodes at once. A secret id that has ended counts for nothing in any case.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, TypeAlias

import structlog

from kms_actors.actors.cluster.schedule import KEPT, SECRET_ID_END
from kms_actors.actors.login.approle_records import ACCESSOR, AREA, SECRET_ID, ApproleRecords
from kms_actors.actors.tenant.context import TenantContext
from kms_actors.errors import KmsError
from kms_actors.messages import Command
from kms_actors.store.api import Priority, Transaction
from kms_actors.store.pages import behind

#: Secret ids looked at in one transaction.
PAGE: Final = 100
#: Transactions of one visit of the sweep: then others have their turn.
STEPS: Final = 100

_SECOND: Final = 10**9

_Look: TypeAlias = Callable[[Transaction, list[bytes]], Awaitable[int]]
_log: Final = structlog.get_logger(__name__)


class EndSecretIds(Command, frozen=True):
    """Remove secret ids that have ended. Answer: how many there were."""


class Tidying:
    """Removes secret ids of one vault."""

    def __init__(self, context: TenantContext, records: ApproleRecords) -> None:
        self._context = context
        self._keys = context.keys
        self._records = records
        self._under_way: set[int] = set()

    async def sweep(self) -> int:
        """Remove what has ended, up to a bound; return how many secret ids that were."""
        now, count = self._context.trusted_time(), 0
        if now is None:
            return 0
        for _ in range(STEPS):
            removed, more = await self._context.store.change(
                partial(self._ended, now=now), mount=None, priority=Priority.BATCH, bearers=()
            )
            count += removed
            if not more:
                break
        return count

    def begin(self, mount: int) -> bool:
        """Begin to look through all secret ids of a mount; False if that is under way."""
        if mount in self._under_way:
            return False
        self._under_way.add(mount)
        self._context.spawn_apart(self._tidy(mount))
        return True

    async def _ended(self, tr: Transaction, now: int) -> tuple[int, bool]:
        begin, _ = self._keys.span(SECRET_ID_END)
        end = self._keys.key(SECRET_ID_END, max(0, (now - KEPT) // _SECOND) + 1)
        entries = await tr.get_keys(begin, end, limit=PAGE)
        count = 0
        for entry in entries:
            _, _, mount, role, digest = self._keys.parts(entry)
            secret_id = await self._records.read_secret_id(tr, mount, role, digest)
            tr.clear(entry)
            if secret_id is not None and secret_id.ended(now):
                self._records.remove_secret_id(tr, mount, role, digest, secret_id)
                count += 1
        return count, len(entries) == PAGE

    async def _tidy(self, mount: int) -> None:
        now = self._context.trusted_time()
        try:
            gone = 0
            if now is not None:
                gone = await self._through(mount, SECRET_ID, partial(self._secret_ids, mount=mount, now=now))
            left = await self._through(mount, ACCESSOR, partial(self._accessors, mount=mount))
        except KmsError as error:
            _log.warning("secret ids were not tidied", vault=self._context.vault_id, error=type(error).__name__)
        else:
            _log.info("secret ids tidied", vault=self._context.vault_id, ended=gone, accessors=left)
        finally:
            self._under_way.discard(mount)

    async def _through(self, mount: int, area: str, look: _Look) -> int:
        """Look at all keys of an area, a page a transaction; return how many were removed."""
        begin, end = self._keys.span(AREA, mount, area)
        count = 0
        while True:
            await self._context.turns.turn(self._context.vault_id)

            async def page(tr: Transaction, begin: bytes = begin) -> tuple[int, bytes | None]:
                keys = await tr.get_keys(begin, end, limit=PAGE)
                return await look(tr, keys), behind(keys[-1]) if len(keys) == PAGE else None

            removed, following = await self._context.store.change(
                page, mount=mount, priority=Priority.BATCH, bearers=()
            )
            count += removed
            if following is None:
                return count
            begin = following

    async def _secret_ids(self, tr: Transaction, keys: list[bytes], mount: int, now: int) -> int:
        count = 0
        for key, record in zip(keys, await tr.get_many(keys), strict=True):
            secret_id = self._records.secret_id(key, record)
            if secret_id is not None and secret_id.ended(now):
                _, _, _, role, digest = self._keys.parts(key)
                self._records.remove_secret_id(tr, mount, role, digest, secret_id)
                count += 1
        return count

    async def _accessors(self, tr: Transaction, keys: list[bytes], mount: int) -> int:
        """Remove accessors of nothing, as a restore of what was read over a while may leave them."""
        count = 0
        for key in keys:
            _, _, _, role, accessor = self._keys.parts(key)
            digest = await self._records.digest_of(tr, mount, role, accessor)
            if digest is not None and await self._records.read_secret_id(tr, mount, role, digest) is None:
                tr.clear(key)
                count += 1
        return count
