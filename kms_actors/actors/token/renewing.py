"""Renewals: a token lives longer, as far as what made it lets it."""

from __future__ import annotations

from typing import Final

import msgspec

from kms_actors.actors.cluster.changes import TOKEN
from kms_actors.actors.cluster.schedule import KEPT, look_by
from kms_actors.actors.tenant.context import TenantContext
from kms_actors.actors.tenant.token_records import TokenRecords
from kms_actors.actors.token.bearers import TokenChanged
from kms_actors.actors.token.reading import Found, TokenReader
from kms_actors.auth.service_token import ServiceToken
from kms_actors.errors import InvalidRequest
from kms_actors.store.api import Transaction
from kms_actors.token.lifetime import Granted, Limits, grant
from kms_actors.token.messages import RenewToken
from kms_actors.token.spec import Issued

_SECOND: Final = 10**9


class Renewing:
    """Renews the tokens of one vault."""

    def __init__(self, context: TenantContext, records: TokenRecords, reader: TokenReader) -> None:
        self._context = context
        self._records = records
        self._reader = reader

    async def renew(self, message: RenewToken) -> Issued | None:
        """Let a token live longer; None if there is none. Raises InvalidRequest for one that cannot."""
        context, now = self._context, self._context.clock() / _SECOND

        async def body(tr: Transaction) -> tuple[ServiceToken, Granted, str] | None:
            found = await self._reader.named(tr, message, now)
            if found is None:
                return None
            token, granted = self._renewed(found, message.increment, now)
            self._records.rewrite(tr, found.place, token, found.token)
            # Who hangs on a token that ends earlier than it did is told, too.
            name = found.place.hash.hex() + ("/" if _ends(token) < _ends(found.token) else "")
            context.record(tr, TOKEN, name)
            await look_by(tr, context.keys, int(_ends(token) * _SECOND) + KEPT, int(now * _SECOND))
            return token, granted, name

        done = await context.store.change(body, mount=None)
        if done is None:
            return None
        token, granted, name = done
        await context.ask(TokenChanged(name))
        return Issued.renewed(token, message.token, granted.ttl, granted.warnings)

    def _renewed(self, found: Found, increment: int, now: float) -> tuple[ServiceToken, Granted]:
        token = found.token
        if token.expires_at is None or not token.renewable:
            raise InvalidRequest("lease is not renewable")
        before = round(token.expires_at - (token.renewed or token.created))
        granted = grant(
            self._limits(token),
            ttl=increment or before,
            period=token.period,
            explicit_max_ttl=token.explicit_max_ttl,
            age=int(now - token.created),
        )
        ttl = granted.ttl
        if token.not_after is not None:
            ttl = min(ttl, int(token.not_after - now))
            if ttl <= 0:
                raise InvalidRequest("past the max TTL, cannot renew")
        return msgspec.structs.replace(token, expires_at=now + ttl, renewed=now), granted._replace(ttl=ttl)

    def _limits(self, token: ServiceToken) -> Limits:
        """Return what its mount says now, of a token that a login gave; of others what the system does."""
        if token.mount is None or token.line:
            return Limits()
        return Limits.of(self._context.store.require_mount(token.mount).config).within(token.max_ttl)


def _ends(token: ServiceToken) -> float:
    assert token.expires_at is not None
    return token.expires_at
