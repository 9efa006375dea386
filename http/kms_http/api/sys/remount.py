"""Mounts of the caller's tenant that get another path.

Source: Vault's API page `sys/remount`.
"""

from __future__ import annotations

from typing import Final

from kms_actors.auth.principal import Capability
from kms_actors.errors import InvalidRequest
from kms_actors.messages import Moved, MoveMount, ReadMove
from kms_http.fields import Fields, to_str
from kms_http.routing import TENANT_ADMIN, Call, Endpoint, Operation, Reply, Route

_MISSING: Final = "both 'from' and 'to' path must be specified as a string"


def _move(call: Call) -> MoveMount:
    source, target = call.values.get("from", ""), call.values.get("to", "")
    if not source or not target:
        raise InvalidRequest(_MISSING)
    for name, path in (("from", source), ("to", target)):
        if path != path.strip():
            raise InvalidRequest(f"'{name}' path cannot contain trailing whitespace")
    return MoveMount(source.strip("/") + "/", target.strip("/") + "/")


def _moved(_: Call, migration: str) -> Reply:
    return Reply(data={"migration_id": migration}, mirrored=True)


def _read(call: Call) -> ReadMove:
    return ReadMove(call.captures["migration_id"])


def _show(call: Call, moved: Moved) -> Reply:
    info = {"source_mount": moved.source, "status": "success", "target_mount": moved.target}
    return Reply(data={"migration_id": call.captures["migration_id"], "migration_info": info})


REMOUNT_ROUTES: Final = (
    Route(
        "sys/remount",
        {
            Operation.WRITE: Endpoint(
                _move,
                _moved,
                Capability.UPDATE,
                Fields(existence_checked=False, **{"from": to_str, "to": to_str}),
                TENANT_ADMIN,
                sudo=True,
            )
        },
    ),
    Route(
        "sys/remount/status/{migration_id}",
        {Operation.READ: Endpoint(_read, _show, Capability.READ, rights=TENANT_ADMIN)},
    ),
)
