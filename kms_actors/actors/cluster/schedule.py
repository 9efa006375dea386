"""When somebody is to look at a tenant: an index in the order of time, with one entry a tenant.

(root, `due`, time, tenant)       a tenant with work at `time`
(root, `due-claim`)               Claim: which process does the work now
(tenant, `due`)                   the time of the tenant's entry

What there is to do in a tenant:

(tenant, `due`, mount, name)      when a Transit key is to get its next version
(tenant, `token-end`, second, …)  a token that ends, in seconds since 1970
(tenant, `token-revoking`, …)     a token that is gone, of whose children there are records
(tenant, `lease-revoking`, …)     leases that are to end, by the beginning of their names
(tenant, `secret-id-end`, second, …)  a secret id of a role that ends, likewise
(tenant, `unmounting`, mount)     a mount that is gone, of which there are records
(tenant, `keyring-due`)           when the keyring is to get its next version
(tenant, `clients-due`)           when what is counted of clients in a month is to be removed

Times are nanoseconds since 1970. The entry of a tenant is never later than the first of its work, nor than `AHEAD`
from when it was written, so that what a clock in the future has left is looked at again; it may be too early, which
costs a look. Behind the time of keys that could not be rotated it is that of the next try. Only unsealed tenants have
one: sealing takes it away, and unsealing makes one for that very moment, if the tenant has any work.
"""

from __future__ import annotations

import asyncio
from functools import lru_cache
from typing import Final, NamedTuple

import msgspec

from kms_actors.actors.cluster.timekeeping import BOUND
from kms_actors.errors import FormatError
from kms_actors.keyring import stored
from kms_actors.store import keyspace
from kms_actors.store.api import Entry, Reads, Transaction
from kms_actors.store.keyspace import DUE, TenantKeys
from kms_actors.store.pages import behind

CLAIM: Final = keyspace.pack("due-claim")
#: Nanoseconds after which a tenant that is in the schedule is looked at in any case.
AHEAD: Final = 30 * 86_400 * 10**9
#: Nanoseconds that records of a token are kept behind its end: clocks are not all the same, and it is dead anyway.
KEPT: Final = BOUND
#: Nanoseconds between two looks at a tenant for the ends of its tokens, at least.
SPARE: Final = 600 * 10**9
#: Nanoseconds after which it is looked whether anybody still removes what a mount has left.
UNMOUNTING_SPARE: Final = 5 * 10**9

END: Final = "token-end"
REVOKING: Final = "token-revoking"
LEASE_REVOKING: Final = "lease-revoking"
SECRET_ID_END: Final = "secret-id-end"  # noqa: S105  # a name

UNMOUNTING: Final = "unmounting"
KEYRING: Final = "keyring-due"
CLIENTS: Final = "clients-due"

#: What ends at the second that follows in keys; and what is to be done at once.
_ENDS: Final = (END, SECRET_ID_END)

_OF_TOKENS: Final = (*_ENDS, REVOKING, LEASE_REVOKING)


class Claim(msgspec.Struct, frozen=True):
    """The process `owner` works through the index until `until`; others leave it alone as long."""

    owner: str
    until: int  # nanoseconds since 1970
    format: int = stored.FORMAT


class Due(NamedTuple):
    """One entry of the index."""

    time: int
    tenant: int


def encode_time(time: int) -> bytes:
    """Return a time as the store has it."""
    return time.to_bytes(8, "little")


def decode_time(raw: bytes) -> int:
    """Return a time that the store has."""
    return int.from_bytes(raw, "little")


@lru_cache(maxsize=1024)
def entry_key(keys: TenantKeys) -> bytes:
    """Return the place of what `look_by` reads, for who reads something else with it."""
    return keys.key("due")


async def look_by(tr: Transaction, keys: TenantKeys, time: int, now: int) -> None:
    """Make sure that the tenant is looked at by `time`."""
    time, before = min(time, now + AHEAD), await entry_of(tr, keys)
    if before is None or time < before:
        _move(tr, keys, before, time)


async def look_now(tr: Transaction, keys: TenantKeys) -> None:
    """Have a tenant looked at next of all: by no clock, for one that is ahead would put it off."""
    await look_by(tr, keys, 0, 0)


async def look_soon(tr: Transaction, keys: TenantKeys) -> None:
    """Have a tenant that is unsealed now looked at, if there is anything to do in it, ever."""
    areas = (*_OF_TOKENS, UNMOUNTING)
    found = await asyncio.gather(key_entries(tr, keys, limit=1), *(_first(tr, keys, area) for area in areas))
    if any(found) or set(await times_due(tr, keys)) != {None}:
        await look_now(tr, keys)


async def key_entries(tr: Reads, keys: TenantKeys, *, limit: int = 0) -> list[Entry]:
    """Return the entries of the tenant's own keys; `limit` 0 means all."""
    begin, end = keys.span("due")
    return await tr.get_range(behind(begin), end, limit=limit)


