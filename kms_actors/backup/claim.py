"""How a restore takes a tenant for itself, and what it must not write over.

A tenant keeps its integer: every sealed record is bound to its full key in the store, and every service token names
the integer. So where the integer or the vault id is taken by another, a restore refuses.

While a restore is under way the tenant has a `Lock`, its vault entry, and no seal: nobody can initialise, unseal or
use it. The lock tells a restore that goes on from one that another has pushed aside.
"""

from __future__ import annotations

import asyncio
from typing import Final, NamedTuple, TypeVar

import msgspec

from kms_actors.actors.cluster import changes
from kms_actors.actors.cluster.schedule import look_never
from kms_actors.actors.tenant.header import TenantHeader
from kms_actors.backup.layout import LOCK, RESTORED
from kms_actors.errors import FormatError, InvalidRequest
from kms_actors.keyring import stored
from kms_actors.store import keyspace
from kms_actors.store.api import Transaction
from kms_actors.store.keyspace import ALLOCATOR, TenantKeys
from kms_actors.store.pages import read_page

_NUMBER_LENGTH: Final = 8

S = TypeVar("S", bound=msgspec.Struct)


class Lock(msgspec.Struct, frozen=True):
    """Which backup is being restored into a tenant, and whose it will be."""

    vault: str
    digest: str  # hex
    format: int = stored.FORMAT


class Standing(NamedTuple):
    """What a tenant's place holds now."""

    lock: Lock | None
    live: bool  # there is a vault with its header, so that nodes may serve it


async def standing(tr: Transaction, lock: Lock, number: int, *, replace: bool) -> Standing:
    """Read what is there.

    Raises:
        InvalidRequest: another's place, or an existing vault without `replace`.

    """
    keys = TenantKeys(number)
    mapped, raw_header, raw_lock, first = await asyncio.gather(
        tr.get(keyspace.vault(lock.vault)),
        tr.get(keys.key("header")),
        tr.get(keys.key(LOCK)),
        tr.get_range(keys.prefix, keyspace.after(keys.prefix), limit=1),
    )
    header, found = _decoded(raw_header, TenantHeader), _decoded(raw_lock, Lock)
    here = number if mapped is None else decode_number(mapped)
    if here != number:
        raise InvalidRequest(
            f"{lock.vault} is tenant {here} in this store and {number} in the backup; a vault keeps its integer, "
            "since its records and tokens are bound to it: restore into a store that does not have this vault"
        )
    owner = found.vault if found else header.vault_id if header else None
    if owner is None and first and mapped is None:  # a vault that was granted and not initialised has no header
        owner = await _holder(tr, number)
    if owner not in (None, lock.vault):
        raise InvalidRequest(
            f"the tenant integer of {lock.vault}, {number}, belongs to another vault in this store; "
            "records are bound to it: restore into another store"
        )
    if (mapped is not None or first) and found != lock and not replace:
        raise InvalidRequest(f"{lock.vault} exists in this store: only --replace writes over it")
    return Standing(found, raw_header is not None)


async def _holder(tr: Transaction, number: int) -> str | None:
    """Return the vault that has a tenant integer, by the index of vaults."""
    begin: bytes | None = keyspace.VAULTS
    while begin is not None:
        entries, begin = await read_page(tr, begin, keyspace.after(keyspace.VAULTS))
        for key, raw in entries:
            if decode_number(raw) == number:
                return str(keyspace.unpack(key)[1])
    return None


async def mark(tr: Transaction, lock: Lock, number: int, now: float, *, replace: bool) -> bool:
    """Take the tenant: sealed from now on, everywhere. Return whether nodes may still be serving it."""
    there = await standing(tr, lock, number, replace=replace)
    keys = TenantKeys(number)
    tr.set(keys.key(LOCK), stored.encode(lock))
    tr.set(keyspace.vault(lock.vault), encode_number(number))
    await raise_allocator(tr, number)
    if there.live:
        tr.clear(keys.key("unsealed"))
        tr.clear(keys.key("progress"))
        tr.add(keys.key("epoch"), 1)
        tell_nodes(tr, lock.vault, now)
    await look_never(tr, keys)
    return there.live


async def empty(tr: Transaction, lock: Lock, number: int) -> None:
    """Clear a marked tenant; its epoch stays, since it must never go back.

    Raises:
        InvalidRequest: taken by another restore, or unsealed again meanwhile.

    """
    keys = TenantKeys(number)
    await check_lock(tr, lock, number)
    unsealed, epoch = await asyncio.gather(tr.get(keys.key("unsealed")), tr.get(keys.key("epoch")))
    if unsealed is not None:
        raise InvalidRequest(f"{lock.vault} was unsealed again meanwhile")
    tr.clear_range(keys.prefix, keyspace.after(keys.prefix))
    tr.set(keys.key(LOCK), stored.encode(lock))
    if epoch is not None:
        tr.set(keys.key("epoch"), epoch)


async def release(tr: Transaction, lock: Lock, number: int, epoch: int, now: float) -> None:
    """Give the tenant to its operators, sealed; `epoch` is that of the backup.

    The new one is above all that a vault had which was deleted since, for nodes may have kept root keys by these: an
    epoch counts seals, and there is less than one a second.
    """
    await check_lock(tr, lock, number)
    keys = TenantKeys(number)
    before = decode_number(await tr.get(keys.key("epoch")) or b"")
    now_on = encode_number(max(before, epoch, int(now)) + 1)
    tr.set(keys.key("epoch"), now_on)
    tr.clear(keys.key(LOCK))
    tr.set(keys.key(RESTORED), now_on)  # which no other restore has had: a backup under way ends
    tell_nodes(tr, lock.vault, now)


async def check_lock(tr: Transaction, lock: Lock, number: int) -> None:
    """Raise InvalidRequest unless the tenant is still this restore's."""
    if _decoded(await tr.get(TenantKeys(number).key(LOCK)), Lock) != lock:
        raise InvalidRequest(f"another restore has taken {lock.vault} meanwhile")


async def raise_allocator(tr: Transaction, number: int) -> None:
    """Make sure that `number` is never given out again."""
    if decode_number(await tr.get(ALLOCATOR) or b"") < number:
        tr.set(ALLOCATOR, encode_number(number))


def tell_nodes(tr: Transaction, vault: str, now: float) -> None:
    """Have every node read the tenant anew."""
    changes.record(tr, changes.Change(vault, changes.TENANT, "", now))


def encode_number(number: int) -> bytes:
    """Return a counter or tenant integer as the store has it."""
    return number.to_bytes(_NUMBER_LENGTH, "little")


def decode_number(raw: bytes) -> int:
    """Return a counter or tenant integer; nothing is 0."""
    return int.from_bytes(raw, "little")


def _decoded(raw: bytes | None, kind: type[S]) -> S | None:
    """Return a record, or None also where it is damaged: it may still be replaced."""
    try:
        return None if raw is None else stored.decode(raw, kind, kind.__name__)
    except FormatError:
        return None
