"""Names that failed logins have locked, at all mounts of logins.

Source: Vault's API page `sys/user-lockout`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from kms_actors.auth.principal import Capability
from kms_actors.login.messages import ReadLockedNames, UnlockName
from kms_actors.mounts import LOCKING_TYPES, Mount
from kms_http.fields import Fields, to_str
from kms_http.routing import TENANT_ADMIN, Call, Endpoint, Operation, Reply, Route


def _read(call: Call) -> ReadLockedNames:
    return ReadLockedNames(tuple(mount.number for mount in _mounts(call)))


def _show(call: Call, locked: Mapping[int, list[str]]) -> Reply:
    named = call.values.get("mount_accessor", "")
    found = {mount.accessor: locked.get(mount.number, []) for mount in _mounts(call)} or {named: []}
    mounts = [
        {"mount_accessor": accessor, "counts": len(names), "alias_identifiers": names or None}
        for accessor, names in sorted(found.items())
        if names or named
    ]
    total = sum(map(len, found.values()))
    of_vault: dict[str, Any] = {
        "namespace_id": "root",
        "namespace_path": "",
        "counts": total,
        "mount_accessors": mounts,
    }
    return Reply(data={"by_namespace": [of_vault], "total": total})


def _unlock(call: Call) -> UnlockName | None:
    accessor = call.captures["mount_accessor"]
    mount = next((mount for mount in _locking(call) if mount.accessor == accessor), None)
    return None if mount is None else UnlockName(mount.number, call.captures["alias_identifier"])


def _unlocked(_: Call, __: None) -> Reply:
    return Reply(status=204)


def _mounts(call: Call) -> list[Mount]:
    """Return the mounts that are asked for: all, or the one that is named."""
    named = call.values.get("mount_accessor", "")
    return [mount for mount in _locking(call) if named in ("", mount.accessor)]


def _locking(call: Call) -> list[Mount]:
    return [mount for mount in call.mounts if mount.for_logins and mount.type in LOCKING_TYPES]


LOCKED_ROUTES: Final = (
    Route(
        "sys/locked-users",
        {Operation.READ: Endpoint(_read, _show, Capability.READ, Fields(mount_accessor=to_str), TENANT_ADMIN)},
    ),
    Route(
        "sys/locked-users/{mount_accessor}/unlock/{alias_identifier...}",
        {Operation.WRITE: Endpoint(_unlock, _unlocked, Capability.UPDATE, rights=TENANT_ADMIN)},
    ),
)
