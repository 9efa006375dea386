"""What the cluster's operator does about tenants, each a transaction, or a page of one: no tenant is woken or opened.

A list reads a page of the index of vaults, and of each vault the few records that say how it stands. Nothing here
takes longer for more tenants, or for larger ones.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Final, TypeVar

from msgspec.structs import replace

from kms_actors.actors.cluster.changes import TENANT, Change, record
from kms_actors.actors.cluster.schedule import look_at, look_never
from kms_actors.actors.node.activity import ClusterActivity
from kms_actors.actors.node.telling import What, tell
from kms_actors.actors.tenant.records import take_number
from kms_actors.actors.tenant.standing import COUNT, ERASURE, GRANT, MEASURED, erasure_of, grant_of, leaving, put
from kms_actors.actors.tenant.unsealing import Unsealing
from kms_actors.auth.principal import Right
from kms_actors.auth.scope import require_scope
from kms_actors.config import Tenants
from kms_actors.errors import InvalidRequest, NamedNotFound, UnsupportedOperation
from kms_actors.quota.rules import check
from kms_actors.store import keyspace
from kms_actors.store.api import Body, Priority, Reads, Store, Transaction
from kms_actors.store.keyspace import TenantKeys, after
from kms_actors.store.pages import behind, read_page
from kms_actors.tenancy.counting import kind_of
from kms_actors.tenancy.messages import (
    DeleteTenant,
    ExportedPage,
    ExportTenant,
    GrantTenant,
    KeepTenant,
    ListTenants,
    MeasuredPage,
    MeasureTenant,
    NoteMeasured,
    OfTenants,
    ReadAllActivity,
    ReadTenant,
    SealTenant,
    Tenant,
)
from kms_actors.tenancy.records import Erasure, Measured

_VAULTS: Final = keyspace.pack("vault")
#: Tenants that one transaction reads, which takes a millisecond; others are served before the next.
_TOGETHER: Final = 4
#: Mounts of a vault, whatever its limit is.
_MOST_MOUNTS: Final = 100_000
#: Pages of records that one request counts.
_PAGES: Final = 8

T = TypeVar("T")

#: Reads some records of a vault for a backup: its number, its id, and from which key on.
Export = Callable[[Store, int, str, bytes], Awaitable[ExportedPage]]


async def not_exported(_: Store, __: int, ___: str, ____: bytes) -> ExportedPage:
    """Stand for what reads backups, in a process that has none."""
    raise UnsupportedOperation("unsupported operation")


class Tenancy:
    """Handles messages of `OfTenants` for one unsealed process. `now` is in seconds since 1970."""

    def __init__(
        self,
        store: Store,
        unsealing: Unsealing,
        settings: Tenants,
        *,
        namespace: str,
        clock: Callable[[], int],
        export: Export,
    ) -> None:
        self._store = store
        self._unsealing = unsealing
        self._settings = settings
        self._namespace = namespace
        self._clock = clock
        self._export = export
        self._activity = ClusterActivity(store, clock)

    def handle(self, message: OfTenants) -> Awaitable[Any]:
        """Do what a message says."""
        return self._HANDLERS[type(message)](self, message)

    async def _list(self, message: ListTenants) -> list[Tenant]:
        begin = behind(keyspace.vault(message.after)) if message.after else _VAULTS
        found = await self._store.run(
            lambda tr: tr.get_range(begin, after(_VAULTS), limit=message.limit), priority=Priority.BATCH
        )
        tenants: list[Tenant] = []
        for start in range(0, len(found), _TOGETHER):
            some = [(keyspace.unpack(key)[1], _number(raw)) for key, raw in found[start : start + _TOGETHER]]
            tenants += await self._store.run(partial(self._tell_all, some=some), priority=Priority.BATCH)
            await asyncio.sleep(0)
        return tenants

    async def _tell_all(self, tr: Transaction, some: list[tuple[str, int]]) -> list[Tenant]:
        return [tenant for tenant in await asyncio.gather(*(self._tell(tr, *each) for each in some)) if tenant]

    async def _tell(self, tr: Transaction, vault_id: str, number: int) -> Tenant | None:
        """Return what is told of a vault; None for one that is gone meanwhile."""
        keys = TenantKeys(number)
        mapped, counts, found = await asyncio.gather(
            tr.get(keyspace.vault(vault_id)),
            tr.get_range(*keys.span(COUNT)),
            tr.get_many([keys.key(area) for area in What._fields]),
        )
        if mapped is None or _number(mapped) != number:
            return None
        what = What(*found)
        unsealed = False
        if what.header is not None and what.erasure is None:
            unsealed = await self._unsealing.root_key(tr, keys, _number(what.epoch or b"")) is not None
        return tell(vault_id, keys, what, counts, self._settings, unsealed=unsealed)

    async def _read(self, message: ReadTenant) -> Tenant:
        return await self._store.run(partial(self._told, vault_id=message.vault_id))

    async def _told(self, tr: Transaction, vault_id: str) -> Tenant:
        tenant = await self._tell(tr, vault_id, (await _existing(tr, vault_id)).number)
        assert tenant is not None
        return tenant

    async def _grant(self, message: GrantTenant) -> Tenant:
        vault_id = message.vault_id
        require_scope(Right.ROOT, vault_id, self._namespace)
        if message.rate_limit is not None:
            check(message.rate_limit)

        async def body(tr: Transaction) -> Tenant:
            mapped = await tr.get(keyspace.vault(vault_id))
            keys = await take_number(tr, vault_id) if mapped is None else TenantKeys(_number(mapped))
            grant = grant_of(await tr.get(keys.key(GRANT)))
            rate_limit = message.rate_limit or (None if message.lift else grant.rate_limit)
            limits = replace(grant.limits, **message.changes)
            put(tr, keys, GRANT, replace(grant, limits=limits, rate_limit=rate_limit))
            self._changed(tr, vault_id)
            return await self._told(tr, vault_id)

        return await self._change(body)

    async def _seal(self, message: SealTenant) -> None:
        async def body(tr: Transaction) -> None:
            keys = await _existing(tr, message.vault_id)
            await self._close(tr, keys, message.vault_id)
            if await tr.get(keys.key(ERASURE)) is None:
                await look_never(tr, keys)

        await self._change(body)

    async def _close(self, tr: Transaction, keys: TenantKeys, vault_id: str) -> None:
        """Seal a vault on all nodes."""
        if await tr.get(keys.key("header")) is not None:
            self._unsealing.seal(tr, keys)
            tr.clear(keys.key("progress"))
            tr.add(keys.key("epoch"), 1)
        self._changed(tr, vault_id)

    async def _delete(self, message: DeleteTenant) -> Tenant:
        now = self._clock() / 1e9
        wait = self._settings.deletion_days * 86_400 if message.wait is None else message.wait

        async def body(tr: Transaction) -> Tenant:
            keys = await _existing(tr, message.vault_id)
            known = await erasure_of(tr, keys)
            if known is not None:
                raise InvalidRequest(str(leaving(known)))
            if await tr.get(keys.key("restore")) is not None:
                raise InvalidRequest("a backup is being restored into this vault: end that first")
            await self._close(tr, keys, message.vault_id)
            put(tr, keys, ERASURE, Erasure(message.vault_id, now, now + wait, message.by))
            await look_at(tr, keys, int((now + wait) * 1e9), int(now * 1e9))
            return await self._told(tr, message.vault_id)

        return await self._change(body)

    async def _keep(self, message: KeepTenant) -> Tenant:
        async def body(tr: Transaction) -> Tenant:
            keys = await _existing(tr, message.vault_id)
            erasure = await erasure_of(tr, keys)
            if erasure is None:
                raise InvalidRequest("this vault is not to be deleted")
            if erasure.begun:
                raise InvalidRequest("this vault is being deleted: some of its records are gone already")
            tr.clear(keys.key(ERASURE))
            await look_never(tr, keys)
            self._changed(tr, message.vault_id)
            return await self._told(tr, message.vault_id)

        return await self._change(body)

    async def _export_page(self, message: ExportTenant) -> ExportedPage:
        keys = await self._store.run(partial(_existing, vault_id=message.vault_id))
        _require_below(keys, message.after)
        return await self._export(self._store, keys.number, message.vault_id, message.after)

    async def _measure(self, message: MeasureTenant) -> MeasuredPage:
        keys = await self._store.run(partial(_existing, vault_id=message.vault_id))
        _require_below(keys, message.after)
        begin: bytes | None = message.after or keys.prefix
        records = size = 0
        counts: dict[tuple[str, int], int] = {}
        for _ in range(_PAGES):
            if begin is None:
                break
            place = begin

            async def look(tr: Transaction, place: bytes = place) -> Any:
                return await read_page(tr, place, after(keys.prefix))

            entries, begin = await self._store.run(look, priority=Priority.BATCH)
            records += len(entries)
            for key, value in entries:
                size += len(key) + len(value)
                for kind, mount, number in kind_of(keys.parts(key), len(value)):
                    counts[kind, mount] = counts.get((kind, mount), 0) + number
        return MeasuredPage(records, size, counts, begin or b"")

    async def _note_measured(self, message: NoteMeasured) -> Tenant:
        now = self._clock() / 1e9

        async def body(tr: Transaction) -> Tenant:
            keys = await _existing(tr, message.vault_id)
            put(tr, keys, MEASURED, Measured(now, message.records, message.size))
            tr.clear_range(*keys.span(COUNT))
            there = {0, *(keys.parts(key)[1] for key in await tr.get_keys(*keys.span("mount"), limit=_MOST_MOUNTS))}
            for (kind, mount), number in message.counts.items():
                if mount in there:  # what unmounted ones have left goes without being counted
                    tr.add(keys.key(COUNT, kind, mount), number)
            return await self._told(tr, message.vault_id)

        return await self._change(body)

    def _changed(self, tr: Transaction, vault_id: str) -> None:
        record(tr, Change(vault_id, TENANT, "", self._clock() / 1e9))

    async def _change(self, body: Body[T]) -> T:
        return await self._store.run(body, idempotency_key=os.urandom(16))

    _HANDLERS: Final[Mapping[type[OfTenants], Callable[[Any, Any], Awaitable[Any]]]] = {
        ListTenants: _list,
        ReadTenant: _read,
        GrantTenant: _grant,
        SealTenant: _seal,
        DeleteTenant: _delete,
        KeepTenant: _keep,
        ExportTenant: _export_page,
        MeasureTenant: _measure,
        NoteMeasured: _note_measured,
        ReadAllActivity: lambda self, message: self._activity.read(message),
    }


def _number(raw: bytes) -> int:
    return int.from_bytes(raw, "little")


async def _existing(tr: Reads, vault_id: str) -> TenantKeys:
    """Return the place of a vault; raises NamedNotFound."""
    number = await tr.get(keyspace.vault(vault_id))
    if number is None:
        raise NamedNotFound(f"there is no vault {vault_id}")
    return TenantKeys(_number(number))


def _require_below(keys: TenantKeys, place: bytes) -> None:
    """Raise InvalidRequest for a place that is not one of the vault's."""
    if place and not keys.prefix <= place <= after(keys.prefix):
        raise InvalidRequest("'after' is not what the last page gave")
