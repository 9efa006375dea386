"""Paths of KV version 2, relative to the mount, and the messages they become.

Source: Vault's KV version 2 API; `times/` is ours. A path that misses its `data/` or `metadata/` is answered with a
warning that says which command would add it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from kms_actors.auth.principal import Capability
from kms_actors.errors import InvalidRequest, NotFound, UnsupportedOperation
from kms_actors.kv import documents
from kms_actors.kv.messages import (
    DeleteMetadata,
    DeleteVersions,
    DestroyVersions,
    PatchMetadata,
    PatchSecret,
    ReadConfig,
    ReadMetadata,
    ReadSecret,
    ReadSubkeys,
    SetTimes,
    UndeleteVersions,
    WriteConfig,
    WriteMetadata,
    WriteSecret,
)
from kms_actors.messages import Message
from kms_http.api.kv.lists import (
    PAGES,
    list_metadata,
    list_secrets,
    scan_secrets,
    show_listed_metadata,
    show_names,
    show_scanned,
)
from kms_http.api.kv.replies import (
    show_config,
    show_key,
    show_metadata_written,
    show_nothing,
    show_secret,
    show_written,
    show_wrong_path,
)
from kms_http.api.kv.requests import MOST_BODY, mount_of
from kms_http.api.kv.settings import (
    CONFIG,
    METADATA,
    METADATA_PATCH,
    config_settings,
    metadata_settings,
)
from kms_http.api.kv.times import TIMES, times_of
from kms_http.fields import (
    Fields,
    WrongType,
    to_int,
    to_int_list,
    to_map,
)
from kms_http.routing import (
    EXISTENCE,
    LISTING,
    Call,
    Endpoint,
    Operation,
    Route,
)


def _path(call: Call) -> str:
    path = call.captures["path"]
    if path:
        return path
    if call.operation in (Operation.WRITE, Operation.PATCH):
        raise InvalidRequest("cannot write to a path ending in '/'")
    raise NotFound


def _cas(values: Mapping[str, Any]) -> int | None:
    options = values.get("options", {})
    try:
        return to_int(options["cas"]) if "cas" in options else None
    except WrongType:
        raise InvalidRequest("error parsing check-and-set parameter") from None


def _data(call: Call) -> bytes:
    values = call.values
    if call.size > MOST_BODY:
        raise documents.too_large()
    if "data" not in values:
        raise InvalidRequest("no data provided")
    if values["data"] is None:
        raise InvalidRequest("Invalid JSON Patch")
    return documents.pack(values["data"])


def _nullable_map(value: Any) -> dict[str, Any] | None:
    return None if value is None else to_map(value)


def _versions(call: Call, missing: str) -> tuple[int, ...]:
    if not call.values.get("versions"):
        raise InvalidRequest(missing)
    return tuple(call.values["versions"])


def _read_secret(call: Call) -> Message:
    return ReadSecret(mount_of(call), _path(call), call.values.get("version", 0))


def _depth(depth: int) -> int:
    """Return the levels to show; 0 is all. Vault takes a negative number for one."""
    return 1 if depth < 0 else depth


def _read_subkeys(call: Call) -> Message:
    return ReadSubkeys(
        mount_of(call), _path(call), call.values.get("version", 0), _depth(call.values.get("depth", 0))
    )


def _write_secret(call: Call) -> Message:
    return WriteSecret(mount_of(call), _path(call), _data(call), _cas(call.values), call.grants)


def _patch_secret(call: Call) -> Message:
    return PatchSecret(mount_of(call), _path(call), _data(call), _cas(call.values))


def _delete_secret(call: Call) -> Message | None:
    return DeleteVersions(mount_of(call), _path(call)) if call.captures["path"] else None


def _delete_versions(call: Call) -> Message:
    return DeleteVersions(mount_of(call), _path(call), _versions(call, "No version number provided"))


def _undelete_versions(call: Call) -> Message:
    return UndeleteVersions(mount_of(call), _path(call), _versions(call, "No version number provided"))


def _destroy_versions(call: Call) -> Message:
    return DestroyVersions(mount_of(call), _path(call), _versions(call, "no version number provided"))


def _write_metadata(call: Call) -> Message:
    return WriteMetadata(mount_of(call), _path(call), metadata_settings(call.values), call.grants)


def _patch_metadata(call: Call) -> Message:
    return PatchMetadata(mount_of(call), _path(call), metadata_settings(call.values, merge=True))


def _set_times(call: Call) -> Message:
    return SetTimes(mount_of(call), _path(call), times_of(call.values))


def _refuse(_: Call) -> Message:
    raise UnsupportedOperation("unsupported operation")


class _Anything(Fields):
    """No field is declared, and none is unknown."""

    __slots__ = ()

    def parse(self, sent: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
        return {}, []


def _route(pattern: str, **operations: Endpoint) -> Route:
    """Return a route that takes these operations and refuses all others."""
    return Route(pattern, {**_REFUSED, **{Operation(name): endpoint for name, endpoint in operations.items()}})


def _unlisted(route: Route) -> Route:
    """Return a route that leaves lists to the wrong paths."""
    return Route(route.pattern, {name: each for name, each in route.operations.items() if name not in LISTING})


def _versions_endpoint(build: Callable[[Call], Message]) -> Endpoint:
    return Endpoint(build, show_nothing, Capability.UPDATE, Fields(versions=to_int_list))


_LISTS: Final = {
    Operation.LIST: Endpoint(list_secrets, show_names, Capability.LIST, PAGES),
    Operation.SCAN: Endpoint(scan_secrets, show_scanned, Capability.SCAN, PAGES),
}
_METADATA_LISTS: Final = {
    Operation.LIST: Endpoint(list_metadata, show_listed_metadata, Capability.LIST, PAGES),
    Operation.SCAN: Endpoint(list_metadata, show_listed_metadata, Capability.SCAN, PAGES),
}
_CAPABILITIES: Final = {
    Operation.READ: Capability.READ,
    Operation.LIST: Capability.LIST,
    Operation.WRITE: Capability.UPDATE,
    Operation.PATCH: Capability.PATCH,
    Operation.DELETE: Capability.DELETE,
    Operation.SCAN: Capability.SCAN,
}
_WRONG_PATH: Final = {
    operation: Endpoint(lambda _: None, show_wrong_path, capability, _Anything(), refuses=True)
    for operation, capability in _CAPABILITIES.items()
}
_REFUSED: Final = {
    operation: Endpoint(_refuse, show_nothing, capability, refuses=True)
    for operation, capability in _CAPABILITIES.items()
}

ROUTES: Final[tuple[Route, ...]] = (
    _unlisted(
        _route(
            "config",
            read=Endpoint(lambda call: ReadConfig(mount_of(call)), show_config, Capability.READ),
            write=Endpoint(
                lambda call: WriteConfig(mount_of(call), config_settings(call.values)),
                show_nothing,
                Capability.UPDATE,
                CONFIG,
            ),
        )
    ),
    _route(
        "data/{path...}",
        read=Endpoint(_read_secret, show_secret("data"), Capability.READ, Fields(version=to_int)),
        write=Endpoint(
            _write_secret,
            show_written,
            EXISTENCE,
            Fields(existence_checked=True, data=to_map, options=to_map, version=to_int),
        ),
        patch=Endpoint(
            _patch_secret,
            show_written,
            Capability.PATCH,
            Fields(data=_nullable_map, options=to_map, version=to_int),
        ),
        delete=Endpoint(_delete_secret, show_nothing, Capability.DELETE),
    ),
    _route("delete/{path...}", write=_versions_endpoint(_delete_versions)),
    _route("undelete/{path...}", write=_versions_endpoint(_undelete_versions)),
    _route("destroy/{path...}", write=_versions_endpoint(_destroy_versions)),
    Route("metadata", _LISTS),
    _route(
        "metadata/{path...}",
        read=Endpoint(lambda call: ReadMetadata(mount_of(call), _path(call)), show_key, Capability.READ),
        write=Endpoint(_write_metadata, show_metadata_written, EXISTENCE, METADATA),
        patch=Endpoint(_patch_metadata, show_metadata_written, Capability.PATCH, METADATA_PATCH),
        delete=Endpoint(lambda call: DeleteMetadata(mount_of(call), _path(call)), show_nothing, Capability.DELETE),
        **_LISTS,
    ),
    Route("detailed-metadata", _METADATA_LISTS),
    _route("detailed-metadata/{path...}", **_METADATA_LISTS),
    _route(
        "subkeys/{path...}",
        read=Endpoint(_read_subkeys, show_secret("subkeys"), Capability.READ, Fields(version=to_int, depth=to_int)),
    ),
    _route("times/{path...}", write=Endpoint(_set_times, show_nothing, Capability.UPDATE, TIMES, sudo=True)),
    Route("{rest...}", _WRONG_PATH),
)
