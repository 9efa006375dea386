"""Mounts of logins of the caller's tenant: listed, enabled, tuned, disabled.

What they are tuned by is the same below `sys/auth/` and `sys/mounts/auth/`. As in Vault, policies must give `sudo`
for what is below `sys/auth/`.

Source: Vault's API page `sys/auth`.
"""

from __future__ import annotations

from typing import Any, Final

from kms_actors.auth.principal import Capability
from kms_actors.errors import InvalidRequest
from kms_actors.messages import DisableMount, EnableMount, TuneMount
from kms_actors.mounts import LOGINS, MountConfig, tuned
from kms_http.api.sys import mount_settings
from kms_http.api.sys.mount_entries import entry, path_below_logins, token_mount, tuning
from kms_http.routing import TENANT_ADMIN, Call, Endpoint, Operation, Reply, Route

_TOKENS: Final = "token/"


def _nothing(_: Call) -> None:
    return None


def _no_content(_: Call, __: None) -> Reply:
    return Reply(status=204)


def _list(call: Call, _: None) -> Reply:
    shown = {path_below_logins(mount): entry(mount) for mount in call.mounts if mount.for_logins}
    return Reply(data=dict(sorted({**shown, _TOKENS: token_mount(call)}.items())), mirrored=True)


def _read(call: Call, _: None) -> Reply:
    path = _path(call)
    shown = _shown(call, path)
    if shown is None:
        raise InvalidRequest(f"No auth engine at {path}")
    return Reply(data=shown, mirrored=True)


def _read_tuning(call: Call, _: None) -> Reply:
    path = _path(call)
    shown = _shown(call, path)
    if shown is None:
        raise InvalidRequest(f'cannot fetch sysview for path "{LOGINS}{path}"')
    return Reply(data=tuning(shown), mirrored=True)


def _enable(call: Call) -> EnableMount:
    sent = call.values
    if not sent.get("type"):
        raise InvalidRequest("backend type must be specified as a string")
    return EnableMount(
        LOGINS + _path(call),
        sent["type"],
        sent.get("description", ""),
        sent.get("options", {}),
        tuned(MountConfig(), sent.get("config", {})),
        sent.get("local", False),
        sent.get("seal_wrap", False),
    )


def _disable(call: Call) -> DisableMount:
    if _path(call) == _TOKENS:
        raise InvalidRequest("token credential backend cannot be disabled")
    return DisableMount(LOGINS + _path(call))


def _tune(call: Call) -> TuneMount:
    path, sent = _path(call), call.values
    config = {name: value for name, value in sent.items() if name in mount_settings.LOGIN_CONFIG_NAMES}
    return TuneMount(LOGINS + path, sent.get("description"), sent.get("options"), config)


def _shown(call: Call, path: str) -> dict[str, Any] | None:
    if path == _TOKENS:
        return token_mount(call)
    mount = call.mounts.get(LOGINS + path)
    return None if mount is None else entry(mount)


def _path(call: Call) -> str:
    return call.captures["path"] + "/"


def _tuning_endpoints(*, sudo: bool) -> dict[Operation, Endpoint]:
    return {
        Operation.READ: Endpoint(_nothing, _read_tuning, Capability.READ, sudo=sudo),
        Operation.WRITE: Endpoint(
            _tune, _no_content, Capability.UPDATE, mount_settings.LOGIN_TUNE, TENANT_ADMIN, sudo=sudo
        ),
    }


AUTH_ROUTES: Final = (
    Route("sys/mounts/auth/{path...}/tune", _tuning_endpoints(sudo=False)),
    Route("sys/auth", {Operation.READ: Endpoint(_nothing, _list, Capability.READ)}),
    Route("sys/auth/{path...}/tune", _tuning_endpoints(sudo=True)),
    Route(
        "sys/auth/{path...}",
        {
            Operation.READ: Endpoint(_nothing, _read, Capability.READ, sudo=True),
            Operation.WRITE: Endpoint(
                _enable, _no_content, Capability.UPDATE, mount_settings.LOGIN_ENABLE, TENANT_ADMIN, sudo=True
            ),
            Operation.DELETE: Endpoint(_disable, _no_content, Capability.DELETE, rights=TENANT_ADMIN, sudo=True),
        },
    ),
)
