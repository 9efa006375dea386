"""Audit devices of the caller's vault, or of the cluster: listed, enabled, disabled, and what they write of a value.

Source: Vault's API pages `sys/audit`, `sys/audit-hash` and `sys/config/auditing`.
"""

from __future__ import annotations

import base64
from typing import Any, Final

from kms_actors.audit.device import Devices
from kms_actors.audit.messages import (
    Checkpoints,
    DeleteHeader,
    DisableDevice,
    EnableDevice,
    HashInput,
    ReadCheckpoints,
    ReadDevices,
    WriteHeader,
)
from kms_actors.auth.principal import Capability
from kms_actors.errors import InvalidRequest
from kms_http.fields import Fields, WrongType, to_bool, to_map, to_str
from kms_http.routing import SCOPE_ADMIN, Call, Endpoint, Operation, Reply, Route
from kms_http.times import rfc3339


def _path(call: Call) -> str:
    return call.captures["path"] + "/"


def _no_content(_: Call, __: Any) -> Reply:
    return Reply(status=204)


def _read(_: Call) -> ReadDevices:
    return ReadDevices()


def _list(_: Call, devices: Devices) -> Reply:
    shown = {
        device.path: {
            "description": device.description,
            "local": device.local,
            "options": device.options,
            "path": device.path,
            "type": device.type,
        }
        for device in sorted(devices.all, key=lambda device: device.path)
    }
    return Reply(data=shown, mirrored=True)


def _enable(call: Call) -> EnableDevice:
    sent = call.values
    options = {str(name): _option(name, value) for name, value in sent.get("options", {}).items()}
    return EnableDevice(
        _path(call), sent.get("type", ""), sent.get("description", ""), options, sent.get("local", False)
    )


def _option(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    try:
        return to_str(value)
    except WrongType as wrong:
        raise InvalidRequest(f"option {name}: {wrong}") from None


def _disable(call: Call) -> DisableDevice:
    return DisableDevice(_path(call))


def _hash(call: Call) -> HashInput:
    text = call.values.get("input", "")
    if not text:
        raise InvalidRequest('the "input" parameter is empty')
    return HashInput(_path(call), text)


def _show_hash(_: Call, made: str) -> Reply:
    return Reply(data={"hash": made}, mirrored=True)


def _checkpoints(call: Call) -> ReadCheckpoints:
    return ReadCheckpoints(_path(call))


def _show_checkpoints(_: Call, known: Checkpoints) -> Reply:
    logs = [
        {
            "checkpoint": anchor.checkpoint,
            "closed": anchor.closed,
            "file": anchor.file.rpartition("/")[2],
            "head": anchor.head,
            "key": str(known.trust.verifier(anchor.log)),
            "lines": anchor.lines,
            "log": anchor.log,
            "node": anchor.node,
            "time": rfc3339(anchor.time),
        }
        for anchor in known.logs
    ]
    public_key = base64.b64encode(known.trust.public_key).decode()
    return Reply(data={"logs": logs, "public_key": public_key, "scope": known.trust.scope})


def _show_headers(_: Call, devices: Devices) -> Reply:
    headers = {name: {"hmac": hmac} for name, hmac in sorted(devices.headers.shown.items())}
    return Reply(data={"headers": headers}, mirrored=True)


def _show_header(call: Call, devices: Devices) -> Reply:
    name = call.captures["header"]
    hmac = devices.headers.shown.get(name.lower())
    if hmac is None:
        raise InvalidRequest("Could not find header in config")
    return Reply(data={name: {"hmac": hmac}}, mirrored=True)


def _write_header(call: Call) -> WriteHeader:
    return WriteHeader(call.captures["header"], call.values.get("hmac", False))


def _delete_header(call: Call) -> DeleteHeader:
    return DeleteHeader(call.captures["header"])


_ENABLE: Final = Fields(type=to_str, description=to_str, options=to_map, local=to_bool)

AUDIT_ROUTES: Final = (
    Route("sys/audit", {Operation.READ: Endpoint(_read, _list, Capability.READ, rights=SCOPE_ADMIN, sudo=True)}),
    Route(
        "sys/audit/{path...}",
        {
            Operation.WRITE: Endpoint(_enable, _no_content, Capability.UPDATE, _ENABLE, SCOPE_ADMIN, sudo=True),
            Operation.DELETE: Endpoint(_disable, _no_content, Capability.DELETE, rights=SCOPE_ADMIN, sudo=True),
        },
    ),
    Route(
        "sys/audit-hash/{path...}",
        {Operation.WRITE: Endpoint(_hash, _show_hash, Capability.UPDATE, Fields(input=to_str), SCOPE_ADMIN)},
    ),
    Route(
        "sys/audit-checkpoint/{path...}",
        {Operation.READ: Endpoint(_checkpoints, _show_checkpoints, Capability.READ, rights=SCOPE_ADMIN)},
    ),
    Route(
        "sys/config/auditing/request-headers",
        {Operation.READ: Endpoint(_read, _show_headers, Capability.READ, rights=SCOPE_ADMIN, sudo=True)},
    ),
    Route(
        "sys/config/auditing/request-headers/{header}",
        spelling={"header": str.lower},
        operations={
            Operation.READ: Endpoint(_read, _show_header, Capability.READ, rights=SCOPE_ADMIN, sudo=True),
            Operation.WRITE: Endpoint(
                _write_header, _no_content, Capability.UPDATE, Fields(hmac=to_bool), SCOPE_ADMIN, sudo=True
            ),
            Operation.DELETE: Endpoint(_delete_header, _no_content, Capability.DELETE, rights=SCOPE_ADMIN, sudo=True),
        },
    ),
)
