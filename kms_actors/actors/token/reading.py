"""A service token as one snapshot has it, with what it hangs on: its parents, and the mount that gave it."""

from __future__ import annotations

from math import inf
from typing import NamedTuple

from kms_actors.actors.tenant.token_records import Place, TokenRecords
from kms_actors.auth.service_token import ServiceToken
from kms_actors.errors import AuthenticationFailed
from kms_actors.store.api import Reads
from kms_actors.store.keyspace import TenantKeys


class Found(NamedTuple):
    """A token that lives; `ends` is when it or the first of its parents does, in seconds since 1970."""

    place: Place
    token: ServiceToken
    ends: float


class TokenReader:
    """Reads the tokens of one vault."""

    def __init__(self, keys: TenantKeys, records: TokenRecords) -> None:
        self._keys = keys
        self._records = records

    async def by_place(self, tr: Reads, place: Place, now: float) -> Found:
        """Return a token that lives; raises AuthenticationFailed, with the reason for the log."""
        token = await self._records.token(tr, place.hash)
        if token is None:
            raise AuthenticationFailed("unknown service token")
        return await self._living(tr, place, token, now)

    async def by_accessor(self, tr: Reads, accessor: str, now: float) -> Found | None:
        """Return the token that an accessor names; None if there is none that lives."""
        (found,) = await self._records.accessors(tr, accessor)
        if found is None:
            return None
        try:
            return await self.by_place(tr, Place(found.hash, found.proof), now)
        except AuthenticationFailed:
            return None

    async def _living(self, tr: Reads, place: Place, token: ServiceToken, now: float) -> Found:
        ends = inf if token.expires_at is None else token.expires_at
        if now >= ends:
            raise AuthenticationFailed("service token expired")
        if token.mount is not None and await tr.get(self._keys.key("mount", token.mount)) is None:
            raise AuthenticationFailed("the mount that gave the service token is gone")
        for parent in await self._records.accessors(tr, *token.line) if token.line else ():
            if parent is None:
                raise AuthenticationFailed("a parent of the service token is gone")
            if parent.expires_at is not None:
                ends = min(ends, parent.expires_at)
        if now >= ends:
            raise AuthenticationFailed("a parent of the service token has expired")
        return Found(place, token, ends)
