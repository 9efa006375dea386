"""What the actor of a tenant counts beside its requests, and writes later: uses of Transit keys, and clients."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import Final

from kms_actors.actors.activity.controller import ActivityController
from kms_actors.actors.activity.noting import ClientNotes
from kms_actors.actors.node import footprint
from kms_actors.actors.node.services import Services, TenantView
from kms_actors.actors.tenant.context import TenantContext
from kms_actors.actors.transit.controller import TransitController
from kms_actors.actors.transit.storage import TransitRecords
from kms_actors.actors.transit.usage import TransitUsage


class Counting:
    """Of one tenant, changed only in its actor's turns."""

    def __init__(self, services: Services, view: TenantView, vault_id: str) -> None:
        self._services: Final = services
        self._view: Final = view
        self._vault_id: Final = vault_id
        self.usage: TransitUsage | None = None
        self._clients: ClientNotes | None = None

    def transit(self, context: TenantContext) -> TransitController:
        """Return the controller of Transit."""
        context.account.add(footprint.TRANSIT_BYTES)
        transit = TransitController(context, usage=self._make_usage)
        self.usage = transit.usage
        return transit

    def activity(self, context: TenantContext) -> ActivityController:
        """Return the controller of clients."""
        activity = ActivityController(context, self._publish_seen, self._services.usage_seconds)
        self._clients = activity.notes
        return activity

    def end(self) -> None:
        """Have written at once what is not yet, and count no more."""
        for each in (self.usage, self._clients):
            if each is not None:
                each.end()
        self.forget()

    def forget(self) -> None:
        """Let go of what counts; it ends by itself."""
        self.usage = self._clients = None
        self._view.seen = frozenset()

    async def flush_soon(self) -> None:
        """Write what is counted, as far as that takes no longer than a caller should wait."""
        for each in (self.usage, self._clients):
            if each is not None:
                await each.flush_soon()

    def _make_usage(self, context: TenantContext, records: TransitRecords) -> TransitUsage:
        return TransitUsage(context, records, self._services.usage_seconds, self._observe_use)

    def _observe_use(self, mount: int, name: str, version: int, operation: str, number: int) -> None:
        path = next((known.path for known in self._view.mounts if known.number == mount), "")
        self._services.observe_uses((self._vault_id, path, name, str(version), operation), number)

    def _publish_seen(self, biscuits: AbstractSet[str], until: float) -> None:
        self._view.seen, self._view.seen_until = biscuits, until
