"""The end of a service token, and of all that hangs on it: at once, in one small transaction.

What a token's children need is gone with it (see `tenant.token_records`), so they are dead wherever they are looked
up. Their records are removed later, a few at a time, see `sweeping`:

(`token-revoking`, accessor)        empty: of a token that is gone, whose children still have records
"""

from __future__ import annotations

from typing import Final

from kms_actors import request_context
from kms_actors.actors.cluster.changes import TOKEN
from kms_actors.actors.cluster.schedule import REVOKING, look_by, look_now
from kms_actors.actors.tenant.context import TenantContext
from kms_actors.actors.tenant.token_records import CHILD, LEFT, Place, TokenRecords
from kms_actors.auth.service_token import ServiceToken
from kms_actors.cubbyhole.records import Taken
from kms_actors.store.api import Transaction

_SECOND: Final = 10**9


class Ending:
    """Ends tokens of one vault, within transactions."""

    def __init__(self, context: TenantContext, records: TokenRecords) -> None:
        self._context = context
        self._keys: Final = context.keys
        self._records = records

    async def end(self, tr: Transaction, place: Place, token: ServiceToken) -> bool:
        """End a token that is there, and with it what it has made; return whether it has made some."""
        now = self._context.clock()
        self._tell(tr, f"{place.hash.hex()}/{token.accessor}")
        had_children = await self.remove(tr, place, token)
        if token.wraps and token.expires_at is not None:
            taken = Taken(accessor=token.accessor, taken=now / _SECOND, request_id=request_context.current().id)
            self._records.remember(tr, place, token, taken)
        if not had_children:
            return False
        await look_now(tr, self._keys)
        return True

    async def use_up(self, tr: Transaction, place: Place, token: ServiceToken) -> None:
        """End a token by its last use. Changes by the uses before it go on: they were counted, and not revoked."""
        await self.end(tr, place, token)
        if token.num_uses > 1 and not token.wraps:
            now = self._context.clock()
            second = self._records.spend(tr, place, token, now / _SECOND)
            await look_by(tr, self._keys, second * _SECOND, now)

    async def remove(self, tr: Transaction, place: Place, token: ServiceToken) -> bool:
        """Remove the records of a token, and have those of what it has made removed; return whether it has made some.

        Nobody hears of it: it is dead already.
        """
        await self._drop(tr, place, token)
        # A child that is made at the same time reads the accessor that is removed here: one of the two is too late.
        if not await self._has_children(tr, token.accessor):
            return False
        tr.set(self._keys.key(REVOKING, token.accessor), b"")
        return True

    async def leave(self, tr: Transaction, place: Place, token: ServiceToken) -> None:
        """End a token that is there, and let what it has made live on without it."""
        # What it hung on itself concerns its children no more.
        self._tell(tr, f"{place.hash.hex()}/")
        await self._drop(tr, place, token)
        if await self._has_children(tr, token.accessor):
            tr.set(self._keys.key(LEFT, token.accessor), b"")

    async def _drop(self, tr: Transaction, place: Place, token: ServiceToken) -> None:
        await self._records.drop(tr, place, token)
        self._context.tallies.count(tr, "tokens", -1)
        if token.line:
            left = self._keys.key(LEFT, token.line[-1])
            if await tr.get(left) is not None and not await self._has_children(tr, token.line[-1]):
                tr.clear(left)

    async def _has_children(self, tr: Transaction, accessor: str) -> bool:
        return bool(await tr.get_range(*self._keys.span(CHILD, accessor), limit=1))

    def _tell(self, tr: Transaction, name: str) -> None:
        """Have other nodes hear of a change, and changes on their way look at their tokens again."""
        tr.add(self._keys.key("revocations"), 1)
        self._context.record(tr, TOKEN, name)
