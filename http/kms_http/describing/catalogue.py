"""All that the server tells of its API: help for a path, and documents for who asks.

What does not differ by caller is made once, when it is first asked for.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from kms_actors.auth.principal import Right
from kms_actors.errors import InvalidRequest
from kms_actors.mounts import LOGINS, Mount
from kms_http.describing import help as helping
from kms_http.describing.about import Backend
from kms_http.describing.openapi import Template, document
from kms_http.routing import Operation, Route, Router

#: Bytes of a document: hundreds of mounts would make one that nobody can read.
MOST_BYTES: Final = 8 << 20


class Catalogue:
    """`system` are the backends of fixed places, `engines` those of mounts by their engine's name."""

    def __init__(self, system: Sequence[Backend], engines: Mapping[str, Backend]) -> None:
        self._system = {backend.prefix: backend for backend in system}
        self._engines = engines
        self._routers = {id(backend): Router(backend.routes) for backend in (*system, *engines.values())}
        self._template = functools.cache(lambda engine: Template(engines[engine]))
        self._of_backend = functools.cache(lambda name: helping.of_backend(self._named(name)))
        self._fixed = functools.cache(self._fixed_for)

    def help_of_system(self, path: str) -> Mapping[str, Any] | None:
        """Return help for a path of no mount; None where there is nothing."""
        for prefix, backend in self._system.items():
            if path.rstrip("/") + "/" == prefix:
                return self._of_backend(backend.name)
            if path.startswith(prefix):
                return self._help(backend, path)
        return None

    def help_of_mount(self, mount: Mount, path: str) -> Mapping[str, Any] | None:
        """Return help for a path below a mount, without that; the empty path is the mount's own."""
        backend = self._engines.get(mount.engine)
        if backend is None:
            return None
        return self._help(backend, path) if path else self._of_backend(backend.name)

    def document(
        self, right: Right | None, mounts: Iterable[Mount], *, generic: bool = False, context: str = ""
    ) -> bytes:
        """Return the OpenAPI document for a bearer of `right` (None: for nobody) who reaches `mounts`.

        `generic` gives each mount's path as a parameter; `context` is put behind the ids of operations.

        Raises:
            InvalidRequest: it would have more than `MOST_BYTES`.

        """
        template = self._fixed(right)
        parts = [template.at("", "", context=context)] if template is not None else []
        schemas = [template.schemas] if template is not None else []
        known: set[str] = set()
        names: dict[str, int] = {}
        size = sum(map(len, parts))
        for mount in (each for each in mounts if each.engine in self._engines):
            template = self._template(mount.engine)
            name = _unique(names, mount)
            parameter = _parameter(mount, name) if generic else None
            place = _generic_path(mount, name) if generic else mount.path
            parts.append(template.at(place, f"{name}-", parameter=parameter, context=context))
            if mount.engine not in known:
                known.add(mount.engine)
                schemas.append(template.schemas)
            size += len(parts[-1])
            if size > MOST_BYTES:
                raise InvalidRequest(f"the document has more than {MOST_BYTES >> 20} MiB: this vault has many mounts")
        return document(b",".join(filter(None, parts)), b",".join(filter(None, schemas)))

    def _fixed_for(self, right: Right | None) -> Template | None:
        routes = tuple(
            kept for backend in self._system.values() for route in backend.routes if (kept := _for(route, right))
        )
        if not routes:
            return None
        texts = {pattern: about for backend in self._system.values() for pattern, about in backend.texts.items()}
        tags = {route.pattern: backend.tag for backend in self._system.values() for route in backend.routes}
        return Template(Backend("", "", "", routes, texts), tags=tags)

    def _named(self, name: str) -> Backend:
        everything = (*self._system.values(), *self._engines.values())
        return next(backend for backend in everything if backend.name == name)

    def _help(self, backend: Backend, path: str) -> Mapping[str, Any] | None:
        router = self._routers[id(backend)]
        for operation in Operation:
            found = router.find(path, operation)
            if found is not None:
                return helping.of_route(backend, found.route, path.removeprefix(backend.prefix))
        return None


def _for(route: Route, right: Right | None) -> Route | None:
    """Return a route with what a bearer may ask for at all; None where that is nothing."""
    operations = {
        operation: endpoint
        for operation, endpoint in route.operations.items()
        if (endpoint.anonymous if right is None else right in _rights(endpoint.rights))
    }
    return Route(route.pattern, operations, folder=route.folder) if operations else None


def _rights(rights: frozenset[Right]) -> frozenset[Right]:
    """Return who may ask: policies may give what any right of a vault does."""
    return rights | {Right.POLICY} if rights - {Right.OPERATOR} else rights


def _unique(names: dict[str, int], mount: Mount) -> str:
    """Return a mount's name in ids of operations, which no other mount's is."""
    name = "-".join(re.findall(r"[a-z0-9]+", mount.path.lower())) or "mount"
    names[name] = number = names.get(name, 0) + 1
    return name if number == 1 else f"{name}--{number}"


def _generic_path(mount: Mount, name: str) -> str:
    return f"{LOGINS if mount.for_logins else ''}{{{_parameter_name(name)}}}/"


def _parameter(mount: Mount, name: str) -> dict[str, Any]:
    default = mount.path.removeprefix(LOGINS if mount.for_logins else "").rstrip("/")
    return {
        "name": _parameter_name(name),
        "description": "Path that the backend was mounted at",
        "in": "path",
        "schema": {"type": "string", "default": default},
        "required": True,
    }


def _parameter_name(name: str) -> str:
    return f"{name.removeprefix('auth-')}_mount_path"
