"""Leases: the tokens of a vault that end, by the path of the request that made them.

(`lease`, lease id)                      empty, see `tenant.token_records`
(`lease-revoking`, prefix, mount)        empty: those whose ids begin so are to end, of the mount of this number; of
                                         any, -1

What is many is ended a page a transaction, first by who asks and then by the sweep, so it may take a while: whoever
comes meanwhile gets a token that may end with the others.
"""

from __future__ import annotations

import re
from functools import partial
from typing import Final, NamedTuple

from kms_actors.actors.cluster.schedule import LEASE_REVOKING, look_now
from kms_actors.actors.tenant.context import TenantContext
from kms_actors.actors.tenant.listing import PAGE, Names, list_names
from kms_actors.actors.tenant.token_records import LEASE, Place, TokenRecords, lease_id
from kms_actors.actors.token.ending import Ending
from kms_actors.actors.token.reading import Found, TokenReader
from kms_actors.auth.service_token import ServiceToken
from kms_actors.store.api import Reads, Transaction
from kms_actors.store.keyspace import after
from kms_actors.store.pages import behind
from kms_actors.token.messages import ListLeases, LookUpLease, RevokeLeases

ANY_MOUNT: Final = -1
#: Leases that are ended in one transaction.
ENDED_TOGETHER: Final = 100

_ID: Final = re.compile(r".+/h([0-9a-f]{64})", re.ASCII | re.DOTALL)
_SECOND: Final = 1e9


class Step(NamedTuple):
    """What a step has done: how many it ended, whether there may be more to do, and where among the same."""

    ended: int
    more: bool
    place: bytes | None = None


class Leases:
    """Those of one vault."""

    def __init__(self, context: TenantContext, records: TokenRecords, reader: TokenReader, ending: Ending) -> None:
        self._context = context
        self._keys = context.keys
        self._records = records
        self._reader = reader
        self._ending = ending

    async def look_up(self, message: LookUpLease) -> ServiceToken | None:
        """Return the token of a lease; None if there is none that lives."""

        async def look(tr: Reads) -> Found | None:
            found = await self._named(tr, message.lease_id)
            if found is None:
                return None
            return await self._reader.living_or_none(tr, *found, self._context.clock() / _SECOND)

        found = await self._context.store.read(look)
        return None if found is None else found.token

    async def list(self, message: ListLeases) -> list[str]:
        """Return the names right below a folder, which ends in a slash or is empty; folders with their slash."""
        context = self._context

        async def read(last: str, limit: int, _: bool) -> Names:
            return await context.store.read(partial(self._page, folder=message.folder, last=last, limit=limit))

        rest = partial(context.turns.turn, context.vault_id)
        return await list_names(read, message.after, message.limit, context.long_reads, rest)

    async def revoke(self, message: RevokeLeases) -> bool:
        """End one lease, or have all end below a prefix; return whether there is more to do."""

        async def body(tr: Transaction) -> bool:
            found = await self._named(tr, message.lease_id or message.prefix)
            if found is not None:
                return await self._ending.end(tr, *found)
            if message.prefix:
                tr.set(self._keys.key(LEASE_REVOKING, _slashed(message.prefix), ANY_MOUNT), b"")
                await look_now(tr, self._keys)
            return bool(message.prefix)

        return await self._context.store.change(body, mount=None, of_grounds=True)

    async def step(self, tr: Transaction, place: bytes | None, prefix: str = "") -> Step:
        """End some of what is to end, from `place` on among those that the step before has begun with.

        With a `prefix`, what is below that alone: who asks for it does not wait for what others have asked for.
        """
        key = self._keys.key(LEASE_REVOKING, _slashed(prefix), ANY_MOUNT)
        span = (key, behind(key)) if prefix else self._keys.span(LEASE_REVOKING)
        found = await tr.get_keys(*span, limit=1)
        if not found:
            return Step(0, False)
        _, beginning, mount = self._keys.parts(found[0])
        begin, end = self._below(beginning)
        entries = await tr.get_keys(begin if place is None else max(place, begin), end, limit=ENDED_TOGETHER)
        count = 0
        for key in entries:
            named = await self._named(tr, self._keys.parts(key)[1])
            if named is None:
                tr.clear(key)
            elif mount == ANY_MOUNT:
                await self._ending.end(tr, *named)
                count += 1
            elif named[1].mount == mount and not await self._records.given(tr, mount, named[1].moves):
                await self._ending.remove(tr, *named)  # its mount is gone, or was moved: it is dead already
                count += 1
        if len(entries) == ENDED_TOGETHER:
            return Step(count, True, behind(entries[-1]))
        tr.clear(found[0])
        return Step(count, True)

    async def _named(self, tr: Reads, id_: str) -> tuple[Place, ServiceToken] | None:
        """Return the token of a lease, whether it lives or not."""
        match = _ID.fullmatch(id_)
        found = None if match is None else await self._records.hashed(tr, bytes.fromhex(match[1]))
        return found if found is not None and lease_id(*found) == id_ else None

    async def _page(self, tr: Reads, folder: str, last: str, limit: int) -> Names:
        """Return a page of names: one read each, however many leases a folder has."""
        begin, end = self._below(folder)
        if last:
            begin = self._behind(folder, last)
        names: list[str] = []
        while len(names) < min(limit or PAGE, PAGE):
            found = await tr.get_keys(begin, end, limit=1)
            if not found:
                return Names(names, False)
            head, slash, _ = self._keys.parts(found[0])[1][len(folder) :].partition("/")
            names.append(head + slash)
            begin = self._behind(folder, names[-1])
        return Names(names, True)

    def _below(self, prefix: str) -> tuple[bytes, bytes]:
        begin = self._keys.key(LEASE, prefix)[:-1]  # without what ends a text
        return begin, after(begin)

    def _behind(self, folder: str, name: str) -> bytes:
        """Return where names begin behind one: behind all that is in it, if it is a folder."""
        key = self._keys.key(LEASE, folder + name)
        return after(key[:-1]) if name.endswith("/") else behind(key)


def _slashed(prefix: str) -> str:
    """Return a prefix with a slash at its end: what is below `auth/a` is not below `auth/ab`."""
    return prefix.rstrip("/") + "/"
