"""Roles and users of logins, without what proves them: that no server shows."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from typing import Any, Final

from kms_actors.cli.migrate.findings import Report
from kms_actors.cli.migrate.server import Server

_NOT_SHOWN: Final = "secret ids of AppRoles are shown to nobody: make new ones"
_NO_PASSWORDS: Final = "passwords of users are shown to nobody: each has a random one now, until it is set anew"
_OF_CLIENTS: Final = "the client secret of an OIDC configuration is shown to nobody: write it anew"

#: What servers tell, and do not take.
_SHOWN_ONLY: Final = frozenset({"local_secret_ids", "role_type_display", "status"})


def copy(source: Server, target: Server, path: str, kind: str, report: Report) -> None:
    """Copy what a mount of logins has."""
    method = _METHODS.get(kind)
    if method is None:
        report.leave(f"auth/{path}", f"what the method {kind} has is not copied")
    else:
        method(source, target, f"auth/{path}", report)


def _approle(source: Server, target: Server, mount: str, report: Report) -> None:
    for name in source.names(f"{mount}role"):
        role = _settable(source.read(f"{mount}role/{name}"))
        known = source.read(f"{mount}role/{name}/role-id")
        if known is not None:
            role["role_id"] = known["role_id"]
        if _write(target, f"{mount}role/{name}", role, "AppRoles", report):
            report.note(_NOT_SHOWN)


def _userpass(source: Server, target: Server, mount: str, report: Report) -> None:
    there = set(target.names(f"{mount}users"))
    for name in source.names(f"{mount}users"):
        user = _settable(source.read(f"{mount}users/{name}"))
        if name not in there:
            user["password"] = secrets.token_urlsafe(32)
        if _write(target, f"{mount}users/{name}", user, "users", report):
            report.note(_NO_PASSWORDS)


def _jwt(source: Server, target: Server, mount: str, report: Report) -> None:
    config = source.read(f"{mount}config")
    if config is not None:
        if config.get("oidc_client_id"):
            report.note(_OF_CLIENTS)
        _write(target, f"{mount}config", _settable(config), "configurations of logins", report)
    for name in source.names(f"{mount}role"):
        role = _settable(source.read(f"{mount}role/{name}"))
        _write(target, f"{mount}role/{name}", role, "JWT roles", report)


def _settable(shown: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was shown without what is nothing, and what cannot be set."""
    return {
        name: value for name, value in shown.items() if name not in _SHOWN_ONLY and value not in (None, "", [], {})
    }


def _write(target: Server, place: str, body: Mapping[str, Any], kind: str, report: Report) -> bool:
    answer = target.ask("POST", place, body)
    if answer.good:
        report.copy(kind)
    else:
        report.leave(place, answer.why)
    return answer.good


_METHODS: Final[Mapping[str, Callable[[Server, Server, str, Report], None]]] = {
    "approle": _approle,
    "userpass": _userpass,
    "jwt": _jwt,
    "oidc": _jwt,
}
