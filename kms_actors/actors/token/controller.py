"""Tokens of a tenant: short service tokens, and revocation of any kind of token.

Records: see `tenant.token_records`; (`revoked`, revocation id), see `revocations`. (`revocations`,) counts all
revocations: changes look at it (see `tenant.store`).

A service token is kept as it was loaded, with what it hangs on. When it is heard that a token is gone, what is kept
of its children is loaded anew before it is used; and what is counted is read and counted at each use.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

import msgspec

from kms_actors.actors.cluster.changes import TENANT
from kms_actors.actors.tenant.context import (
    Handler,
    TenantContext,
)
from kms_actors.actors.tenant.loading import LoadEnded, LoadingCache
from kms_actors.actors.tenant.revocations import end_of, record_of
from kms_actors.actors.tenant.token_records import TokenRecords
from kms_actors.actors.token.ending import Ending
from kms_actors.actors.token.reading import Found, TokenReader
from kms_actors.actors.token.sweeping import EndTokens, Sweeping
from kms_actors.actors.token.using import Using
from kms_actors.auth.principal import Principal
from kms_actors.auth.service_token import ServicePrincipal
from kms_actors.cache import ByteCache
from kms_actors.errors import AuthenticationFailed, InvalidRequest
from kms_actors.messages import (
    AuthenticateToken,
    Event,
    Message,
    RenewToken,
    RevokeToken,
    WithdrawToken,
)
from kms_actors.runtime.coalesced import Coalesced
from kms_actors.store.api import Reads, Transaction

#: Bytes of the service tokens that a tenant keeps, and of each: record, texts and place in the cache.
_CACHE_BYTES: Final = 4 << 20
_TOKEN_BYTES: Final = 1_300
#: Tokens that were heard to be gone, which what is kept may hang on.
_MOST_GONE: Final = 4096


class TokenLoaded(LoadEnded, frozen=True):
    """A load of a service token has ended."""


class TokenChanged(Event, frozen=True):
    """A service token is changed in the store, or gone: the hash in hex, and behind a slash what hangs on it.

    That is its accessor if it is gone; nothing if all that is kept may be other than it was.
    """

    name: str


class BiscuitRevoked(Event, frozen=True):
    """A biscuit is revoked in the store: its revocation id, and its end."""

    revocation_id: str
    ends: int


#: What a `TokenController` handles.
TOKEN_MESSAGES = (
    AuthenticateToken,
    RenewToken,
    RevokeToken,
    WithdrawToken,
    EndTokens,
    TokenLoaded,
    TokenChanged,
    BiscuitRevoked,
)


class TokenController:
    """Authenticates service tokens from a cache in front of the store, and revokes."""

    def __init__(self, context: TenantContext, publish_revoked: Callable[[str, int], None]) -> None:
        self._context = context
        self._publish_revoked = publish_revoked
        self._records = TokenRecords(context.keys, context.keyring)
        self._reader = TokenReader(context.keys, self._records)
        self._ending = Ending(context, self._records)
        self._sweeping = Sweeping(context, self._records, self._ending)
        self._children = Coalesced(self._sweeping.children, context.spawn_apart)
        self._using = Using(context, self._records)
        kept: ByteCache[bytes, ServicePrincipal] = ByteCache(
            _CACHE_BYTES, lambda *_: _TOKEN_BYTES, account=context.account
        )
        self._cache = LoadingCache(kept, context, TokenLoaded)
        self._gone: set[str] = set()  # accessors

    def handlers(self) -> Mapping[type[Message], Handler]:
        return {
            AuthenticateToken: self._authenticate,
            RenewToken: self._renew,
            RevokeToken: lambda message: self._context.spawn(self._revoke(message)),
            WithdrawToken: lambda message: self._context.spawn(self._end(message.token)),
            EndTokens: lambda _: self._context.spawn(self._sweeping.run()),
            TokenLoaded: self._cache.loaded,
            TokenChanged: self._changed,
            BiscuitRevoked: lambda event: self._publish_revoked(event.revocation_id, event.ends),
        }

    # Who bears a token.

    def _authenticate(self, message: AuthenticateToken) -> ServicePrincipal | asyncio.Task[ServicePrincipal]:
        digest = self._records.hash(message.token)
        principal = self._kept(digest)
        if principal is None:
            load = self._cache.load(digest, partial(self._load, message))
            return self._context.spawn(self._loaded(load, message))
        if message.use and principal.record.num_uses:
            return self._context.spawn(self._use(message))
        return principal

    def _kept(self, digest: bytes) -> ServicePrincipal | None:
        """Return what is kept of a token, unless it may hang on something that is gone."""
        principal = self._cache.get(digest)
        if principal is None:
            return None
        now, record = self._now(), principal.record
        if record.expired(now):
            raise AuthenticationFailed("service token expired")
        if (
            now >= principal.ends
            or not self._gone.isdisjoint(record.line)
            or (record.mount is not None and not self._context.store.has_mount(record.mount))
        ):
            self._cache.changed(digest)
            return None
        return principal

    async def _loaded(self, load: Any, message: AuthenticateToken) -> ServicePrincipal:
        principal: ServicePrincipal = await self._cache.wait(load)
        # One load is for all who wait for it; each of them uses the token.
        return await self._use(message) if message.use and principal.record.num_uses else principal

    async def _load(self, message: AuthenticateToken) -> ServicePrincipal:
        place, now = self._records.place(message.token), self._now()

        async def look(tr: Reads) -> Found:
            return await self._reader.by_place(tr, place, now)

        found = await self._context.store.read(look)
        if not message.proven or not found.token.indexed:
            await self._complete(found)
        return self._principal(found)

    async def _complete(self, found: Found) -> None:
        """Write the records that an older program did not write, unless the token was revoked meanwhile."""

        async def body(tr: Transaction) -> None:
            token = await self._records.token(tr, found.place.hash)
            if token is not None:
                self._records.rewrite(tr, found.place, msgspec.structs.replace(token, indexed=True), token)

        await self._context.store.change(body, mount=None, bearers=())

    async def _use(self, message: AuthenticateToken) -> ServicePrincipal:
        """Count a use: the last one is good, and ends the token."""
        place, now = self._records.place(message.token), self._now()

        async def body(tr: Transaction) -> tuple[Found, int]:
            return await self._using.use(tr, place, now)

        found, left = await self._context.store.change(body, mount=None, bearers=())
        counted = msgspec.structs.replace(found.token, num_uses=left or -1)  # as Vault shows the last
        return self._principal(found._replace(token=counted), spent=left <= 0)

    def _principal(self, found: Found, *, spent: bool = False) -> ServicePrincipal:
        return ServicePrincipal(found.token, self._context.vault_id, ends=found.ends, spent=spent)

    # Renewing and revoking.

    def _renew(self, message: RenewToken) -> Principal:
        # Neither biscuits nor the root token can be renewed; Vault words it so.
        raise InvalidRequest("lease is not renewable")

    async def _revoke(self, message: RevokeToken) -> None:
        ids = message.principal.revocation_ids
        if ids:
            await self._revoke_biscuit(ids[-1], end_of(message.principal.expires_at))
        else:
            await self._end(message.token)

    async def _end(self, text: str) -> None:
        place = self._records.place(text)

        async def body(tr: Transaction) -> tuple[str, bool]:
            token = await self._records.token(tr, place.hash)
            if token is None:
                return "", False
            return f"/{token.accessor}", await self._ending.end(tr, place, token)

        # It rests on no token: it is the end of the very one that allows it, and may be said twice.
        behind, had_children = await self._context.store.change(body, mount=None, bearers=())
        await self._context.ask(TokenChanged(place.hash.hex() + behind))
        if had_children:
            self._children.run()

    async def _revoke_biscuit(self, revocation_id: str, ends: int) -> None:
        """Revoke by the last block's id: its holder revokes what was narrowed from this token, not its parents."""
        context = self._context

        async def body(tr: Transaction) -> None:
            tr.add(context.keys.key("revocations"), 1)
            tr.set(context.keys.key("revoked", revocation_id), record_of(ends))
            context.record(tr, TENANT, revocation_id, ends)

        await context.store.change(body, mount=None, bearers=())
        await context.ask(BiscuitRevoked(revocation_id, ends))

    def _changed(self, event: TokenChanged) -> None:
        digest, slash, accessor = event.name.partition("/")
        self._cache.changed(bytes.fromhex(digest))
        if not slash:
            return
        if not accessor or len(self._gone) >= _MOST_GONE:
            self._gone.clear()
            self._cache.changed_all()
        if accessor:
            self._gone.add(accessor)

    def _now(self) -> float:
        return self._context.clock() / 1e9
