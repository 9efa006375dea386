"""Removes what is left of tokens that are gone: a few in a transaction, as often as it takes.

What a step has done is done, and what is left is found again by the next one, on whatever node. So it may end
anywhere, and run on several nodes at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Final, TypeVar

import structlog

from kms_actors.actors.cluster.schedule import END, KEPT, REVOKING, look_again
from kms_actors.actors.tenant.context import TenantContext
from kms_actors.actors.tenant.token_records import CHILD, Place, TokenRecords
from kms_actors.actors.token.ending import Ending
from kms_actors.actors.token.leases import Leases
from kms_actors.errors import KmsError
from kms_actors.messages import Command
from kms_actors.store.api import Body, Priority, Transaction
from kms_actors.store.pages import behind

T = TypeVar("T")

#: Tokens that are removed in one transaction.
PAGE: Final = 100
#: Transactions of one run: then others have their turn.
STEPS: Final = 200

_SECOND: Final = 10**9
_log: Final = structlog.get_logger(__name__)


class EndTokens(Command, frozen=True):
    """Remove what is left of tokens that have ended, or were revoked. Answer: how many there were."""


class Sweeping:
    """Removes tokens of one vault."""

    def __init__(self, context: TenantContext, records: TokenRecords, ending: Ending, leases: Leases) -> None:
        self._context = context
        self._keys = context.keys
        self._records = records
        self._ending = ending
        self._leases = leases

    async def run(self) -> int:
        """Remove what is left, up to a bound, and have the rest looked for; return how many tokens were removed.

        By a clock that is not trusted no token has ended: what was removed does not come back.
        """
        now = self._context.trusted_time()
        if now is None:
            return 0
        count, left = await self.leases(STEPS)
        begin: bytes | None = self._keys.key(END)
        for _ in range(left):
            if begin is not None:
                removed, begin = await self._change(partial(self._expired, begin=begin, now=now))
            else:
                removed, more = await self._change(self._children)
                if not more:
                    break
            count += removed
        await self._change(lambda tr: look_again(tr, self._keys, now, 0))
        return count

    async def children(self) -> None:
        """Remove what is left of children whose parents were revoked: soon, and otherwise by the sweep."""
        try:
            for _ in range(STEPS):
                if not (await self._change(self._children))[1]:
                    return
        except KmsError as error:
            _log.warning("children of a revoked token are removed later", error=type(error).__name__)

    async def leases(self, steps: int, prefix: str = "") -> tuple[int, int]:
        """End leases that are to end, in at most so many steps; return how many, and how many steps are left.

        With a `prefix`, those below it alone.
        """
        count = 0
        place: bytes | None = None
        while steps:
            done = await self._change(partial(self._leases.step, place=place, prefix=prefix))
            if not done.more:
                break
            count, place, steps = count + done.ended, done.place, steps - 1
        return count, steps

    async def _change(self, body: Body[T]) -> T:
        return await self._context.store.change(body, mount=None, priority=Priority.BATCH, bearers=())

    async def _expired(self, tr: Transaction, begin: bytes, now: int) -> tuple[int, bytes | None]:
        """Remove tokens that have ended; return how many, and where to go on."""
        end = self._keys.key(END, (now - KEPT) // _SECOND + 1)
        found = await tr.get_range(begin, end, limit=PAGE) if begin < end else []
        for key, proof in found:
            if proof:
                self._records.forget(tr, key, proof)
        entries = [key for key, proof in found if not proof]
        count = await self._remove(tr, entries, [self._keys.parts(key)[2] for key in entries], now)
        return count, behind(found[-1][0]) if len(found) == PAGE else None

    async def _children(self, tr: Transaction) -> tuple[int, bool]:
        """Remove children of a token that is gone; return how many, and whether there may be more to do."""
        gone = await tr.get_keys(*self._keys.span(REVOKING), limit=1)
        if not gone:
            return 0, False
        parent = self._keys.parts(gone[0])[1]
        found = await tr.get_keys(*self._keys.span(CHILD, parent), limit=PAGE)
        count = await self._remove(tr, found, [self._keys.parts(key)[2] for key in found])
        if len(found) < PAGE:
            tr.clear(gone[0])
        return count, True

    async def _remove(self, tr: Transaction, entries: Sequence[bytes], names: Sequence[str], now: int = 0) -> int:
        """Remove the tokens of these accessors, with the entries that name them; `now`: unless they live on."""
        places = await self._records.accessors(tr, names)

        async def one(entry: bytes, name: str, place: Place | None) -> bool:
            token = None if place is None else await self._records.token(tr, place.hash)
            if place is None or token is None:
                tr.clear(entry)
                # A backup is not of one moment: what a token kept may be in it without the token.
                await self._records.drop_kept(tr, name)
                return False
            if now and self._records.end_key(token) != entry:
                tr.clear(entry)  # it was renewed
                return False
            await self._ending.remove(tr, place, token)
            return True

        found = [None if each is None else Place(each.hash, each.proof) for each in places]
        return sum(await asyncio.gather(*map(one, entries, names, found)))
