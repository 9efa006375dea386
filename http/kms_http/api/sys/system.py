"""Mounts of engines of the caller's tenant: listed, enabled, tuned, disabled. Those of logins are apart.

Source: Vault's API page `sys/mounts`.
"""

from __future__ import annotations

from typing import Any, Final

from kms_actors.auth.principal import Capability
from kms_actors.errors import InvalidRequest
from kms_actors.messages import (
    DisableMount,
    EnableMount,
    TuneMount,
)
from kms_actors.mounts import LOGINS, MountConfig
from kms_http.api.sys import mount_settings
from kms_http.api.sys.mount_entries import entry, system_mounts, token_mount, tuning
from kms_http.routing import (
    TENANT_ADMIN,
    Call,
    Endpoint,
    Operation,
    Reply,
    Route,
)

_RESERVED: Final = frozenset({"sys/", "auth/", "cubbyhole/", "identity/"})
_TOKENS: Final = f"{LOGINS}token/"


def _nothing(_: Call) -> None:
    return None


def _no_content(_: Call, __: None) -> Reply:
    return Reply(status=204)


def _list_mounts(call: Call, _: None) -> Reply:
    return Reply(data=dict(sorted({**system_mounts(call), **_entries(call)}.items())), mirrored=True)


def _read_mount(call: Call, _: None) -> Reply:
    path = _mount_path(call)
    shown = _shown(call, path)
    if shown is None:
        raise InvalidRequest(f"No secret engine mount at {path}")
    return Reply(data=shown, mirrored=True)


def _read_tuning(call: Call, _: None) -> Reply:
    path = _mount_path(call)
    shown = _shown(call, path)
    if shown is None:
        raise InvalidRequest(f'cannot fetch sysview for path "{path}"')
    return Reply(data=tuning(shown), mirrored=True)


def _shown(call: Call, path: str) -> dict[str, Any] | None:
    if path == _TOKENS:
        return token_mount(call)
    mount = call.mounts.get(path)
    return system_mounts(call).get(path) if mount is None else entry(mount)


def _enable(call: Call) -> EnableMount:
    sent = call.values
    kind = sent.get("type", "")
    if not kind:
        raise InvalidRequest("backend type must be specified as a string")
    path = _mount_path(call)
    if _is_reserved(path):
        raise InvalidRequest(f'cannot mount "{path}"')
    return EnableMount(
        path,
        kind,
        sent.get("description", ""),
        sent.get("options", {}),
        MountConfig(**sent.get("config", {})),
        sent.get("local", False),
        sent.get("seal_wrap", False),
    )


def _disable(call: Call) -> DisableMount:
    path = _mount_path(call)
    if _is_reserved(path):
        raise InvalidRequest(f'cannot unmount "{path}"')
    return DisableMount(path)


def _tune(call: Call) -> TuneMount | None:
    path, sent = _mount_path(call), call.values
    if path in _RESERVED:
        if not sent:
            return None
        raise InvalidRequest(f"cannot tune parameter {min(sent)} of {path}")
    config = {name: value for name, value in sent.items() if name in mount_settings.CONFIG_NAMES}
    return TuneMount(path, sent.get("description"), sent.get("options"), config)


def _is_reserved(path: str) -> bool:
    return path in _RESERVED or path.startswith(LOGINS)


def _mount_path(call: Call) -> str:
    return call.captures["path"] + "/"


def _entries(call: Call) -> dict[str, Any]:
    return {mount.path: entry(mount) for mount in call.mounts if not mount.for_logins}


SYS_ROUTES: Final = (
    Route("sys/mounts", {Operation.READ: Endpoint(_nothing, _list_mounts, Capability.READ)}),
    Route(
        "sys/mounts/{path...}/tune",
        {
            Operation.READ: Endpoint(_nothing, _read_tuning, Capability.READ),
            Operation.WRITE: Endpoint(_tune, _no_content, Capability.UPDATE, mount_settings.TUNE, TENANT_ADMIN),
        },
    ),
    Route(
        "sys/mounts/{path...}",
        {
            Operation.READ: Endpoint(_nothing, _read_mount, Capability.READ),
            Operation.WRITE: Endpoint(_enable, _no_content, Capability.UPDATE, mount_settings.ENABLE, TENANT_ADMIN),
            Operation.DELETE: Endpoint(_disable, _no_content, Capability.DELETE, rights=TENANT_ADMIN),
        },
    ),
)
