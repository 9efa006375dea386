"""Mounts of the caller's tenant: listed, enabled, tuned, disabled, and found for the KV preflight.

Source: Vault's API pages `sys/mounts` and `sys/auth`; `sys/internal/ui/mounts` is what its command line asks first.
"""

from __future__ import annotations

import uuid
from typing import Any, Final

from kms_actors import API_VERSION
from kms_actors.auth.principal import Capability
from kms_actors.errors import InvalidRequest
from kms_actors.messages import (
    DisableMount,
    EnableMount,
    TuneMount,
)
from kms_actors.mounts import Mount
from kms_http.fields import (
    Fields,
    to_any,
    to_map,
    to_str,
)
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

_DEFAULT_LEASE_TTL: Final = 32 * 24 * 3600  # seconds
_RESERVED: Final = frozenset({"sys/", "auth/", "cubbyhole/", "identity/"})
_TOKEN_MOUNTS: Final = uuid.UUID("0f7c2d5e-6d0a-4c35-9a53-0c5b1c6f2a11")  # names the token mount of each tenant


def _nothing(_: Call) -> None:
    return None


def _no_content(_: Call, __: None) -> Reply:
    return Reply(status=204)


def _list_mounts(call: Call, _: None) -> Reply:
    return Reply(data={mount.path: _entry(mount) for mount in call.mounts}, mirrored=True)


def _list_auth(call: Call, _: None) -> Reply:
    return Reply(data={"token/": _token_mount(call)}, mirrored=True)


def _read_mount(call: Call, _: None) -> Reply:
    path = _mount_path(call)
    mount = call.mounts.get(path)
    if mount is None:
        raise InvalidRequest(f"No secret engine mount at {path}")
    return Reply(data=_entry(mount), mirrored=True)


def _read_tuning(call: Call, _: None) -> Reply:
    mount = _tunable(call)
    return Reply(
        data={
            "default_lease_ttl": _DEFAULT_LEASE_TTL,
            "description": mount.description,
            "force_no_cache": False,
            "max_lease_ttl": _DEFAULT_LEASE_TTL,
            "options": mount.options or None,
        },
        mirrored=True,
    )


def _enable(call: Call) -> EnableMount:
    kind = call.values.get("type", "")
    if not kind:
        raise InvalidRequest("backend type must be specified as a string")
    path = _mount_path(call)
    if path in _RESERVED:
        raise InvalidRequest(f'cannot mount "{path}"')
    return EnableMount(path, kind, call.values.get("description", ""), _options(call) or {})


def _disable(call: Call) -> DisableMount:
    path = _mount_path(call)
    if path in _RESERVED:
        raise InvalidRequest(f'cannot unmount "{path}"')
    return DisableMount(path)


def _tune(call: Call) -> TuneMount:
    return TuneMount(_tunable(call).path, call.values.get("description"), _options(call))


def _list_visible(call: Call, _: None) -> Reply:
    if call.principal is None:
        return Reply(data={"auth": {}, "secret": {}})
    secret = {mount.path: _entry(mount) for mount in call.mounts}
    return Reply(data={"auth": {"token/": _token_mount(call)}, "secret": secret})


def _preflight(call: Call, _: None) -> Reply:
    path = call.captures["path"]
    matched = call.mounts.match(path)
    if matched is None:
        # As if the path were forbidden, so that no one learns which mounts there are.
        text = "preflight capability check returned 403, please ensure client's policies grant access to path"
        raise HttpError(403, f'{text} "{path.removesuffix("/")}/"')
    mount = matched[0]
    return Reply(data=dict(sorted({**_entry(mount), "path": mount.path}.items())))


def _mount_path(call: Call) -> str:
    return call.captures["path"].removesuffix("/") + "/"


def _tunable(call: Call) -> Mount:
    path = _mount_path(call)
    mount = call.mounts.get(path)
    if mount is None:
        raise InvalidRequest(f'cannot fetch sysview for path "{path}"')
    return mount


def _options(call: Call) -> dict[str, str] | None:
    options = call.values.get("options")
    if options is None:
        return None
    if not all(isinstance(value, str | int | float) for value in options.values()):
        raise InvalidRequest("options must be a map of strings")
    return {name: to_str(value) for name, value in options.items()}


def _entry(mount: Mount) -> dict[str, Any]:
    return _describe(mount.type, mount.accessor, mount.uuid, mount.description, mount.options or None)


def _token_mount(call: Call) -> dict[str, Any]:
    assert call.principal is not None
    identity = str(uuid.uuid5(_TOKEN_MOUNTS, call.principal.resource))
    entry = _describe("token", f"auth_token_{identity[:8]}", identity, "token based credentials", None)
    entry["config"]["token_type"] = "default-service"  # noqa: S105  # a kind, not a secret
    return entry


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


# What is `to_any` here is taken and of no effect: there are no leases, plugins or replication.
_ENABLE_FIELDS: Final = Fields(
    type=to_str,
    description=to_str,
    options=to_map,
    config=to_any,
    external_entropy_access=to_any,
    local=to_any,
    plugin_name=to_any,
    plugin_version=to_any,
    seal_wrap=to_any,
)
_TUNE_FIELDS: Final = Fields(
    description=to_str,
    options=to_map,
    default_lease_ttl=to_any,
    listing_visibility=to_any,
    max_lease_ttl=to_any,
    plugin_version=to_any,
)

SYS_ROUTES: Final = (
    Route("sys/mounts", {Operation.READ: Endpoint(_nothing, _list_mounts, Capability.READ)}),
    Route(
        "sys/mounts/{path...}/tune",
        {
            Operation.READ: Endpoint(_nothing, _read_tuning, Capability.READ),
            Operation.WRITE: Endpoint(_tune, _no_content, Capability.UPDATE, _TUNE_FIELDS, TENANT_ADMIN),
        },
    ),
    Route(
        "sys/mounts/{path...}",
        {
            Operation.READ: Endpoint(_nothing, _read_mount, Capability.READ),
            Operation.WRITE: Endpoint(_enable, _no_content, Capability.UPDATE, _ENABLE_FIELDS, TENANT_ADMIN),
            Operation.DELETE: Endpoint(_disable, _no_content, Capability.DELETE, rights=TENANT_ADMIN),
        },
    ),
    Route("sys/auth", {Operation.READ: Endpoint(_nothing, _list_auth, Capability.READ)}),
    Route(
        "sys/internal/ui/mounts",
        {Operation.READ: Endpoint(_nothing, _list_visible, Capability.READ, rights=DATA_RIGHTS, anonymous=True)},
    ),
    Route("sys/internal/ui/mounts/{path...}", {Operation.READ: Endpoint(_nothing, _preflight, Capability.READ)}),
)
