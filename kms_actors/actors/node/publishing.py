"""What the actor of a tenant lets others see of it without asking: mounts, audit devices, and what it is allowed.

Each has a revision, so that of two readings the later is shown, whichever ends first.
"""

from __future__ import annotations

from kms_actors.actors.audit.book import Books
from kms_actors.actors.audit.opening import ScopeDevices
from kms_actors.actors.audit.outlets import Scope
from kms_actors.actors.node.allowance import Allowance
from kms_actors.actors.node.footprint import bytes_of_mounts
from kms_actors.actors.node.services import Services, TenantView
from kms_actors.actors.tenant.mounting import Mounts
from kms_actors.actors.tenant.records import TenantState
from kms_actors.actors.tenant.tallies import Tallies
from kms_actors.audit.device import Devices
from kms_actors.mounts import MountTable

_NONE = -1  # before any revision


class Published:
    """Of one tenant, changed only in its actor's turns."""

    def __init__(self, services: Services, view: TenantView, vault_id: str, allowance: Allowance) -> None:
        self._services = services
        self._view = view
        self._allowance = allowance
        self._devices = ScopeDevices(services.audit, Scope(vault_id))
        self._mounts_bytes = 0
        self._mounts_revision = self._devices_revision = _NONE

    def begin(self, state: TenantState) -> None:
        """Show what was read, whatever is shown."""
        self._mounts_revision = self._devices_revision = _NONE
        if state.keys is None or state.keyring is None:
            self._devices.close()
        else:
            self._devices.unsealed(self._services.store, state.keys.key, state.keyring)
        self.mounts(state.mounts)
        self._allowance.install(state)
        self.devices(state.devices)

    def take(self, state: TenantState, tallies: Tallies | None) -> None:
        """Show what was read, if it is later."""
        self.mounts(state.mounts)
        self._allowance.publish(state.quotas)
        self.devices(state.devices)
        self._allowance.take_standing(state, tallies)

    def mounts(self, mounts: Mounts) -> None:
        """Show mounts."""
        if mounts.revision > self._mounts_revision:
            self._mounts_revision = mounts.revision
            self._view.mounts = MountTable(mounts.all)
            size = bytes_of_mounts(mounts)
            self._view.account.add(size - self._mounts_bytes)
            self._mounts_bytes = size
            self._allowance.apply()

    def devices(self, devices: Devices) -> None:
        """Have audit devices open."""
        if devices.revision > self._devices_revision:
            self._devices_revision = devices.revision
            self._view.trail = self._devices.take(devices)

    @property
    def books(self) -> Books:
        """What signs the logs of audit devices. Raises Sealed."""
        return self._devices.books

    def close(self) -> None:
        """Close audit devices."""
        self._devices.close()
