"""Who bears a token, and what he may do now: from a cache in front of the store.

A service token is kept as it was loaded, with what it hangs on. When it is heard that a token is gone, what is kept
of its children is loaded anew before it is used; and what is counted is read and counted at each use.

What policies and entities give is asked at each use of those who keep it, in the same turn of the actor: so no token
is ever answered by what was changed before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

import msgspec

from kms_actors.activity.months import begin_of, month_of
from kms_actors.actors.tenant.context import Handler, TenantContext
from kms_actors.actors.tenant.loading import LoadEnded, LoadingCache
from kms_actors.actors.tenant.token_records import TokenRecords
from kms_actors.actors.token.reading import Found, TokenReader
from kms_actors.actors.token.using import Using
from kms_actors.auth import batch_token, cidrs
from kms_actors.auth.batch_token import BatchToken
from kms_actors.auth.principal import Acl, Right
from kms_actors.auth.service_token import ServicePrincipal, ServiceToken
from kms_actors.auth.wire import TokenRefused
from kms_actors.cache import ByteCache
from kms_actors.errors import AuthenticationFailed, NotFound
from kms_actors.identity.messages import Resolved, ResolveEntity
from kms_actors.messages import AuthenticateToken, Event, Message
from kms_actors.policy.messages import ResolveAcl
from kms_actors.store.api import Transaction

#: Bytes of the tokens that a tenant keeps, and of each: record, texts and place in the cache; of a character of a
#: batch token whose checks are run, and of what is remembered of that.
_CACHE_BYTES: Final = 4 << 20
_TOKEN_BYTES: Final = 1_300
_CHECKED_CHARACTER_BYTES: Final = 13
_USES_BYTES: Final = 10_000
#: Bytes of the keyed hashes that a tenant keeps by the digests of proofs, and of each: the former take four times as
#: long to work out, and the latter are there with each request.
_HASHES_BYTES: Final = 1 << 20
_HASH_BYTES: Final = 300
#: Tokens that were heard to be gone, which what is kept may hang on.
_MOST_GONE: Final = 4096

#: Asks in the turn under way: an answer, or the task that gives it.
AskNow = Callable[[Message], Any]
#: Told in turns of a token that is used: the first time in a month, or since it was let go of.
Note = Callable[[ServiceToken], None]


def unnoted(_: ServiceToken) -> None:
    """Tell nobody."""


class TokenLoaded(LoadEnded, frozen=True):
    """A load of a service token has ended."""


class TokenChanged(Event, frozen=True):
    """A service token is changed in the store, or gone: the hash in hex, and behind a slash what hangs on it.

    That is its accessor if it is gone; nothing if all that is kept may be other than it was.
    """

    name: str


class Kept:
    """A token that is kept: as it was loaded, and as it was answered last."""

    __slots__ = ("found", "names", "principal", "resolved", "size")

    def __init__(self, found: Found, vault_id: str, length: int = 0) -> None:
        """`length` is how many characters a batch token has."""
        self.found: Final = found
        self.principal = ServicePrincipal(found.token, vault_id, checks=found.checks)
        self.resolved: Resolved | None = None
        self.names = found.token.policies
        narrowed = found.checks is not None and found.checks.narrowed
        self.size = _TOKEN_BYTES + (length * _CHECKED_CHARACTER_BYTES + _USES_BYTES if narrowed else length)


class Bearers:
    """Authenticates the service tokens of one vault."""

    def __init__(self, context: TenantContext, records: TokenRecords, ask_now: AskNow, note: Note = unnoted) -> None:
        self._context = context
        self._note = note
        self._records = records
        self._reader = TokenReader(context.keys, records)
        self._using = Using(context, records)
        self._ask_now = ask_now
        kept: ByteCache[bytes, Kept] = ByteCache(_CACHE_BYTES, lambda _, kept: kept.size, account=context.account)
        self._cache = LoadingCache(kept, context, TokenLoaded)
        self._hashes: ByteCache[bytes, bytes] = ByteCache(
            _HASHES_BYTES, lambda _, __: _HASH_BYTES, account=context.account
        )
        self._gone: set[str] = set()  # accessors

    def handlers(self) -> Mapping[type[Message], Handler]:
        return {
            AuthenticateToken: self._authenticate,
            TokenLoaded: self._token_loaded,
            TokenChanged: self._changed,
        }

    # In turns.

    def _authenticate(self, message: AuthenticateToken) -> ServicePrincipal | asyncio.Task[ServicePrincipal]:
        kept = self._kept(digest := self._hash(message))
        if kept is None:
            load = self._cache.load(digest, partial(self._load, message))
            return self._context.spawn(self._loaded(load, message))
        if kept.found.token.bound_cidrs:
            _check_address(kept.found, message.address)
        if message.use and kept.found.token.num_uses:
            return self._context.spawn(self._use(message))
        return self._answer(kept)

    def _hash(self, message: AuthenticateToken) -> bytes:
        """Return the keyed hash of a token. It says nothing of whether there is one."""
        if not message.digest:
            return self._records.hash(message.token)
        known = self._hashes.get(message.digest)
        if known is None:
            known = self._records.hash(message.token)
            self._hashes.put(message.digest, known)
        return known

    def _kept(self, digest: bytes) -> Kept | None:
        """Return what is kept of a token, unless it may hang on something that is gone."""
        kept = self._cache.get(digest)
        if kept is None:
            return None
        now, token = self._now(), kept.found.token
        if token.expired(now):
            raise AuthenticationFailed("service token expired")
        if (
            now >= kept.found.ends
            or not self._gone.isdisjoint(token.line)
            or (token.mount is not None and not self._context.store.has_mount(token.mount, token.moves))
        ):
            self._cache.changed(digest)
            return None
        return kept

    def _answer(self, kept: Kept) -> ServicePrincipal | asyncio.Task[ServicePrincipal]:
        """Return the bearer with what he may do now, in this turn where that is known."""
        token = kept.found.token
        if token.right is not Right.POLICY:
            return kept.principal
        if token.entity_id:
            resolved = self._ask_now(ResolveEntity(token.entity_id))
            if not isinstance(resolved, Resolved):
                resolved.add_done_callback(_retrieve)
                return self._context.spawn(self.resolved(kept.found))
            if resolved is not kept.resolved:
                kept.resolved, kept.names = resolved, _names(kept.found, resolved)
        acl = self._ask_now(_acl_of(kept.names, kept.resolved))
        if isinstance(acl, asyncio.Task):
            acl.add_done_callback(_retrieve)
            return self._context.spawn(self.resolved(kept.found))
        stamp = b"" if kept.resolved is None else kept.resolved.stamp
        if acl is not kept.principal.acl or stamp != kept.principal.entity[1]:
            kept.principal = self._principal(kept.found, acl, kept.resolved)
        return kept.principal

    def _token_loaded(self, event: TokenLoaded) -> None:
        if event.value is not None:
            self._note(event.value.found.token)
        self._cache.loaded(event)

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

    # In tasks.

    async def look(self, token: str) -> ServicePrincipal:
        """Return who bears a token, whoever asks; raises AuthenticationFailed for one that does not live."""
        return await self.described((await self._load(AuthenticateToken(token))).found)

    async def described(self, found: Found) -> ServicePrincipal:
        """Return who bears a token that was read, as others see him; who is disabled may do nothing."""
        try:
            return await self.resolved(found)
        except AuthenticationFailed:
            return self._principal(found, None, None)

    async def _loaded(self, load: Any, message: AuthenticateToken) -> ServicePrincipal:
        kept: Kept = await self._cache.wait(load)
        _check_address(kept.found, message.address)
        # One load is for all who wait for it; each of them uses the token.
        return await (self._use(message) if message.use and kept.found.token.num_uses else self.resolved(kept.found))

    async def _load(self, message: AuthenticateToken) -> Kept:
        place, now = self._records.place(message.token), self._now()
        month_ends = begin_of(month_of(now) + 1)  # it is loaded anew then, to be noted again

        if batch_token.tenant_of(message.token) is not None:
            said = self._said(message.token)
            look = partial(self._reader.living, place=place, token=said.record, now=now)
            found = await self._context.store.read(look)
            found = found._replace(ends=min(found.ends, month_ends), checks=said.checks)
            return Kept(found, self._context.vault_id, len(message.token))
        found = await self._context.store.read(partial(self._reader.by_place, place=place, now=now))
        if not message.proven or not found.token.indexed:
            await self._complete(found)
        return Kept(found._replace(ends=min(found.ends, month_ends)), self._context.vault_id)

    def _said(self, token: str) -> BatchToken:
        """Return what a batch token says; raises AuthenticationFailed for one that this vault has not signed."""
        context = self._context
        key = context.keyring.issuer(batch_token.LABEL)
        try:
            return batch_token.read(token, key, context.vault_id, context.service)
        except TokenRefused as refused:
            raise AuthenticationFailed(str(refused)) from None

    async def _complete(self, found: Found) -> None:
        """Write the records that an older program did not write, unless the token was revoked meanwhile."""

        async def body(tr: Transaction) -> None:
            token = await self._records.token(tr, found.place.hash)
            if token is not None:
                self._records.complete(tr, found.place, token)

        await self._context.store.change(body, mount=None, bearers=(), requests=())

    async def _use(self, message: AuthenticateToken) -> ServicePrincipal:
        """Count a use: the last one is good, and ends the token."""
        place, now = self._records.place(message.token), self._now()

        async def body(tr: Transaction) -> tuple[Found, int]:
            return await self._using.use(tr, place, now)

        found, left = await self._context.store.change(body, mount=None, bearers=(), requests=())
        counted = msgspec.structs.replace(found.token, num_uses=left or -1)  # as Vault shows the last
        return await self.resolved(found._replace(token=counted), spent=left <= 0)

    async def resolved(self, found: Found, *, spent: bool = False) -> ServicePrincipal:
        """Return the bearer of a token that was read, with what he may do now."""
        token, entity, acl = found.token, None, None
        if token.right is Right.POLICY:
            if token.entity_id:
                try:
                    entity = await self._context.ask(ResolveEntity(token.entity_id))
                except NotFound:
                    raise AuthenticationFailed("the entity of the service token is gone") from None
            acl = await self._context.ask(_acl_of(_names(found, entity), entity))
        return self._principal(found, acl, entity, spent=spent)

    def _principal(
        self, found: Found, acl: Acl | None, entity: Resolved | None, *, spent: bool = False
    ) -> ServicePrincipal:
        vault_id = self._context.vault_id
        if entity is None:
            return ServicePrincipal(found.token, vault_id, acl, spent=spent, checks=found.checks)
        given = (entity.entity_id, entity.stamp)
        return ServicePrincipal(
            found.token,
            vault_id,
            acl,
            identity_policies=entity.policies,
            entity=given,
            spent=spent,
            checks=found.checks,
        )

    def _now(self) -> float:
        return self._context.clock() / 1e9


def _names(found: Found, entity: Resolved | None) -> tuple[str, ...]:
    """Return the policies of a token and of its entity; raises AuthenticationFailed for one that is disabled."""
    if entity is None:
        return found.token.policies
    if entity.disabled:
        raise AuthenticationFailed("the entity of the service token is disabled")
    return tuple(dict.fromkeys((*found.token.policies, *entity.policies)))


def _acl_of(names: tuple[str, ...], entity: Resolved | None) -> ResolveAcl:
    return ResolveAcl(names, None if entity is None else entity.subject)


def _check_address(found: Found, address: str) -> None:
    blocks = found.token.bound_cidrs
    if blocks and not cidrs.contains(blocks, address):
        raise AuthenticationFailed("the service token is bound to other addresses")


def _retrieve(task: asyncio.Task[Any]) -> None:
    """Take note of an error that others hear of, too."""
    if not task.cancelled():
        task.exception()
