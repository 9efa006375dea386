"""Mounts of the caller's tenant: listed, enabled, tuned, disabled, and found for the KV preflight.

Source: Vault's API pages `sys/mounts` and `sys/auth`; `sys/internal/ui/mounts` is what its command line asks first.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from kms_actors import API_VERSION
from kms_actors.auth.principal import Capability, Right, makers
from kms_actors.errors import InvalidRequest
from kms_actors.messages import (
    DisableMount,
    EnableMount,
    TuneMount,
)
from kms_actors.mounts import (
    SYSTEM_LEASE_TTL,
    Mount,
    MountConfig,
)
from kms_http.api.sys import mount_settings
from kms_http.routing import (
    DATA_RIGHTS,
    TENANT_ADMIN,
    Call,
    Endpoint,
    Operation,
    Reply,
    Route,
)
from kms_http.wire.errors import HttpError

_RESERVED: Final = frozenset({"sys/", "auth/", "cubbyhole/", "identity/"})
_SYSTEM_MOUNTS: Final = {
    "cubbyhole": ("cubbyhole", "per-token private secret storage"),
    "identity": ("identity", "identity store"),
    "sys": ("system", "system endpoints used for control, policy and debugging"),
}
_TOKEN_MOUNTS: Final = uuid.UUID("0f7c2d5e-6d0a-4c35-9a53-0c5b1c6f2a11")  # names the token mount of each tenant


def _nothing(_: Call) -> None:
    return None


def _no_content(_: Call, __: None) -> Reply:
    return Reply(status=204)


def _list_mounts(call: Call, _: None) -> Reply:
    return Reply(data=dict(sorted({**_system_mounts(call), **_entries(call)}.items())), mirrored=True)


def _list_auth(call: Call, _: None) -> Reply:
    return Reply(data={"token/": _token_mount(call)}, mirrored=True)


def _list_no_devices(_: Call, __: None) -> Reply:
    return Reply(data={})


def _read_auth(call: Call, _: None) -> Reply:
    return Reply(data=_token_mount(call), mirrored=True)


def _read_auth_tuning(call: Call, _: None) -> Reply:
    return Reply(data=_tuning(_token_mount(call)), mirrored=True)


def _read_mount(call: Call, _: None) -> Reply:
    path = _mount_path(call)
    mount = call.mounts.get(path)
    entry = _system_mounts(call).get(path) if mount is None else _entry(mount)
    if entry is None:
        raise InvalidRequest(f"No secret engine mount at {path}")
    return Reply(data=entry, mirrored=True)


def _read_tuning(call: Call, _: None) -> Reply:
    path = _mount_path(call)
    mount = call.mounts.get(path)
    entry = _system_mounts(call).get(path) if mount is None else _entry(mount)
    if entry is None:
        raise InvalidRequest(f'cannot fetch sysview for path "{path}"')
    return Reply(data=_tuning(entry), mirrored=True)


def _tuning(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a mount, with what holds where it says nothing."""
    config = dict(entry["config"])
    for name in ("default_lease_ttl", "max_lease_ttl"):
        config[name] = config[name] or SYSTEM_LEASE_TTL
    options = {"options": entry["options"]} if entry["options"] else {}
    return dict(sorted({**config, **options, "description": entry["description"]}.items()))


def _enable(call: Call) -> EnableMount:
    sent = call.values
    kind = sent.get("type", "")
    if not kind:
        raise InvalidRequest("backend type must be specified as a string")
    path = _mount_path(call)
    if path in _RESERVED:
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
    if path in _RESERVED:
        raise InvalidRequest(f'cannot unmount "{path}"')
    return DisableMount(path)


def _tune(call: Call) -> TuneMount:
    path, sent = _mount_path(call), call.values
    if path in _RESERVED:
        raise InvalidRequest(f'cannot tune "{path}"')
    config = {name: value for name, value in sent.items() if name in mount_settings.CONFIG_NAMES}
    return TuneMount(path, sent.get("description"), sent.get("options"), config)


def _refuse_tuning(_: Call) -> None:
    raise InvalidRequest("the settings of auth/token/ cannot be changed")


def _list_visible(call: Call, _: None) -> Reply:
    if call.principal is None:
        # Without a token no vault is named whose `listing_visibility` could count.
        return Reply(data={"auth": {}, "secret": {}})
    seen = {mount.path: _entry(mount) for mount in call.mounts if not mount.for_logins and _reaches(call, mount)}
    return Reply(data={"auth": {"token/": _token_mount(call)}, "secret": seen})


