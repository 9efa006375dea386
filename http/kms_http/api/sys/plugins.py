"""The catalog of what can be mounted: all of it is part of the program, and nothing can be added.

Source: Vault's API page `sys/plugins/catalog`; statuses and fields are those of its reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from kms_actors import API_VERSION
from kms_actors.auth.principal import Capability
from kms_actors.errors import InvalidRequest, NotFound, UnsupportedOperation
from kms_actors.messages import Message
from kms_actors.mounts import LOGIN_TYPES
from kms_http.routing import SCOPE_ADMIN, Call, Endpoint, Operation, Reply, Route

#: By type. Versions 1 and 2 of KV are one engine.
BUILT_IN: Final[Mapping[str, tuple[str, ...]]] = {
    "auth": tuple(sorted(LOGIN_TYPES)),
    "database": (),
    "secret": ("kv", "transit"),
}
_VERSION: Final = f"v{API_VERSION}"
_FIXED: Final = (
    "there are no plugins to register, to remove or to reload: engines and methods of logins are part of the program"
)


def _nothing(_: Call) -> None:
    return None


def _refuse(_: Call) -> Message:
    raise InvalidRequest(_FIXED)


def _remove(call: Call) -> None:
    """Refuse to remove what is built in; of anything else there is nothing to remove."""
    if call.captures["name"] in BUILT_IN.get(call.captures["type"], ()):
        raise InvalidRequest(_FIXED)


def _removed(_: Call, __: None) -> Reply:
    return Reply(status=204)


def _remove_by_name(call: Call) -> None:
    if call.captures["type"] in {name for names in BUILT_IN.values() for name in names}:
        raise InvalidRequest(_FIXED)


def _removed_by_name(call: Call, _: None) -> Reply:
    name = call.captures["type"]
    return Reply(warnings=(f'Deprecated API endpoint, cannot deregister plugin from catalog for "{name}"',))


def _show_all(_: Call, __: None) -> Reply:
    detailed = [
        {
            "builtin": True,
            "deprecation_status": "supported",
            "name": name,
            "type": kind,
            "version": _VERSION,
        }
        for kind, names in BUILT_IN.items()
        for name in names
    ]
    return Reply(data={**{kind: list(names) for kind, names in BUILT_IN.items()}, "detailed": detailed})


def _list(call: Call, _: None) -> Reply:
    names = BUILT_IN.get(call.captures["type"])
    if names is None:
        raise UnsupportedOperation("unsupported operation")
    if not names:
        raise NotFound
    return Reply(data={"keys": list(names)})


def _show_by_name(call: Call, _: None) -> Reply:
    """Answer what reads a plugin without its type, as Vault did once."""
    name = call.captures["type"]
    if name in BUILT_IN:
        raise UnsupportedOperation("unsupported operation")
    text = f'Deprecated API endpoint, cannot read plugin information from catalog for "{name}"'
    return Reply(warnings=(text,))


def _show(call: Call, _: None) -> Reply:
    kind, name = call.captures["type"], call.captures["name"]
    if name not in BUILT_IN.get(kind, ()):
        raise NotFound
    return Reply(data=_described(name))


def _described(name: str) -> dict[str, Any]:
    return {
        "args": None,
        "builtin": True,
        "command": "",
        "declarative": False,
        "deprecation_status": "supported",
        "name": name,
        "oci": False,
        "sha256": "",
        "version": _VERSION,
    }


def _read(render: Any) -> Endpoint:
    return Endpoint(_nothing, render, Capability.READ, rights=SCOPE_ADMIN)


def _deletion(build: Any, render: Any) -> Endpoint:
    return Endpoint(build, render, Capability.DELETE, rights=SCOPE_ADMIN, sudo=True)


_REFUSED: Final = Endpoint(_refuse, _show_all, Capability.UPDATE, rights=SCOPE_ADMIN, sudo=True, refuses=True)
_LISTED: Final = Endpoint(_nothing, _list, Capability.LIST, rights=SCOPE_ADMIN, sudo=True)

PLUGIN_ROUTES: Final = (
    Route("sys/plugins/catalog", {Operation.READ: _read(_show_all)}),
    Route(
        "sys/plugins/catalog/{type}",
        {
            Operation.READ: _read(_show_by_name),
            Operation.LIST: _LISTED,
            Operation.WRITE: _REFUSED,
            Operation.DELETE: _deletion(_remove_by_name, _removed_by_name),
        },
    ),
    Route(
        "sys/plugins/catalog/{type}/{name}",
        {
            Operation.READ: _read(_show),
            Operation.WRITE: _REFUSED,
            Operation.DELETE: _deletion(_remove, _removed),
        },
    ),
    Route("sys/plugins/reload/backend", {Operation.WRITE: _REFUSED}),
)
