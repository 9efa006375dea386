"""Tokens of a tenant: who bears them, and how they are made, renewed and ended.

Records: see `tenant.token_records`; (`revoked`, revocation id), see `revocations`. (`revocations`,) counts all
revocations: changes look at it (see `tenant.store`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

import msgspec

from kms_actors.actors.cluster.changes import TENANT
from kms_actors.actors.tenant.context import (
    Handler,
    TenantContext,
)
from kms_actors.actors.tenant.listing import PAGE, Names, count_names, list_names
from kms_actors.actors.tenant.revocations import end_of, record_of
from kms_actors.actors.tenant.token_records import ACCESSOR, TokenRecords
from kms_actors.actors.token.bearers import AskNow, Bearers, Note, TokenChanged, TokenLoaded, unnoted
from kms_actors.actors.token.creating import Creating
from kms_actors.actors.token.ending import Ending
from kms_actors.actors.token.leases import Leases
from kms_actors.actors.token.reading import Found, TokenReader
from kms_actors.actors.token.renewing import Renewing
from kms_actors.actors.token.roles import TokenRoles
from kms_actors.actors.token.sweeping import EndTokens, Sweeping
from kms_actors.actors.token.tidying import Tidying
from kms_actors.auth import batch_token
from kms_actors.auth.service_token import ServicePrincipal
from kms_actors.errors import AuthenticationFailed
from kms_actors.messages import (
    AuthenticateToken,
    Event,
    Message,
    RevokeToken,
    WithdrawToken,
)
from kms_actors.runtime.coalesced import Coalesced
from kms_actors.store.api import Priority, Reads, Transaction
from kms_actors.store.pages import behind
from kms_actors.token.messages import (
    CountTokens,
    CreateToken,
    DeleteRole,
    EndToken,
    ListAccessors,
    ListLeases,
    ListRoles,
    LookUpLease,
    LookUpToken,
    ReadRole,
    RenewToken,
    RevokeBiscuit,
    RevokeLeases,
    TidyTokens,
    WriteRole,
)

_SECOND: Final = 1e9
#: Transactions in which a request ends leases, before the sweep goes on.
STEPS_OF_A_REQUEST: Final = 10


class BiscuitRevoked(Event, frozen=True):
    """A biscuit is revoked in the store: its revocation id, and its end."""

    revocation_id: str
    ends: int


#: What a `TokenController` handles.
TOKEN_MESSAGES: Final = (
    AuthenticateToken,
    RevokeToken,
    RevokeBiscuit,
    WithdrawToken,
    CreateToken,
    LookUpToken,
    CountTokens,
    ListAccessors,
    LookUpLease,
    ListLeases,
    RevokeLeases,
    RenewToken,
    EndToken,
    WriteRole,
    ReadRole,
    DeleteRole,
    ListRoles,
    TidyTokens,
    EndTokens,
    TokenLoaded,
    TokenChanged,
    BiscuitRevoked,
)


class TokenController:
    """Of one unsealed tenant. `ask_now` asks its actor in the turn under way; `note` is told of tokens in use."""

    def __init__(
        self,
        context: TenantContext,
        publish_revoked: Callable[[str, int], None],
        ask_now: AskNow,
        note: Note = unnoted,
    ) -> None:
        self._context = context
        self._publish_revoked = publish_revoked
        self._records = TokenRecords(context.keys, context.keyring)
        self._reader = TokenReader(context.keys, self._records)
        self._ending = Ending(context, self._records)
        self._leases = Leases(context, self._records, self._reader, self._ending)
        self._sweeping = Sweeping(context, self._records, self._ending, self._leases)
        self._children = Coalesced(self._sweeping.children, context.spawn_apart)
        self._tidying = Tidying(context, self._records, self._sweeping)
        self._roles = TokenRoles(context, self._records)
        self._bearers = Bearers(context, self._records, ask_now, note)
        self._creating = Creating(context, self._records, self._roles)
        self._renewing = Renewing(context, self._records, self._reader, self._roles)

    def handlers(self) -> Mapping[type[Message], Handler]:
        spawn = self._context.spawn
        return {
            **self._bearers.handlers(),
            CreateToken: lambda message: spawn(self._creating.create(message)),
            LookUpToken: lambda message: spawn(self._look_up(message)),
            ListAccessors: lambda message: spawn(self._list(message)),
            CountTokens: lambda _: spawn(self._count()),
            RenewToken: lambda message: spawn(self._renewing.renew(message)),
            EndToken: lambda message: spawn(self._end(message)),
            RevokeToken: lambda message: spawn(self._revoke(message)),
            RevokeBiscuit: lambda message: spawn(self._revoke_biscuit(message)),
            WithdrawToken: lambda message: spawn(self._end(EndToken(message.token), own=True)),
            WriteRole: lambda message: spawn(self._roles.write(message)),
            ReadRole: lambda message: spawn(self._roles.read(message)),
            DeleteRole: lambda message: spawn(self._roles.delete(message)),
            ListRoles: lambda message: spawn(self._roles.names(message)),
            LookUpLease: lambda message: spawn(self._leases.look_up(message)),
            ListLeases: lambda message: spawn(self._leases.list(message)),
            RevokeLeases: lambda message: spawn(self._revoke_leases(message)),
            TidyTokens: lambda _: self._tidying.begin(),
            EndTokens: lambda _: spawn(self._sweeping.run()),
            BiscuitRevoked: lambda event: self._publish_revoked(event.revocation_id, event.ends),
        }

    # Looking.

    async def _look_up(self, message: LookUpToken) -> ServicePrincipal | None:
        if batch_token.tenant_of(message.token) is not None:
            try:
                return await self._bearers.look(message.token)
            except AuthenticationFailed:
                return None
        now = self._now()

        async def look(tr: Reads) -> Found | None:
            found = await self._reader.named(tr, message, now)
            if found is None or not found.token.num_uses:
                return found
            left = await self._records.uses(tr, found.place)
            return found._replace(token=msgspec.structs.replace(found.token, num_uses=left))

        found = await self._context.store.read(look)
        return None if found is None else await self._bearers.described(found)

    async def _list(self, message: ListAccessors) -> list[str]:
        context = self._context
        rest = partial(context.turns.turn, context.vault_id)
        return await list_names(self._names, message.after, message.limit, context.long_reads, rest)

    async def _count(self) -> int:
        context = self._context
        rest = partial(context.turns.turn, context.vault_id)
        return await count_names(self._names, context.long_reads, rest)

    async def _names(self, last: str, limit: int, long: bool) -> Names:
        """Return a page of accessors behind the last one; see `ReadNames`."""
        context, now = self._context, self._now()
        begin, end = context.keys.span(ACCESSOR)

        async def page(tr: Reads, place: bytes, limit: int) -> tuple[list[str], bytes | None]:
            entries = await tr.get_range(place, end, limit=limit)
            names = [accessor for accessor, ends in self._records.ends(entries) if ends is None or now < ends]
            return names, behind(entries[-1][0]) if len(entries) == limit else None

        place = behind(context.keys.key(ACCESSOR, last)) if last else begin
        how = Priority.BATCH if long else Priority.REQUEST
        while True:
            names, further = await context.store.read(
                partial(page, place=place, limit=min(limit or PAGE, PAGE)), priority=how
            )
            if names or further is None:
                return Names(names, further is not None)
            place = further  # all of a page have ended

    # Revoking.

    async def _revoke(self, message: RevokeToken) -> None:
        ids = message.principal.revocation_ids
        if ids:
            await self._revoke_biscuit(RevokeBiscuit(ids[-1], message.principal.expires_at), own=True)
        else:
            await self._end(EndToken(message.token), own=True)

    async def _end(self, message: EndToken, *, own: bool = False) -> bool:
        """End a token. The end of the very one that allows it rests on none, and may be said twice."""

        async def body(tr: Transaction) -> tuple[str, bool]:
            found = await self._records.named(tr, message.token, message.accessor)
            if found is None:
                return "", False
            place, token = found
            if message.leave:
                await self._ending.leave(tr, place, token)
                return f"{place.hash.hex()}/", False
            return f"{place.hash.hex()}/{token.accessor}", await self._ending.end(tr, place, token)

        bearers = () if own else None
        name, had_children = await self._context.store.change(body, mount=None, bearers=bearers, of_grounds=True)
        if name:
            await self._context.ask(TokenChanged(name))
        if had_children:
            self._children.run()
        return bool(name)

    async def _revoke_leases(self, message: RevokeLeases) -> None:
        """End leases; where they are more than a request is long for, the sweep goes on."""
        more = await self._leases.revoke(message)
        if more and message.prefix:
            await self._sweeping.leases(STEPS_OF_A_REQUEST, message.prefix)
        # Which tokens these were only the log tells: all that is kept here may be other than it was.
        await self._context.ask(TokenChanged("00/"))
        if more:
            self._children.run()

    async def _revoke_biscuit(self, message: RevokeBiscuit, *, own: bool = False) -> None:
        """Revoke by the last block's id: with it ends what was narrowed from this token, not its parents."""
        context, revocation_id, ends = self._context, message.revocation_id, end_of(message.expires_at)

        async def body(tr: Transaction) -> None:
            tr.add(context.keys.key("revocations"), 1)
            tr.set(context.keys.key("revoked", revocation_id), record_of(ends))
            context.record(tr, TENANT, revocation_id, ends)

        await context.store.change(body, mount=None, bearers=() if own else None, of_grounds=True)
        await context.ask(BiscuitRevoked(revocation_id, ends))

    def _now(self) -> float:
        return self._context.clock() / _SECOND
