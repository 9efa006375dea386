"""Mounts as answers show them: those of the vault, and those that every vault has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from kms_actors import API_VERSION, mounts
from kms_actors.auth.principal import Right, makers
from kms_actors.mounts import (
    LOGINS,
    SYSTEM_LEASE_TTL,
    LockoutConfig,
    Mount,
    own_mount_id,
)
from kms_http.routing import Call

_DEFAULT_TOKENS: Final = "default-service"
#: Their types, their descriptions, and what of them is not as of any mount.
_SYSTEM_MOUNTS: Final[Mapping[str, tuple[str, str, Mapping[str, Any]]]] = {
    "cubbyhole": ("cubbyhole", "per-token private secret storage", {"local": True}),
    "identity": ("identity", "identity store", {"passthrough_request_headers": ["Authorization"]}),
    "sys": (
        "system",
        "system endpoints used for control, policy and debugging",
        {"passthrough_request_headers": ["Accept"], "seal_wrap": True},
    ),
}


def entry(mount: Mount) -> dict[str, Any]:
    """Return what is shown of a mount."""
    shown = _describe(mount.type, mount.accessor, mount.uuid, mount.description, mount.options)
    kept = msgspec.to_builtins(mount.config)  # without what was never set
    if mount.for_logins:
        kept["token_type"] = mount.config.token_type or _DEFAULT_TOKENS
        if mount.config.user_lockout_config is not None:
            kept["user_lockout_config"] = _lockout(mount.config.user_lockout_config)
    shown["config"] = dict(sorted({**shown["config"], **kept}.items()))
    known = {"deprecation_status": "supported", "local": mount.local, "seal_wrap": mount.seal_wrap}
    return dict(sorted({**shown, **known}.items()))


def path_below_logins(mount: Mount) -> str:
    """Return the path of a mount of logins as `sys/auth` has it: `approle/`."""
    return mount.path.removeprefix(LOGINS)


def tuning(shown: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a mount, with what holds where it says nothing."""
    config = dict(shown["config"])
    config |= config.pop("user_lockout_config", {})
    for name in ("default_lease_ttl", "max_lease_ttl"):
        config[name] = config[name] or SYSTEM_LEASE_TTL
    options = {"options": shown["options"]} if shown["options"] else {}
    return dict(sorted({**config, **options, "description": shown["description"]}.items()))


def token_mount(call: Call) -> dict[str, Any]:
    """Return the mount that every vault's tokens come from."""
    mount = mounts.token_mount(_vault_of(call), call.mounts.tokens)
    shown = _describe(mount.type, mount.accessor, mount.uuid, mount.description, mount.options or None)
    kept = {**msgspec.to_builtins(mount.config), "token_type": _DEFAULT_TOKENS}
    shown["config"] = dict(sorted({**shown["config"], **kept}.items()))
    return shown


def system_mounts(call: Call) -> dict[str, Any]:
    """Return the mounts that every vault shows in Vault, whatever can be done below them here."""
    return {
        f"{path}/": _with(_own_mount(call, kind, description), own)
        for path, (kind, description, own) in _SYSTEM_MOUNTS.items()
    }


def _with(shown: dict[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Return an entry with values of its own, each where it belongs."""
    return {
        **{name: own.get(name, value) for name, value in shown.items()},
        "config": {**shown["config"], **{name: value for name, value in own.items() if name not in shown}},
    }


def reaches(call: Call, path: str) -> bool:
    """Tell whether the caller's policies, and those of who made the token, give anything at the path or below."""
    assert call.principal is not None
    return all(
        bearer.right is not Right.POLICY or (bearer.acl is not None and bearer.acl.touches(path))
        for bearer in (call.principal, *makers(call.principal))
    )


def _lockout(config: LockoutConfig) -> dict[str, Any]:
    return {
        "user_lockout_counter_reset_duration": config.counter_reset,
        "user_lockout_disable": config.disable,
        "user_lockout_duration": config.duration,
        "user_lockout_threshold": config.threshold,
    }


def _own_mount(call: Call, kind: str, description: str) -> dict[str, Any]:
    identity = own_mount_id(_vault_of(call), kind)
    return _describe(kind, f"{kind}_{identity[:8]}", identity, description, None)


def _vault_of(call: Call) -> str:
    assert call.principal is not None
    return call.principal.resource


def _describe(kind: str, accessor: str, identity: str, description: str, options: Any) -> dict[str, Any]:
    return {
        "accessor": accessor,
        "config": {"default_lease_ttl": 0, "force_no_cache": False, "max_lease_ttl": 0},
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