class TimesDue(NamedTuple):
    """When there is work that a tenant has one time of; None where it never is."""

    keyring: int | None
    clients: int | None


async def times_due(tr: Reads, keys: TenantKeys) -> TimesDue:
    """Return when the keyring of a tenant is to get its next version, and a month of clients is to be removed."""
    found = await tr.get_many((keys.key(KEYRING), keys.key(CLIENTS)))
    return TimesDue(*(None if raw is None else decode_time(raw) for raw in found))


async def token_work(tr: Reads, keys: TenantKeys) -> int | None:
    """Return when the first of a tenant's tokens, or secret ids, is to be removed; 0: some are to be now."""
    found = await asyncio.gather(*(_first(tr, keys, area) for area in _OF_TOKENS))
    if any(found[len(_ENDS) :]):
        return 0
    ends = [int(keys.parts(end[0][0])[1]) for end in found if end]
    return min(ends) * 10**9 + KEPT if ends else None


async def has_secret_ids(tr: Reads, keys: TenantKeys) -> bool:
    """Tell whether any secret id of a tenant is to end, ever."""
    return bool(await _first(tr, keys, SECRET_ID_END))


async def has_unmounted(tr: Reads, keys: TenantKeys) -> bool:
    """Tell whether any mount of a tenant is gone, of which there are records."""
    return bool(await _first(tr, keys, UNMOUNTING))


async def look_again(tr: Transaction, keys: TenantKeys, now: int, retry: int) -> None:
    """Have the tenant looked at when it has work next.

    What of its keys is due `now` has failed, and is tried again `retry` later; what of its tokens is goes on.
    """
    entries, tokens, unmounted, times_of = await asyncio.gather(
        key_entries(tr, keys), token_work(tr, keys), has_unmounted(tr, keys), times_due(tr, keys)
    )
    times = [time if time > now else now + retry for time in (decode_time(raw) for _, raw in entries)]
    if tokens is not None:
        times.append(max(tokens, now + SPARE) if tokens > now else now)
    if unmounted:
        times.append(now + UNMOUNTING_SPARE)
    times += [time if time > now else now + retry for time in times_of if time is not None]
    if times:
        await look_at(tr, keys, min(times), now)
    else:
        await look_never(tr, keys)


async def _first(tr: Reads, keys: TenantKeys, area: str) -> list[Entry]:
    return await tr.get_range(*keys.span(area), limit=1)


async def look_at(tr: Transaction, keys: TenantKeys, time: int, now: int) -> None:
    """Have the tenant looked at when it is `time`, not before."""
    await _look_at(tr, keys, min(time, now + AHEAD))


async def look_never(tr: Transaction, keys: TenantKeys) -> None:
    """Have the tenant looked at no more."""
    await _look_at(tr, keys, None)


async def _look_at(tr: Transaction, keys: TenantKeys, time: int | None) -> None:
    before = await entry_of(tr, keys)
    if time != before:
        _move(tr, keys, before, time)


async def entry_of(tr: Transaction, keys: TenantKeys) -> int | None:
    """Return the time of the tenant's entry, if it has one."""
    raw = await tr.get(entry_key(keys))
    return None if raw is None else decode_time(raw)


async def due_tenants(tr: Transaction, last: Due | None, now: int, limit: int) -> list[Due]:
    """Return the first entries up to `now`, those behind `last`."""
    begin = DUE if last is None else behind(keyspace.due(*last))
    entries = await tr.get_range(begin, keyspace.due(now + 1, 0), limit=limit)
    return [Due(*keyspace.unpack(key)[1:]) for key, _ in entries]


async def far_tenants(tr: Transaction, now: int, limit: int) -> list[Due]:
    """Return some of the entries that lie further ahead than any that is written `now`: by a clock in the future."""
    begin = keyspace.due(now + AHEAD + BOUND, 0)
    entries = await tr.get_range(begin, keyspace.after(DUE), limit=limit)
    return [Due(*keyspace.unpack(key)[1:]) for key, _ in entries]


async def claim(tr: Transaction, owner: str, now: int, lifetime: int) -> bool:
    """Take or keep the work for `lifetime`; False while it is another's."""
    raw = await tr.get(CLAIM)
    if raw is not None:
        try:
            held = stored.decode(raw, Claim, "claim")
        except FormatError:
            held = Claim(owner, 0)
        # One that lasts longer than any may comes from a clock that has been set since.
        if held.owner != owner and now < held.until <= now + lifetime:
            return False
    tr.set(CLAIM, stored.encode(Claim(owner, now + lifetime)))
    return True


def _move(tr: Transaction, keys: TenantKeys, before: int | None, time: int | None) -> None:
    if before is not None:
        tr.clear(keyspace.due(before, keys.number))
    if time is None:
        tr.clear(keys.key("due"))
    else:
        tr.set(keyspace.due(time, keys.number), b"")
        tr.set(keys.key("due"), encode_time(time))
