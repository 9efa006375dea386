"""Transit: backups of single keys, and keys made of them."""

from __future__ import annotations

from typing import Final

from kms_actors.auth.principal import Capability
from kms_actors.errors import InvalidRequest
from kms_actors.transit.messages import BackUpKey, RestoreKey
from kms_http.fields import (
    Fields,
    to_bool,
    to_str,
)
from kms_http.routing import (
    Call,
    Endpoint,
    Operation,
    Reply,
    Route,
)


def _build_backup(call: Call) -> BackUpKey:
    assert call.mount is not None
    return BackUpKey(call.mount, call.captures["name"])


def _render_backup(_: Call, backup: str) -> Reply:
    return Reply(data={"backup": backup})


def _build_restore(call: Call) -> RestoreKey:
    assert call.mount is not None
    backup = call.values.get("backup", "")
    if not backup:
        raise InvalidRequest("'backup' must be supplied")
    name = call.captures.get("name") or call.values.get("name", "")
    return RestoreKey(call.mount, name, backup, call.values.get("force", False))


def _render_nothing(_: Call, __: None) -> Reply:
    return Reply(204)


_RESTORE: Final = {
    Operation.WRITE: Endpoint(
        _build_restore, _render_nothing, Capability.UPDATE, Fields(backup=to_str, force=to_bool, name=to_str)
    )
}

ROUTES: Final = (
    Route("backup/{name}", {Operation.READ: Endpoint(_build_backup, _render_backup, Capability.READ)}),
    Route("restore", _RESTORE),
    Route("restore/{name}", _RESTORE),
)
