"""About how much memory an awake tenant takes, beside what its controllers count themselves."""

from __future__ import annotations

from typing import Final

from kms_actors.actors.tenant.mounting import Mounts
from kms_actors.actors.tenant.records import TenantState

#: Bytes of an awake tenant that was used, beside its controllers; of each version of its keyring, each mount and each
#: revoked token; of a controller, and what that of Transit takes more.
TENANT_BYTES: Final = 6_600
KEY_BYTES: Final = 2_800
MOUNT_BYTES: Final = 750
REVOKED_BYTES: Final = 250
CONTROLLER_BYTES: Final = 800
TRANSIT_BYTES: Final = 2_300


def bytes_of(state: TenantState, revoked: int) -> int:
    """Return about what a tenant takes as it was read."""
    keys = 0 if state.keyring is None else state.keyring.active_version
    own = TENANT_BYTES + KEY_BYTES * keys + REVOKED_BYTES * revoked
    return own + bytes_of_mounts(state.mounts) + state.devices.held


def bytes_of_mounts(mounts: Mounts) -> int:
    """Return about what mounts take."""
    return sum(MOUNT_BYTES + mount.held for mount in mounts.all)
