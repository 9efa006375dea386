"""Keys and documents of issuers, fetched when they are needed, and kept for a while.

Fetched by one request however many logins wait for it, and not within any login's own time. What is kept is asked for
again after some minutes, so that a key which its issuer takes back counts for no longer; and, where a token is signed
by a key that is not there, at once, but only so often, since anybody can send such tokens. While an issuer does not
answer, what was known of it holds on, for an hour.
"""

from __future__ import annotations

from collections.abc import Awaitable
from functools import partial
from typing import Final

import msgspec

from kms_actors.actors.tenant.context import Handler, TenantContext
from kms_actors.actors.tenant.loading import LoadEnded, LoadingCache
from kms_actors.cache import ByteCache
from kms_actors.errors import InvalidRequest
from kms_actors.fetch import FetchFailed
from kms_actors.login.jwt_issuer import Issuer, document_url, read_issuer
from kms_actors.login.jwt_keys import TokenKey, read_set
from kms_actors.messages import Message, Query
from kms_actors.request_context import computed

#: Seconds: until it is asked for again; at least, between two requests; and until what is kept counts no more.
KEEP: Final = 300.0
AGAIN: Final = 10.0
STALE: Final = 3600.0

#: Bytes of what a vault keeps, and of one entry: a key, and all else.
_CACHE_BYTES: Final = 1 << 20
_KEY_BYTES: Final = 3_000
_ENTRY_BYTES: Final = 4_000


class Source(msgspec.Struct, frozen=True):
    """A key set at a URL, or, `is_issuer`, an issuer's document below it; whose certificates are trusted."""

    url: str
    ca_pem: str
    is_issuer: bool = False


class Fetched(msgspec.Struct, frozen=True):
    """What a source said; `at` when, and `asked` when it was last asked for, in seconds since 1970.

    Or that it said nothing, and why: `problem`.
    """

    at: float
    asked: float
    keys: tuple[TokenKey, ...] = ()
    issuer: Issuer | None = None
    problem: str = ""

    def __repr__(self) -> str:
        return "<Fetched>"


class Want(Query, frozen=True):
    """What a source says, from a while ago at most. Answer: Fetched.

    `tried`: what it said was not enough; answered with something newer, if that may be asked for.
    """

    source: Source
    tried: Fetched | None = None


class SourceFetched(LoadEnded, frozen=True):
    """A source has answered, or not."""


#: What an `IssuerController` handles.
ISSUER_MESSAGES: Final = (Want, SourceFetched)


class IssuerController:
    """All that a vault knows of issuers."""

    def __init__(self, context: TenantContext) -> None:
        self._context = context
        kept: ByteCache[Source, Fetched] = ByteCache(_CACHE_BYTES, _size, most=64, account=context.account)
        self._cache = LoadingCache(kept, context, SourceFetched)

    def handlers(self) -> dict[type[Message], Handler]:
        return {Want: self._want, SourceFetched: self._cache.loaded}

    def _want(self, message: Want) -> Fetched | Awaitable[Fetched]:
        kept, now = self._cache.get(message.source), self._now()
        if kept is not None and _holds(kept, now, tried=message.tried is kept):
            return kept
        load = self._cache.load(message.source, partial(self._fetch_or_keep, message.source, kept))
        return self._context.spawn(self._cache.wait(load))

    async def _fetch_or_keep(self, source: Source, kept: Fetched | None) -> Fetched:
        try:
            return await fetch(self._context, source)
        except FetchFailed as failed:
            now = self._now()
            if kept is None or kept.problem or not 0 <= now - kept.at < STALE:
                return Fetched(now, now, problem=str(failed))
            return msgspec.structs.replace(kept, asked=now)

    def _now(self) -> float:
        return self._context.clock() / 1e9


class IssuerClient:
    """Asks for what is known of issuers, from within tasks."""

    def __init__(self, context: TenantContext) -> None:
        self._context = context

    async def keys(self, source: Source, tried: Fetched | None = None) -> Fetched:
        """Return the keys of a source. Raises FetchFailed."""
        if source.is_issuer:
            source = Source((await self.issuer(source)).jwks_uri, source.ca_pem)
        return await self._ask(Want(source, tried))

    async def issuer(self, source: Source) -> Issuer:
        """Return an issuer. Raises FetchFailed."""
        issuer = (await self._ask(Want(source))).issuer
        assert issuer is not None
        return issuer

    async def check(self, source: Source) -> None:
        """Fetch all that a source leads to, whatever is kept; raises FetchFailed."""
        fetched = await computed(fetch(self._context, source))
        if fetched.issuer is not None:
            await computed(fetch(self._context, Source(fetched.issuer.jwks_uri, source.ca_pem)))

    async def _ask(self, message: Want) -> Fetched:
        fetched: Fetched = await computed(self._context.ask(message))
        if fetched.problem:
            raise FetchFailed(fetched.problem)
        return fetched


async def fetch(context: TenantContext, source: Source) -> Fetched:
    """Return what a source says now; raises FetchFailed."""
    url = document_url(source.url) if source.is_issuer else source.url
    answer = await context.fetch.get(url, source.ca_pem)
    if answer.status != 200:
        raise FetchFailed(f"it answers with status {answer.status}")
    now = context.clock() / 1e9
    try:
        if source.is_issuer:
            return Fetched(now, now, issuer=read_issuer(answer.body, source.url))
        return Fetched(now, now, keys=read_set(answer.body))
    except InvalidRequest as wrong:
        raise FetchFailed(str(wrong)) from None


def _holds(kept: Fetched, now: float, *, tried: bool) -> bool:
    """Tell whether what is kept is good enough; a clock that was set back makes it not so."""
    if 0 <= now - kept.asked < AGAIN and 0 <= now - kept.at < STALE:
        return True
    return not tried and not kept.problem and 0 <= now - kept.at < KEEP


def _size(_: Source, fetched: Fetched) -> int:
    return _ENTRY_BYTES + _KEY_BYTES * len(fetched.keys)
