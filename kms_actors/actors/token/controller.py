"""Tokens of a tenant: short service tokens, and revocation of any kind of token.

Records: (`token`, keyed hash), sealed; (`revoked`, revocation id), see `revocations`. The key of the hash is derived
from the tenant keyring. Beside a token's record lies its proof for when the tenant is sealed (see `proofs`).
(`revocations`,) counts all revocations: changes look at it (see `tenant.store`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from kms_actors.actors.cluster.changes import (
    TENANT,
    TOKEN,
)
from kms_actors.actors.tenant.context import (
    Handler,
    TenantContext,
)
from kms_actors.actors.tenant.loading import LoadEnded, LoadingCache
from kms_actors.actors.tenant.proofs import drop_proof, keep_proof
from kms_actors.actors.tenant.records import TOKEN_LABEL
from kms_actors.actors.tenant.revocations import end_of, record_of
from kms_actors.auth.principal import Principal
from kms_actors.auth.service_token import ServicePrincipal, ServiceToken, proof_digest, token_hash
from kms_actors.cache import ByteCache
from kms_actors.errors import AuthenticationFailed, InvalidRequest
from kms_actors.messages import (
    AuthenticateToken,
    Event,
    Message,
    RenewToken,
    RevokeToken,
)
from kms_actors.store.api import Transaction

#: Bytes of the service tokens that a tenant keeps, and of each: record, texts and place in the cache.
_CACHE_BYTES = 4 << 20
_TOKEN_BYTES = 1_300


class TokenLoaded(LoadEnded, frozen=True):
    """A load of a service token has ended."""


class TokenRevoked(Event, frozen=True):
    """A token is revoked in the store: `digest` of a service token; id of a biscuit, with the end of that."""

    digest: bytes | None
    revocation_id: str = ""
    ends: int = 0


#: What a `TokenController` handles.
TOKEN_MESSAGES = (AuthenticateToken, RenewToken, RevokeToken, TokenLoaded, TokenRevoked)


class TokenController:
    """Authenticates service tokens from a cache in front of the store, and revokes."""

    def __init__(self, context: TenantContext, publish_revoked: Callable[[str, int], None]) -> None:
        self._context = context
        self._publish_revoked = publish_revoked
        self._hash_key = context.keyring.derive(TOKEN_LABEL)
        kept: ByteCache[bytes, ServicePrincipal] = ByteCache(
            _CACHE_BYTES, lambda *_: _TOKEN_BYTES, account=context.account
        )
        self._cache = LoadingCache(kept, context, TokenLoaded)

    def handlers(self) -> Mapping[type[Message], Handler]:
        return {
            AuthenticateToken: self._authenticate,
            RenewToken: self._renew,
            RevokeToken: lambda message: self._context.spawn(self._revoke(message)),
            TokenLoaded: self._cache.loaded,
            TokenRevoked: self._revoked,
        }

    def _authenticate(self, message: AuthenticateToken) -> ServicePrincipal | asyncio.Task[ServicePrincipal]:
        digest = token_hash(self._hash_key, message.token)
        principal = self._cache.get(digest)
        if principal is None:
            load = self._cache.load(digest, partial(self._load, digest, message))
            return self._context.spawn(self._cache.wait(load))
        return self._unexpired(principal)

    def _unexpired(self, principal: ServicePrincipal) -> ServicePrincipal:
        if principal.expires_at is not None and self._context.clock() >= principal.expires_at * 1e9:
            raise AuthenticationFailed("service token expired")
        return principal

    async def _load(self, digest: bytes, message: AuthenticateToken) -> ServicePrincipal:
        key = self._context.keys.key("token", digest)
        record = await self._context.store.read(lambda tr: tr.get(key))
        if record is None:
            raise AuthenticationFailed("unknown service token")
        token = ServiceToken.decode(self._context.keyring.open(key, record))
        principal = self._unexpired(ServicePrincipal(token, self._context.vault_id))
        if not message.proven:
            await self._prove(key, message.token, token)
        return principal

    async def _prove(self, key: bytes, text: str, token: ServiceToken) -> None:
        """Write the proof that an older program did not write, unless the token was revoked meanwhile."""
        keys, digest = self._context.keys, proof_digest(text)

        async def body(tr: Transaction) -> None:
            if await tr.get(key) is not None:
                keep_proof(tr, keys, digest, token)

        await self._context.store.change(body, mount=None)

    def _renew(self, message: RenewToken) -> Principal:
        # Neither biscuits nor the root token can be renewed; Vault words it so.
        raise InvalidRequest("lease is not renewable")

    async def _revoke(self, message: RevokeToken) -> None:
        context = self._context
        ids, ends = message.principal.revocation_ids, end_of(message.principal.expires_at)
        digest = None if ids else token_hash(self._hash_key, message.token)
        proof = proof_digest(message.token)

        async def body(tr: Transaction) -> None:
            tr.add(context.keys.key("revocations"), 1)  # changes on their way have to look at their tokens again
            if digest is not None:
                tr.clear(context.keys.key("token", digest))
                drop_proof(tr, context.keys, proof)
                context.record(tr, TOKEN, digest.hex())
            else:
                # The last block's id: its holder revokes what was narrowed from this token, not its parents.
                tr.set(context.keys.key("revoked", ids[-1]), record_of(ends))
                context.record(tr, TENANT, ids[-1], ends)

        # It rests on no token: it is the end of the very one that allows it, and may be said twice.
        await context.store.change(body, mount=None, bearers=())
        await context.ask(TokenRevoked(digest, *((ids[-1], ends) if ids else ())))

    def _revoked(self, event: TokenRevoked) -> Any:
        if event.digest is not None:
            self._cache.changed(event.digest)
        else:
            self._publish_revoked(event.revocation_id, event.ends)
