"""Renewals: a token lives longer, as far as what made it lets it."""

from __future__ import annotations

from typing import Final

import msgspec

from kms_actors.actors.cluster.changes import TOKEN
from kms_actors.actors.cluster.schedule import KEPT, look_by
from kms_actors.actors.tenant.context import TenantContext
from kms_actors.actors.tenant.token_records import TokenRecords
from kms_actors.actors.token.bearers import TokenChanged
from kms_actors.actors.token.issuing import with_entity
from kms_actors.actors.token.reading import Found, TokenReader
from kms_actors.actors.token.roles import TokenRoles
from kms_actors.auth.service_token import ServiceToken
from kms_actors.errors import InvalidRequest, Unavailable
from kms_actors.login.messages import ProveRenewal, ReadRenewalTerms, RenewalTerms
from kms_actors.store.api import Transaction
from kms_actors.token.lifetime import Granted, Limits, grant
from kms_actors.token.messages import RenewToken
from kms_actors.token.role import TokenRole
from kms_actors.token.spec import Issued

_SECOND: Final = 10**9


class Renewing:
    """Renews the tokens of one vault."""

    def __init__(self, context: TenantContext, records: TokenRecords, reader: TokenReader, roles: TokenRoles) -> None:
        self._context = context
        self._records = records
        self._reader = reader
        self._roles = roles

    async def renew(self, message: RenewToken) -> Issued | None:
        """Let a token live longer; None if there is none. Raises InvalidRequest for one that cannot."""
        context, now = self._context, self._context.clock() / _SECOND
        terms = await self._proved(message, now)

        async def body(tr: Transaction) -> tuple[ServiceToken, Granted, str] | None:
            found = await self._reader.named(tr, message, now)
            if found is None:
                return None
            if terms is not None:
                await _hold(tr, terms)
            role = found.token.role
            before = _of_role(found, await self._roles.find(tr, role)) if role else _as_now(found, terms)
            limits = await self._limits(tr, found.token)
            asked = message.increment or (terms.parameters.ttl if terms is not None else _last(found.token))
            token, granted = self._renewed(before, asked, now, limits)
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
        return await with_entity(context, Issued.renewed(token, message.token, granted.ttl, granted.warnings))

    async def _proved(self, message: RenewToken, now: float) -> RenewalTerms | None:
        """Return what a renewal rests on beside the token: of one that a login gave, its role or user, as it is now.

        Who may not log in any more must not live on by renewals. Of one that a certificate was shown for, that again.
        """
        found = await self._context.store.read(lambda tr: self._reader.named(tr, message, now))
        if found is None or found.token.mount is None or found.token.line:
            return None
        token, mount, metadata = found.token, found.token.mount, found.token.metadata or {}
        proof: ProveRenewal | ReadRenewalTerms = ReadRenewalTerms(mount, metadata, token.policies)
        if token.certificate:
            role = metadata.get("cert_name", "")
            proof = ProveRenewal(mount, role, token.policies, token.certificate, message.certificates)
        terms: RenewalTerms = await self._context.ask(proof)
        return terms

    def _renewed(self, found: Found, asked: int, now: float, limits: Limits) -> tuple[ServiceToken, Granted]:
        """Return the token as it is renewed for so many seconds; 0: for as long as where nobody says it."""
        token = found.token
        if token.expires_at is None or not token.renewable:
            raise InvalidRequest("lease is not renewable")
        granted = grant(
            limits.within(token.max_ttl),
            ttl=asked,
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

    async def _limits(self, tr: Transaction, token: ServiceToken) -> Limits:
        """Return what the mount of the login that gave a token says now; of others, what `auth/token/` does."""
        if token.mount is None or token.line:
            return await self._records.limits(tr)
        return Limits.of(self._context.store.require_mount(token.mount).config)


async def _hold(tr: Transaction, terms: RenewalTerms) -> None:
    """Raise Unavailable where anything that the terms rest on was changed meanwhile."""
    records = await tr.get_many([place for place, _ in terms.records])
    listed = [] if terms.span is None else await tr.get_range(*terms.span, limit=len(terms.listed) + 1)
    if records != [record for _, record in terms.records] or tuple(listed) != terms.listed:
        raise Unavailable("the role or the configuration was changed meanwhile, try again")


def _as_now(found: Found, terms: RenewalTerms | None) -> Found:
    """Return a token with what its role says of renewals now."""
    if terms is None:
        return found
    now = terms.parameters
    return found._replace(token=msgspec.structs.replace(found.token, period=now.period, max_ttl=now.max_ttl))


def _of_role(found: Found, role: TokenRole | None) -> Found:
    """Return a token with what the role it was made by says of renewals now; its own maximum goes on to bind it."""
    if role is None:
        raise InvalidRequest("the original role of the token could not be found, not renewing")
    token = found.token
    longest = min(filter(None, (token.explicit_max_ttl, role.explicit_max_ttl)), default=0)
    return found._replace(token=msgspec.structs.replace(token, period=role.period, explicit_max_ttl=longest))


def _last(token: ServiceToken) -> int:
    """Return how many seconds it was given last; 0 for one without end."""
    return 0 if token.expires_at is None else round(token.expires_at - (token.renewed or token.created))


def _ends(token: ServiceToken) -> float:
    assert token.expires_at is not None
    return token.expires_at
