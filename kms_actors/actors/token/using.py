"""Uses of service tokens that are counted: each in a transaction, and the last one ends the token."""

from __future__ import annotations

from kms_actors.actors.tenant.context import TenantContext
from kms_actors.actors.tenant.token_records import Place, TokenRecords
from kms_actors.actors.token.ending import Ending
from kms_actors.actors.token.reading import Found, TokenReader
from kms_actors.store.api import Transaction


class Using:
    """Counts uses of one vault's tokens, within transactions."""

    def __init__(self, context: TenantContext, records: TokenRecords) -> None:
        self._records = records
        self._reader = TokenReader(context.keys, records)
        self._ending = Ending(context, records)

    async def use(self, tr: Transaction, place: Place, now: float) -> tuple[Found, int]:
        """Count a use; return the token as it was, and how many are left. 0: it has ended.

        Raises:
            AuthenticationFailed: it does not live, with the reason for the log.

        """
        found = await self._reader.by_place(tr, place, now)
        left = await self._records.uses(tr, place) - 1
        if left > 0:
            self._records.set_uses(tr, place, left)
        else:
            await self._ending.use_up(tr, place, found.token)
        return found, left
