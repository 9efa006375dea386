"""Paths of KV version 1: all that lies below the mount is a secret, or a folder.

Source: Vault's KV version 1 API; SCAN is OpenBao's. Lists in pages (`after`, `limit`) are those of version 2.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import UNSET

from kms_actors.auth.principal import Capability
from kms_actors.errors import InvalidRequest, NotFound
from kms_actors.exact_json import RawJson
from kms_actors.kv import documents
from kms_actors.kv.messages import DeleteUnversioned, ListSecrets, ReadUnversioned, ScanSecrets, WriteUnversioned
from kms_actors.messages import Message
from kms_actors.mounts import SYSTEM_LEASE_TTL
from kms_http.api.kv.lists import PAGES, folder_of, page_of, show_names, show_scanned
from kms_http.api.kv.replies import show_nothing
from kms_http.api.kv.requests import MOST_BODY, mount_of
from kms_http.fields import Everything, WrongType, to_duration
from kms_http.routing import EXISTENCE, Call, Endpoint, Operation, Reply, Route

_SECOND: Final = 10**9


class _Lease(msgspec.Struct):
    ttl: Any = UNSET
    lease: Any = UNSET


_LEASE: Final = msgspec.json.Decoder(_Lease)


def lease_duration(data: bytes, default: int) -> int:
    """Return the seconds that `ttl` in the data says, or `lease` where there is none; `default` if it says none."""
    if b'"ttl":' not in data and b'"lease":' not in data:
        return default
    found = _LEASE.decode(data)
    try:
        nanoseconds: int = to_duration(found.lease if found.ttl is UNSET else found.ttl)
    except WrongType:
        return default
    seconds = abs(nanoseconds) // _SECOND
    return seconds if nanoseconds >= 0 else -seconds


def _read(call: Call) -> Message:
    path = call.captures["path"]
    if not path:
        raise NotFound
    return ReadUnversioned(mount_of(call), path)


def _write(call: Call) -> Message:
    path = call.captures["path"]
    if not path:
        raise InvalidRequest("missing path")
    if call.size > MOST_BODY:
        raise documents.too_large()
    if not call.values:
        raise InvalidRequest("missing data fields")
    return WriteUnversioned(mount_of(call), path, documents.pack(call.values), call.grants)


def _delete(call: Call) -> Message | None:
    path = call.captures["path"]
    return DeleteUnversioned(mount_of(call), path) if path else None


def _list(call: Call) -> Message:
    return ListSecrets(mount_of(call), folder_of(call), *page_of(call), versioned=False)


def _scan(call: Call) -> Message:
    return ScanSecrets(mount_of(call), folder_of(call), *page_of(call), versioned=False)


def _show(call: Call, data: bytes) -> Reply:
    assert call.mount is not None
    default = call.mount.config.default_lease_ttl or SYSTEM_LEASE_TTL
    return Reply(data=RawJson(data), lease_duration=lease_duration(data, default))


ROUTES: Final[tuple[Route, ...]] = (
    Route(
        "{path...}",
        {
            Operation.READ: Endpoint(_read, _show, Capability.READ),
            Operation.WRITE: Endpoint(_write, show_nothing, EXISTENCE, Everything()),
            Operation.DELETE: Endpoint(_delete, show_nothing, Capability.DELETE),
            Operation.LIST: Endpoint(_list, show_names, Capability.LIST, PAGES),
            Operation.SCAN: Endpoint(_scan, show_scanned, Capability.SCAN, PAGES),
        },
    ),
)
