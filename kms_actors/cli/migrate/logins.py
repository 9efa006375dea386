"""Roles, users and configurations of logins, without what proves who somebody is: that no server shows."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from kms_actors.cli.migrate.findings import Report
from kms_actors.cli.migrate.server import Server

_NO_METHOD: Final = "what the method {} has is not copied"
_NOT_SHOWN: Final = "secret ids of AppRoles are shown to nobody: make new ones"
_NO_PASSWORDS: Final = "passwords of users are shown to nobody: each has a random one now, until it is set anew"
_OF_CLIENTS: Final = "the client secret of an OIDC configuration is shown to nobody: write it anew"
_CONFIGURATIONS: Final = "configurations of logins"
_UNKNOWN: Final = "the server that is copied to knows no `{}` of logins"

#: What servers tell, and do not take.
_SHOWN_ONLY: Final = frozenset({"local_secret_ids", "role_type_display", "status"})

#: What is written of a place of the source beside what is shown there; whether it is new in the target.
_Further = Callable[[Server, str, bool], dict[str, Any]]


def _nothing(_: Server, __: str, ___: bool) -> dict[str, Any]:
    return {}


def _role_id(source: Server, place: str, _: bool) -> dict[str, Any]:
    known = source.read(f"{place}/role-id")
    return {} if known is None else {"role_id": known["role_id"]}


def _password(_: Server, __: str, new: bool) -> dict[str, Any]:
    return {"password": secrets.token_urlsafe(32)} if new else {}


class _Method(NamedTuple):
    """What a method has below its mount: `kind` is what it is called, `note` what is not kept of each."""

    kind: str
    folder: str
    note: str = ""
    further: _Further = _nothing
    configured: bool = False

    def places(self, source: Server, mount: str) -> Iterator[str]:
        """Yield the paths of all that can be copied."""
        if self.configured and source.read(f"{mount}config") is not None:
            yield f"{mount}config"
        yield from (f"{mount}{self.folder}/{name}" for name in source.names(f"{mount}{self.folder}"))


_METHODS: Final[Mapping[str, _Method]] = {
    "approle": _Method("AppRoles", "role", _NOT_SHOWN, _role_id),
    "userpass": _Method("users", "users", _NO_PASSWORDS, _password),
    "jwt": _Method("JWT roles", "role", configured=True),
    "oidc": _Method("JWT roles", "role", configured=True),
}


def found(source: Server, path: str, kind: str, report: Report) -> int:
    """Return how much a mount of logins has that can be copied; note one of which nothing can be."""
    method = _METHODS.get(kind)
    if method is None:
        report.leave(f"auth/{path}", _NO_METHOD.format(kind))
        return 0
    places: list[str] = []
    with report.leaving(f"auth/{path}"):
        places += method.places(source, f"auth/{path}")
    return len(places)


def copy(source: Server, target: Server, path: str, kind: str, report: Report) -> None:
    """Copy what a mount of logins has; what has its name already becomes as it is there."""
    method, mount = _METHODS.get(kind), f"auth/{path}"
    if method is None:
        report.leave(mount, _NO_METHOD.format(kind))
        return
    with report.leaving(mount):
        for place in method.places(source, mount):
            with report.leaving(place):
                _copy(source, target, place, method, report, settings=place == f"{mount}config")


def _copy(source: Server, target: Server, place: str, method: _Method, report: Report, *, settings: bool) -> None:
    shown = source.read(place)
    if shown is None:
        return
    here = target.read(place)
    further = {} if settings else method.further(source, place, here is None)
    target.write(place, _settable(shown) | _emptied(shown, here or {}) | further)
    report.copy(_CONFIGURATIONS if settings else method.kind)
    note = (_OF_CLIENTS if shown.get("oidc_client_id") else "") if settings else method.note
    if note:
        report.note(note)


def compare(source: Server, target: Server, path: str, kind: str, report: Report) -> None:
    """Note which roles, users and configurations are others."""
    method, left, mount = _METHODS.get(kind), {what for what, _ in report.left}, f"auth/{path}"
    for place in () if method is None or mount in left else method.places(source, mount):
        if place in left or (there := source.read(place)) is None:
            continue
        here = target.read(place)
        if here is None:
            report.differ(place, "not on both sides")
            continue
        wanted, known = _settable(there), _settable(here)
        for name in sorted(wanted.keys() | (known.keys() & there.keys())):
            if (wanted.get(name) or None) == (known.get(name) or None):  # a server may not know what is not set
                continue
            if name in here:
                report.differ(place, name)
            else:
                report.note(_UNKNOWN.format(name))


def _emptied(shown: Mapping[str, Any], here: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is nothing there and something here: a role that gives less gives less here, too."""
    wanted, known = _settable(shown), _settable(here)
    return {name: shown[name] for name in known.keys() - wanted.keys() if shown.get(name) is not None}


def _settable(shown: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was shown without what is nothing, and what cannot be set."""
    return {
        name: value for name, value in shown.items() if name not in _SHOWN_ONLY and value not in (None, "", [], {})
    }
