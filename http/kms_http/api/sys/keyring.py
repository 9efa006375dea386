"""The keyring of the caller's vault, or of the cluster: its status, its rotation, and when it is rotated by itself.

Source: Vault's API pages `sys/key-status`, `sys/rotate`, `sys/rotate/config`; OpenBao calls the last two
`sys/rotate/keyring`, too.
"""

from __future__ import annotations

from typing import Final

from kms_actors.auth.principal import Capability
from kms_actors.ceremony.messages import (
    ConfigureRotation,
    KeyStatus,
    ReadKeyStatus,
    ReadRotateConfig,
    RotateKeyring,
)
from kms_actors.ceremony.rotation import RotateConfig
from kms_http.fields import Fields, to_bool, to_int, to_period
from kms_http.routing import (
    SCOPE_ADMIN,
    Call,
    Endpoint,
    Operation,
    Reply,
    Route,
)
from kms_http.times import duration, rfc3339

_CONFIG: Final = Fields(max_operations=to_int, interval=to_period, enabled=to_bool)


def _show_status(_: Call, status: KeyStatus) -> Reply:
    return Reply(
        data={
            "encryptions": status.encryptions,
            "install_time": rfc3339(int(status.since * 1e9)),
            "term": status.term,
        },
        mirrored=True,
    )


def _show_config(_: Call, config: RotateConfig) -> Reply:
    interval = duration(config.interval) if config.interval else 0
    return Reply(data={"enabled": config.enabled, "interval": interval, "max_operations": config.max_operations})


def _configure(call: Call) -> ConfigureRotation:
    sent = call.values
    return ConfigureRotation(sent.get("max_operations"), sent.get("interval"), sent.get("enabled"))


def _no_content(_: Call, __: object) -> Reply:
    return Reply(status=204)


_ROTATE: Final = {
    Operation.WRITE: Endpoint(
        lambda _: RotateKeyring(), _no_content, Capability.UPDATE, rights=SCOPE_ADMIN, sudo=True
    )
}
_ROTATE_CONFIG: Final = {
    Operation.READ: Endpoint(
        lambda _: ReadRotateConfig(), _show_config, Capability.READ, rights=SCOPE_ADMIN, sudo=True
    ),
    Operation.WRITE: Endpoint(_configure, _no_content, Capability.UPDATE, _CONFIG, SCOPE_ADMIN, sudo=True),
}

KEYRING_ROUTES: Final = (
    Route(
        "sys/key-status",
        {Operation.READ: Endpoint(lambda _: ReadKeyStatus(), _show_status, Capability.READ, rights=SCOPE_ADMIN)},
    ),
    Route("sys/rotate", _ROTATE),
    Route("sys/rotate/config", _ROTATE_CONFIG),
    Route("sys/rotate/keyring", _ROTATE),
    Route("sys/rotate/keyring/config", _ROTATE_CONFIG),
)
