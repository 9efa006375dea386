"""Tidying: all records of tokens are looked at, and those that belong to none are removed.

Nothing here leaves any. A backup that was read while tokens came and went can bring some back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final

import structlog

from kms_actors.actors.cluster.schedule import END, KEPT, REVOKING
from kms_actors.actors.tenant.context import TenantContext
from kms_actors.actors.tenant.proofs import AREA as PROOF
from kms_actors.actors.tenant.proofs import proof_key
from kms_actors.actors.tenant.token_records import ACCESSOR, CHILD, LEASE, LEFT, TOKEN, USES, TokenRecords
from kms_actors.actors.token.sweeping import Sweeping
from kms_actors.auth.service_token import ServiceToken, TokenProof
from kms_actors.errors import KmsError
from kms_actors.store.api import Entry, Priority, Transaction
from kms_actors.store.pages import behind

#: Records that are looked at in one transaction; each may need a few more reads.
PAGE: Final = 100

_SECOND: Final = 1e9
_log: Final = structlog.get_logger(__name__)

#: Removes what belongs to an entry if it belongs to nothing; returns whether it did.
_Rule = Callable[[Transaction, tuple[Any, ...], Entry], Awaitable[bool]]


class Tidying:
    """Of one vault."""

    def __init__(self, context: TenantContext, records: TokenRecords, sweeping: Sweeping) -> None:
        self._context = context
        self._keys = context.keys
        self._records = records
        self._sweeping = sweeping
        self._running: asyncio.Task[None] | None = None

    def begin(self) -> bool:
        """Begin, unless it is under way already, which is False."""
        if self._running is not None and not self._running.done():
            return False
        self._running = self._context.spawn_apart(self._run())
        return True

    async def _run(self) -> None:
        rules: dict[str, _Rule] = {
            ACCESSOR: self._accessor,
            TOKEN: self._token,
            CHILD: self._child,
            END: self._end,
            LEASE: self._lease,
            USES: self._uses,
            LEFT: self._left,
            PROOF: self._proof,
        }
        count = 0
        try:
            for area, rule in rules.items():
                count += await self._walk(area, rule)
            count += await self._sweeping.run()
        except KmsError as error:
            _log.warning("tokens were not tidied up to the end", error=type(error).__name__)
        _log.info("tokens were tidied", vault=self._context.vault_id, removed=count)

    async def _walk(self, area: str, rule: _Rule) -> int:
        place, end = self._keys.span(area)
        count = 0
        while True:
            removed, last = await self._context.store.change(
                partial(self._page, begin=place, end=end, rule=rule), mount=None, priority=Priority.BATCH, bearers=()
            )
            count += removed
            if last is None:
                return count
            place = behind(last)

    async def _page(self, tr: Transaction, begin: bytes, end: bytes, rule: _Rule) -> tuple[int, bytes | None]:
        found = await tr.get_range(begin, end, limit=PAGE)
        removed = await asyncio.gather(*(rule(tr, self._keys.parts(entry[0]), entry) for entry in found))
        return sum(removed), found[-1][0] if len(found) == PAGE else None

    async def _accessor(self, tr: Transaction, parts: tuple[Any, ...], entry: Entry) -> bool:
        accessor = self._records.opened_accessor(entry)
        if await tr.get(self._keys.key(TOKEN, accessor.hash)) is not None:
            return False
        tr.clear(proof_key(self._keys, accessor.proof))
        return _clear(tr, entry)

    async def _token(self, tr: Transaction, parts: tuple[Any, ...], entry: Entry) -> bool:
        token = ServiceToken.decode(self._context.keyring.open(*entry))
        accessor = await self._records.accessor(tr, token.accessor)
        if token.indexed and (accessor is None or accessor.hash != parts[1]):
            # It was made while a backup was read. What is missing is written when it is used.
            self._records.set_unindexed(tr, parts[1], token)
        return False

    async def _child(self, tr: Transaction, parts: tuple[Any, ...], entry: Entry) -> bool:
        keys, (_, parent, child) = self._keys, parts
        above, left, own = await tr.get_many(
            [keys.key(ACCESSOR, parent), keys.key(LEFT, parent), keys.key(ACCESSOR, child)]
        )
        if own is None:
            return _clear(tr, entry)
        if above is None and left is None:
            tr.set(keys.key(REVOKING, parent), b"")  # it is dead, and goes with all others that are
        return False

    async def _end(self, tr: Transaction, parts: tuple[Any, ...], entry: Entry) -> bool:
        there = entry[1] or await tr.get(self._keys.key(ACCESSOR, parts[2]))
        return not there and _clear(tr, entry)

    async def _lease(self, tr: Transaction, parts: tuple[Any, ...], entry: Entry) -> bool:
        there = await tr.get(self._keys.key(TOKEN, bytes.fromhex(parts[1].rpartition("/h")[2])))
        return there is None and _clear(tr, entry)

    async def _uses(self, tr: Transaction, parts: tuple[Any, ...], entry: Entry) -> bool:
        return await tr.get(self._keys.key(TOKEN, parts[1])) is None and _clear(tr, entry)

    async def _left(self, tr: Transaction, parts: tuple[Any, ...], entry: Entry) -> bool:
        return not await tr.get_range(*self._keys.span(CHILD, parts[1]), limit=1) and _clear(tr, entry)

    async def _proof(self, tr: Transaction, parts: tuple[Any, ...], entry: Entry) -> bool:
        """Remove a proof that has ended long ago: whose it is, nobody can tell from it."""
        ends, now = TokenProof.decode(entry[1]).expires_at, self._context.trusted_time()
        if ends is None or now is None:
            return False
        return ends * _SECOND + KEPT < now and _clear(tr, entry)


def _clear(tr: Transaction, entry: Entry) -> bool:
    tr.clear(entry[0])
    return True
