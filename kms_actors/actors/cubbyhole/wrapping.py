"""Wrapped answers in a tenant actor: kept under a wrapping token, given once.

A wrapping token is a service token of its own policy, with one use. An answer is given in the transaction that ends
its token: of all who ask for it, on whichever nodes, one gets it. What the others are answered does not tell whether
there ever was such a token; the log does (see `Taken`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from kms_actors.actors.cubbyhole.room import Room
from kms_actors.actors.tenant.context import Handler, TenantContext
from kms_actors.actors.tenant.cubbyholes import Cubbyholes
from kms_actors.actors.tenant.token_records import Place, TokenRecords
from kms_actors.actors.token.ending import Ending
from kms_actors.actors.token.issuing import NewToken, draw, issue
from kms_actors.actors.token.using import Using
from kms_actors.auth.service_token import RESPONSE_WRAPPING, ServiceToken
from kms_actors.cubbyhole.messages import (
    FindRoom,
    LookUpWrapping,
    OfWrapping,
    Rewrap,
    Unwrap,
    Unwrapped,
    WrapAnswer,
    Wrapped,
)
from kms_actors.cubbyhole.records import WrapInfo
from kms_actors.errors import InvalidRequest, InvalidWrappingToken
from kms_actors.messages import Message
from kms_actors.store.api import Reads, Transaction
from kms_actors.token.spec import TokenSpec

#: Bytes of an answer that can be wrapped: twice a secret of the largest size.
MOST_ANSWER: Final = 2 << 20

#: What a `WrappingController` handles.
WRAPPING_MESSAGES: Final[tuple[type[Message], ...]] = (FindRoom, WrapAnswer, LookUpWrapping, Unwrap, Rewrap)


class _Found(NamedTuple):
    """What a wrapping token gives."""

    info: WrapInfo
    answer: bytes


class WrappingController:
    """Keeps answers, and gives them."""

    def __init__(self, context: TenantContext) -> None:
        self._context = context
        self._tokens = TokenRecords(context.keys, context.keyring)
        self._ending = Ending(context, self._tokens)
        self._using = Using(context, self._tokens)
        self._cubbyholes = Cubbyholes(context.keys, context.keyring)
        self._room = Room(context, self._cubbyholes)

    def handlers(self) -> Mapping[type[Message], Handler]:
        return {
            FindRoom: lambda _: self._spawn(self._room.find()),
            WrapAnswer: lambda message: self._spawn(self._wrap(message)),
            LookUpWrapping: lambda message: self._spawn(self._look_up(message)),
            Unwrap: lambda message: self._spawn(self._unwrap(message)),
            Rewrap: lambda message: self._spawn(self._rewrap(message)),
        }

    def _spawn(self, work: Any) -> asyncio.Task[Any]:
        return self._context.spawn(work)

    async def _wrap(self, message: WrapAnswer) -> Wrapped:
        if len(message.answer) > MOST_ANSWER:
            raise InvalidRequest(f"an answer of more than {MOST_ANSWER} bytes cannot be wrapped")
        created = self._context.clock()
        info = WrapInfo(path=message.path, created=created, ttl=message.ttl, status=message.status)
        new = draw(self._context.keys.number)
        await self._context.store.change(lambda tr: self._keep(tr, new, info, message.answer), mount=None)
        return _wrapped(new, info)

    async def _look_up(self, message: LookUpWrapping) -> WrapInfo:
        place, now = self._tokens.place(message.token), self._now()

        async def look(tr: Reads) -> WrapInfo:
            token = await self._living(tr, place, now)
            info = await self._cubbyholes.info(tr, token.accessor)
            if info is None:
                raise InvalidWrappingToken
            return info

        return await self._context.store.read(look)

    async def _unwrap(self, message: Unwrap) -> Unwrapped:
        now = self._now()

        async def body(tr: Transaction) -> Unwrapped:
            found = await self._take(tr, message, now)
            return Unwrapped(found.info.status, found.answer)

        return await self._context.store.change(body, mount=None)

    async def _rewrap(self, message: Rewrap) -> Wrapped:
        new, created = draw(self._context.keys.number), self._context.clock()

        async def body(tr: Transaction) -> Wrapped:
            found = await self._take(tr, message, created / 1e9)
            before = found.info
            path, ttl = message.path or before.path, message.ttl or before.ttl
            if not message.path:
                ttl = min(ttl, before.ttl)
            info = WrapInfo(path=path, created=created, ttl=ttl, status=before.status)
            await self._keep(tr, new, info, found.answer)
            return _wrapped(new, info)

        return await self._context.store.change(body, mount=None)

    async def _keep(self, tr: Transaction, new: NewToken, info: WrapInfo, answer: bytes) -> None:
        spec = TokenSpec(
            policies=(RESPONSE_WRAPPING,),
            display_name="token",
            path=info.path,
            ttl=info.ttl,
            explicit_max_ttl=info.ttl,
            num_uses=1,
            renewable=False,
        )
        await issue(tr, self._context, spec, new, info.created / 1e9)
        self._cubbyholes.keep_answer(tr, new.accessor, info, answer)

    async def _take(self, tr: Transaction, message: OfWrapping, now: float) -> _Found:
        """Return what a token gives, and end it; the use of another one that asks for it is counted, too."""
        place = self._tokens.place(message.token)
        token = await self._living(tr, place, now)
        info, answer = await asyncio.gather(
            self._cubbyholes.info(tr, token.accessor), self._cubbyholes.answer(tr, token.accessor)
        )
        if info is None or answer is None:
            raise InvalidWrappingToken
        if message.counted:
            await self._using.use(tr, self._tokens.place(message.counted), now)
        await self._ending.end(tr, place, token)
        return _Found(info, answer)

    async def _living(self, tr: Reads, place: Place, now: float) -> ServiceToken:
        token = await self._tokens.token(tr, place.hash)
        if token is None or not token.wraps or token.expired(now):
            raise InvalidWrappingToken
        return token

    def _now(self) -> float:
        return self._context.clock() / 1e9


def _wrapped(new: NewToken, info: WrapInfo) -> Wrapped:
    return Wrapped(new.text, new.accessor, info.ttl, info.created, info.path)
