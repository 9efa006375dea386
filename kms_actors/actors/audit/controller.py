"""Audit devices of a vault: read, changed, and told to its actor, which has them open."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Protocol

from kms_actors.actors.audit.book import Books
from kms_actors.actors.audit.changing import Change, Changing
from kms_actors.actors.audit.opening import Audit
from kms_actors.actors.audit.outlets import Scope
from kms_actors.actors.cluster.changes import TENANT
from kms_actors.actors.tenant.audit_records import AuditRecords
from kms_actors.actors.tenant.context import Handler, TenantContext
from kms_actors.audit.device import Devices
from kms_actors.audit.messages import AUDIT_MESSAGES as AUDIT_REQUESTS
from kms_actors.messages import Event, Message
from kms_actors.store.api import Transaction


class DevicesChangedTo(Event, frozen=True):
    """The devices as a change has left them."""

    devices: Devices


class Published(Protocol):
    """What has devices open in this process."""

    @property
    def books(self) -> Books:
        """What signs their logs."""

    def devices(self, devices: Devices) -> None:
        """Have just these open."""


#: What an `AuditController` handles.
AUDIT_MESSAGES: Final[tuple[type[Message], ...]] = (*AUDIT_REQUESTS, DevicesChangedTo)


class AuditController:
    """Of one unsealed tenant."""

    def __init__(self, context: TenantContext, audit: Audit, published: Published) -> None:
        self._context = context
        self._published = published
        self._records = AuditRecords(context.keys.key, context.keyring)
        self._work = Changing(audit, Scope(context.vault_id), self).work()

    def handlers(self) -> Mapping[type[Message], Handler]:
        return {
            **dict.fromkeys(AUDIT_REQUESTS, self._begin),
            DevicesChangedTo: lambda event: self._published.devices(event.devices),
        }

    def _begin(self, message: Message) -> Any:
        return self._context.spawn(self._carry_out(message))

    async def _carry_out(self, message: Message) -> Any:
        return await self._work[type(message)](message)

    @property
    def books(self) -> Books:
        """See `Place`."""
        return self._published.books

    async def read(self) -> Devices:
        """See `Place`."""
        return await self._context.store.read(self._records.read)

    async def change(self, change: Change) -> bool:
        """See `Place`. The revision that it raises is a ground of every change of the vault."""
        context = self._context

        async def body(tr: Transaction) -> tuple[Devices, bool]:
            before = await self._records.read(tr)
            devices = change(before)
            if devices is before:
                return before, False
            self._records.write(tr, before, devices)
            context.record(tr, TENANT, "")
            return devices, True

        devices, changed = await context.store.change(body, mount=None, of_grounds=True)
        await context.ask(DevicesChangedTo(devices))
        return changed
