"""Quotas of a vault: read, written, and told to all nodes.

They lie in one sealed record, which each change writes anew (`tenant.quotas`). A quota of a mount that is gone is
gone with it, since numbers of mounts are never used again: it is shown no more, and the next change leaves it out.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

import msgspec

from kms_actors.actors.cluster.changes import TENANT
from kms_actors.actors.tenant.context import Handler, TenantContext
from kms_actors.actors.tenant.quotas import QUOTAS, open_quotas, quotas_record
from kms_actors.errors import NotFound
from kms_actors.messages import Event, Message
from kms_actors.mounts import MountTable
from kms_actors.quota.messages import (
    DeleteRateLimit,
    ListRateLimits,
    ReadQuotaConfig,
    ReadRateLimit,
    WriteQuotaConfig,
    WriteRateLimit,
)
from kms_actors.quota.records import QuotaConfig, Quotas, RateLimit
from kms_actors.quota.rules import added, check, placed, whole_path
from kms_actors.store.api import Reads, Transaction

Changed: TypeAlias = Callable[[Quotas], Quotas]


class QuotasChanged(Event, frozen=True):
    """The quotas as a change has left them."""

    quotas: Quotas


#: What a `QuotaController` handles.
QUOTA_MESSAGES = (
    WriteRateLimit,
    ReadRateLimit,
    DeleteRateLimit,
    ListRateLimits,
    ReadQuotaConfig,
    WriteQuotaConfig,
    QuotasChanged,
)


class QuotaController:
    """The quotas of one unsealed tenant. `mounts` gives those that are known now."""

    def __init__(
        self, context: TenantContext, publish: Callable[[Quotas], None], mounts: Callable[[], MountTable]
    ) -> None:
        self._context = context
        self._publish = publish
        self._mounts = mounts

    def handlers(self) -> Mapping[type[Message], Handler]:
        return {
            WriteRateLimit: lambda message: self._context.spawn(self._write(message)),
            DeleteRateLimit: lambda message: self._context.spawn(self._delete(message)),
            WriteQuotaConfig: lambda message: self._context.spawn(self._configure(message.config)),
            ReadRateLimit: lambda message: self._context.spawn(self._read(message.name)),
            ListRateLimits: lambda _: self._context.spawn(self._list()),
            ReadQuotaConfig: lambda _: self._context.spawn(self._read_config()),
            QuotasChanged: lambda event: self._publish(event.quotas),
        }

    async def _write(self, message: WriteRateLimit) -> None:
        check(message.rule)
        rule = placed(message.rule, message.path, self._mounts())
        await self._change(lambda quotas: _with(quotas, added(quotas.rate_limits, rule)))

    async def _delete(self, message: DeleteRateLimit) -> None:
        await self._change(
            lambda quotas: _with(quotas, tuple(each for each in quotas.rate_limits if each.name != message.name))
        )

    async def _configure(self, config: QuotaConfig) -> None:
        await self._change(lambda quotas: msgspec.structs.replace(quotas, config=config))

    async def _read(self, name: str) -> tuple[RateLimit, str]:
        for rule in (await self._stored()).rate_limits:
            path = whole_path(rule, self._mounts())
            if rule.name == name and path is not None:
                return rule, path
        raise NotFound

    async def _list(self) -> list[str]:
        mounts = self._mounts()
        return sorted(
            rule.name for rule in (await self._stored()).rate_limits if whole_path(rule, mounts) is not None
        )

    async def _read_config(self) -> QuotaConfig:
        return (await self._stored()).config

    def _stored(self) -> Awaitable[Quotas]:
        return self._context.store.read(self._look)

    async def _look(self, tr: Reads) -> Quotas:
        key = self._context.keys.key(QUOTAS)
        return open_quotas(self._context.keyring, key, await tr.get(key))

    async def _change(self, change: Changed) -> None:
        context = self._context
        there = {mount.number for mount in self._mounts()}

        async def body(tr: Transaction) -> Quotas:
            quotas = await self._look(tr)
            kept = tuple(rule for rule in quotas.rate_limits if rule.mount is None or rule.mount in there)
            changed = change(_with(quotas, kept))
            changed = msgspec.structs.replace(changed, revision=quotas.revision + 1)
            tr.set(*quotas_record(context.keys, context.keyring, changed))
            context.record(tr, TENANT, "")
            return changed

        changed = await context.store.change(body, mount=None)
        await context.ask(QuotasChanged(changed))


def _with(quotas: Quotas, rules: tuple[RateLimit, ...]) -> Quotas:
    return msgspec.structs.replace(quotas, rate_limits=rules)
