"""Where a vault's clients are kept.

(`client`, month, keyed hash)  SeenClient, sealed: a client of a month
(`clients`, month)             Month: how many of these there are, in the open
(`clients-config`,)            ActivityConfig, sealed
(`clients-due`,)               when months are to be removed, see `cluster.schedule`

A client is written once a month, in a transaction that finds it is not there yet and counts it: so what months say
is exact, however many nodes have seen it.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, TypeVar

import msgspec

from kms_actors.activity.clients import Client
from kms_actors.activity.months import begin_of
from kms_actors.activity.records import MOST_CLIENTS, ActivityConfig, Month, SeenClient
from kms_actors.actors.cluster.schedule import CLIENTS, encode_time, look_by
from kms_actors.keyring import stored
from kms_actors.keyring.keyring import Keyring
from kms_actors.store.api import Reads, Transaction
from kms_actors.store.keyspace import TenantKeys
from kms_actors.store.pages import behind

S = TypeVar("S", bound=msgspec.Struct)

CLIENT: Final = "client"
MONTH: Final = "clients"
CONFIG: Final = "clients-config"

#: Clients that are removed in one transaction.
PAGE: Final = 500

_LABEL: Final = b"client"
_HASH_BYTES: Final = 16
_SECOND: Final = 10**9


class Noted(NamedTuple):
    """A client, and when it was first seen in a month here, in seconds since 1970."""

    client: Client
    seen: int


async def months_kept(tr: Reads, keys: TenantKeys) -> dict[int, Month]:
    """Return what is counted of each month, in order. It takes no keyring."""
    entries = await tr.get_range(*keys.span(MONTH))
    return {keys.parts(key)[1]: stored.decode(raw, Month, "month of clients") for key, raw in entries}


class ClientRecords:
    """The clients of one vault."""

    def __init__(self, keys: TenantKeys, keyring: Keyring) -> None:
        self._keys = keys
        self._keyring = keyring
        self._hash_key = keyring.derive(_LABEL)

    async def config(self, tr: Reads) -> ActivityConfig:
        """Return what is said of counting."""
        key = self._keys.key(CONFIG)
        raw = await tr.get(key)
        return ActivityConfig() if raw is None else self._opened(key, raw, ActivityConfig)

    async def months(self, tr: Reads) -> dict[int, Month]:
        """Return what is counted of each month that is kept, in order."""
        return await months_kept(tr, self._keys)

    async def add(self, tr: Transaction, month: int, clients: Sequence[Noted], now: int) -> bool:
        """Count those of a month that are new to it; `now`, in nanoseconds, is of a clock that is trusted.

        Return False where that has to wait: clients are there that are not counted, and are to be removed first.
        """
        config, kept = await self.config(tr), await self.months(tr)
        if not config.counts:
            return True
        if month not in kept and await self.has_clients(tr, month):
            # Now, whatever the clock said by which counting was disabled.
            tr.set(self._keys.key(CLIENTS), encode_time(now))
            await look_by(tr, self._keys, now, now)
            return False
        before = [number for number in reversed(kept) if number < month]
        places = [self._place(number, each.client.id) for each in clients for number in (month, *before)]
        found = iter(await tr.get_many(places))
        here = kept.get(month, Month())
        room = MOST_CLIENTS - here.clients
        new: list[tuple[int, int, bool]] = []
        for each in clients:
            present, *earlier = (next(found) is not None for _ in range(len(before) + 1))
            if present:
                continue
            if len(new) >= room:
                here = Month(here.parts, full=True)
                break
            last = next((number for number, there in zip(before, earlier, strict=True) if there), 0)
            self._keep(tr, month, each, last)
            new.append((last, each.client.mount, each.client.entity))
        if new or here != kept.get(month):
            tr.set(self._keys.key(MONTH, month), stored.encode(here.plus(new)))
        if new and month not in kept:
            await self.schedule(tr, config, [*kept, month], now)
        return True

    def drop_month(self, tr: Transaction, month: int) -> None:
        """Remove what is counted of a month; its clients are removed later."""
        tr.clear(self._keys.key(MONTH, month))

    def put_config(self, tr: Transaction, config: ActivityConfig) -> None:
        """Write what is said of counting."""
        key = self._keys.key(CONFIG)
        tr.set(key, self._keyring.seal(key, stored.encode(config)))

    async def schedule(self, tr: Transaction, config: ActivityConfig, months: Sequence[int], now: int) -> None:
        """Have the first of these months removed when its time is over."""
        due = begin_of(min(months) + config.retention_months + 1) * _SECOND
        tr.set(self._keys.key(CLIENTS), encode_time(due))
        await look_by(tr, self._keys, due, now)

    async def has_clients(self, tr: Reads, month: int) -> bool:
        """Tell whether there are records of clients of a month."""
        return bool(await tr.get_keys(*self._keys.span(CLIENT, month), limit=1))

    async def drop_some(self, tr: Transaction, kept: Mapping[int, Month]) -> bool:
        """Remove a page of clients of one of the months that are not counted; False if there are none."""
        begin, end = self._keys.span(CLIENT)
        while first := await tr.get_keys(begin, end, limit=1):
            month = self._keys.parts(first[0])[1]
            begin, behind_month = self._keys.span(CLIENT, month)
            if month not in kept:
                page = await tr.get_keys(begin, behind_month, limit=PAGE)
                tr.clear_range(page[0], behind(page[-1]))
                return True
            begin = behind_month
        return False

    async def page(self, tr: Reads, month: int, begin: bytes, limit: int) -> tuple[list[SeenClient], bytes | None]:
        """Return clients of a month from a place on (empty: the first), and where the next page begins."""
        first, end = self._keys.span(CLIENT, month)
        entries = await tr.get_range(begin or first, end, limit=limit)
        clients = [self._opened(key, raw, SeenClient) for key, raw in entries]
        return clients, behind(entries[-1][0]) if len(entries) == limit else None

    def _keep(self, tr: Transaction, month: int, noted: Noted, before: int) -> None:
        client, place = noted.client, self._place(month, noted.client.id)
        record = SeenClient(client.id, client.entity, client.mount, noted.seen, before)
        tr.set(place, self._keyring.seal(place, stored.encode(record)))

    def _place(self, month: int, client: str) -> bytes:
        """Return where a client lies: the store alone does not tell who it is."""
        digest = hmac.new(self._hash_key, client.encode(errors="surrogatepass"), hashlib.sha256).digest()
        return self._keys.key(CLIENT, month, digest[:_HASH_BYTES])

    def _opened(self, key: bytes, raw: bytes, kind: type[S]) -> S:
        return stored.decode(self._keyring.open(key, raw), kind, kind.__name__)
