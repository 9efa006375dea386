"""A service token as one snapshot has it, with what it hangs on: its parents, and the mount that gave it."""

from __future__ import annotations

from math import inf
from typing import NamedTuple

import msgspec

from kms_actors.actors.tenant.token_records import Place, TokenRecords, lease_id
from kms_actors.auth.service_token import Checks, ServiceToken
from kms_actors.errors import AuthenticationFailed
from kms_actors.store.api import Reads
from kms_actors.store.keyspace import TenantKeys
from kms_actors.token.messages import OfToken


class Found(NamedTuple):
    """A token that lives; `ends` is when it or the first of its parents does, in seconds since 1970.

    A batch token has `checks`, and no records at its place.
    """

    place: Place
    token: ServiceToken
    ends: float
    checks: Checks | None = None

    @property
    def lease_id(self) -> str:
        """What leases call it."""
        return lease_id(self.place, self.token)


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
        return await self.living(tr, place, token, now)

    async def by_accessor(self, tr: Reads, accessor: str, now: float) -> Found | None:
        """Return the token that an accessor names; None if there is none that lives."""
        found = await self._records.accessor(tr, accessor)
        if found is None:
            return None
        try:
            return await self.by_place(tr, Place(found.hash, found.proof), now)
        except AuthenticationFailed:
            return None

    async def named(self, tr: Reads, name: OfToken, now: float) -> Found | None:
        """Return the token that a text or an accessor names; None if there is none that lives."""
        if not name.token:
            return await self.by_accessor(tr, name.accessor, now)
        try:
            return await self.by_place(tr, self._records.place(name.token), now)
        except AuthenticationFailed:
            return None

    async def living_or_none(self, tr: Reads, place: Place, token: ServiceToken, now: float) -> Found | None:
        """Return a token with what it hangs on; None if it does not live."""
        try:
            return await self.living(tr, place, token, now)
        except AuthenticationFailed:
            return None

    async def living(self, tr: Reads, place: Place, token: ServiceToken, now: float) -> Found:
        """Return a token with what it hangs on; raises AuthenticationFailed if that is gone, or its time is over."""
        ends = inf if token.expires_at is None else token.expires_at
        if now >= ends:
            raise AuthenticationFailed("service token expired")
        if token.mount is not None and not await self._records.given(tr, token.mount, token.moves):
            raise AuthenticationFailed("the mount that gave the service token is gone, or was moved")
        if token.line:
            parents = await self._records.parents(tr, token.line)
            if parents is None:
                raise AuthenticationFailed("a parent of the service token is gone")
            ends = min([ends, *(each.expires_at for each in parents if each.expires_at is not None)])
            if now >= ends:
                raise AuthenticationFailed("a parent of the service token has expired")
            if not parents:
                token = msgspec.structs.replace(token, orphan=True)
        return Found(place, token, ends)
