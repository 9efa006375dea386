"""The end of a service token, and of all that hangs on it: at once, in one small transaction.

What a token's children need is gone with it (see `tenant.token_records`), so they are dead wherever they are looked
up. Their records are removed later, a few at a time:

(`token-revoking`, accessor)        empty: of a token that is gone, whose children still have records
"""

from __future__ import annotations

from typing import Final

from kms_actors import request_context
from kms_actors.actors.cluster.changes import TOKEN
from kms_actors.actors.cluster.schedule import look_by
from kms_actors.actors.tenant.context import TenantContext
from kms_actors.actors.tenant.token_records import CHILD, Place, TokenRecords
from kms_actors.auth.service_token import ServiceToken
from kms_actors.cubbyhole.records import Taken
from kms_actors.store.api import Transaction

REVOKING: Final = "token-revoking"
_SECOND: Final = 10**9


class Ending:
    """Ends tokens of one vault, within transactions."""

    def __init__(self, context: TenantContext, records: TokenRecords) -> None:
        self._context = context
        self._records = records

    async def end(self, tr: Transaction, place: Place, token: ServiceToken) -> None:
        """End a token that is there, and with it what it has made."""
        context, keys = self._context, self._context.keys
        await self._records.drop(tr, place, token)
        if token.wraps and token.expires_at is not None:
            taken = Taken(
                accessor=token.accessor, taken=context.clock() / _SECOND, request_id=request_context.current().id
            )
            self._records.remember(tr, place, token, taken)
        tr.add(keys.key("revocations"), 1)  # changes on their way have to look at their tokens again
        context.record(tr, TOKEN, f"{place.hash.hex()}/{token.accessor}")
        # A child that is made at the same time reads the accessor that is removed here: one of the two is too late.
        if await tr.get_range(*keys.span(CHILD, token.accessor), limit=1):
            tr.set(keys.key(REVOKING, token.accessor), b"")
            await look_by(tr, keys, context.clock(), context.clock())
