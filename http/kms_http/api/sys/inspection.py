"""The mounts of a vault as its router finds them.

Source: Vault's API page `sys/internal/inspect/router`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from kms_actors.auth.principal import Capability
from kms_actors.errors import UnsupportedPath
from kms_actors.mounts import Mount
from kms_http.api.sys.mount_entries import path_below_logins, system_mounts, token_mount
from kms_http.routing import TENANT_ADMIN, Call, Endpoint, Operation, Reply, Route

#: Which of them say where records lie, as in Vault.
_WITH_PLACES: Final = {"root": True, "uuid": False, "accessor": False, "storage": True}
_TOKENS: Final = "token/"


def _nothing(_: Call) -> None:
    return None


def _show(call: Call, _: None) -> Reply:
    tag = call.captures["tag"]
    places = _WITH_PLACES.get(tag)
    if places is None:
        raise UnsupportedPath("unsupported path")
    return Reply(data={tag: list(_entries(call, places=places))})


def _entries(call: Call, *, places: bool) -> Iterator[dict[str, Any]]:
    for path, shown in {**system_mounts(call), _TOKENS: token_mount(call)}.items():
        yield _entry(path, shown["accessor"], shown["type"], shown["uuid"], path if places else None)
    for mount in call.mounts:
        path = path_below_logins(mount) if mount.for_logins else mount.path
        yield _entry(path, mount.accessor, mount.type, mount.uuid, _place(mount) if places else None)


def _entry(path: str, accessor: str, kind: str, identity: str, place: str | None) -> dict[str, Any]:
    shown: dict[str, Any] = {"accessor": accessor, "mount_namespace": "", "mount_path": path, "mount_type": kind}
    if place is not None:
        shown |= {"storage_prefix": place, "tainted": False}
    return {**shown, "uuid": identity}


def _place(mount: Mount) -> str:
    """Return where a mount's records lie among those of the vault: engine and number."""
    return f"{mount.type}/{mount.number}/"


INSPECTION_ROUTES: Final = (
    Route(
        "sys/internal/inspect/router/{tag}",
        {Operation.READ: Endpoint(_nothing, _show, Capability.READ, rights=TENANT_ADMIN, sudo=True)},
    ),
)