def _reaches(call: Call, mount: Mount) -> bool:
    """Tell whether the caller's policies, and those of who made the token, give anything at the mount or below."""
    assert call.principal is not None
    return all(
        bearer.right is not Right.POLICY or (bearer.acl is not None and bearer.acl.touches(mount.path))
        for bearer in (call.principal, *makers(call.principal))
    )


def _preflight(call: Call, _: None) -> Reply:
    path = call.captures["path"]
    matched = call.mounts.match(path)
    if matched is None or matched[0].for_logins or not _reaches(call, matched[0]):
        # As if the path were forbidden, so that no one learns which mounts there are.
        text = "preflight capability check returned 403, please ensure client's policies grant access to path"
        raise HttpError(403, f'{text} "{path.removesuffix("/")}/"')
    mount = matched[0]
    return Reply(data=dict(sorted({**_entry(mount), "path": mount.path}.items())))


def _mount_path(call: Call) -> str:
    return call.captures["path"] + "/"


def _entries(call: Call) -> dict[str, Any]:
    return {mount.path: _entry(mount) for mount in call.mounts if not mount.for_logins}


def _entry(mount: Mount) -> dict[str, Any]:
    entry = _describe(mount.type, mount.accessor, mount.uuid, mount.description, mount.options)
    kept = msgspec.to_builtins(mount.config)  # without what was never set
    entry["config"] = dict(sorted({**entry["config"], **kept}.items()))
    return {**entry, "local": mount.local, "seal_wrap": mount.seal_wrap}


def _token_mount(call: Call) -> dict[str, Any]:
    entry = _own_mount(call, "token", "auth_token", "token based credentials")
    entry["config"]["token_type"] = "default-service"  # noqa: S105  # a kind, not a secret
    return entry


def _system_mounts(call: Call) -> dict[str, Any]:
    """Return the mounts that every vault shows in Vault, whatever can be done below them here."""
    return {
        f"{path}/": _own_mount(call, kind, kind, description) for path, (kind, description) in _SYSTEM_MOUNTS.items()
    }


def _own_mount(call: Call, kind: str, accessor: str, description: str) -> dict[str, Any]:
    assert call.principal is not None
    identity = str(uuid.uuid5(_TOKEN_MOUNTS, (kind if kind != "token" else "") + call.principal.resource))
    return _describe(kind, f"{accessor}_{identity[:8]}", identity, description, None)


def _describe(kind: str, accessor: str, identity: str, description: str, options: Any) -> dict[str, Any]:
    return {
        "accessor": accessor,
        "config": {"default_lease_ttl": 0, "force_no_cache": False, "max_lease_ttl": 0},
        "deprecation_status": "supported",
        "description": description,
        "external_entropy_access": False,
        "local": False,
        "options": options,
        "plugin_version": "",
        "running_plugin_version": f"v{API_VERSION}",
        "running_sha256": "",
        "seal_wrap": False,
        "type": kind,
        "uuid": identity,
    }


_TOKEN_TUNING: Final = {
    Operation.READ: Endpoint(_nothing, _read_auth_tuning, Capability.READ),
    Operation.WRITE: Endpoint(_refuse_tuning, _no_content, Capability.UPDATE, mount_settings.TUNE, TENANT_ADMIN),
}

SYS_ROUTES: Final = (
    Route("sys/mounts/auth/token/tune", _TOKEN_TUNING),
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
    Route("sys/audit", {Operation.READ: Endpoint(_nothing, _list_no_devices, Capability.READ)}),
    Route("sys/auth", {Operation.READ: Endpoint(_nothing, _list_auth, Capability.READ)}),
    Route("sys/auth/token", {Operation.READ: Endpoint(_nothing, _read_auth, Capability.READ)}),
    Route("sys/auth/token/tune", _TOKEN_TUNING),
    Route(
        "sys/internal/ui/mounts",
        {Operation.READ: Endpoint(_nothing, _list_visible, Capability.READ, rights=DATA_RIGHTS, anonymous=True)},
    ),
    Route(
        "sys/internal/ui/mounts/{path...}",
        {Operation.READ: Endpoint(_nothing, _preflight, Capability.READ, own_check=True)},
        folder=True,
    ),
)
