"""Help for a path, as `vault path-help` prints it: a route with its fields, or all routes of a backend."""

from __future__ import annotations

import re
from typing import Any, Final

from kms_actors.exact_json import RawJson
from kms_http.describing.about import Backend, field_text
from kms_http.describing.kinds import kind_of
from kms_http.describing.openapi import Template, document
from kms_http.routing import Route, compile_pattern

_ROUTE: Final = "Request:        {path}\nMatching Route: {pattern}\n\n{synopsis}\n\n"
_PATHS: Final = (
    "## PATHS\n\nThe following paths are supported by this backend. To view help for\n"
    "any of the paths below, use the help command with any route matching\n"
    "the path pattern. Note that depending on the policy of your auth token,\n"
    "you may or may not be able to access certain paths."
)
_INDENT: Final = "    "


def of_route(backend: Backend, route: Route, path: str) -> dict[str, Any]:
    """Return the help of the route that takes `path`, which is relative to the backend."""
    about = backend.about(route)
    text = _ROUTE.format(path=path, pattern=_shown(backend, route), synopsis=about.synopsis)
    kinds = _kinds(route)
    if kinds:
        parts = [
            f"{_INDENT}{name} ({kind})\n\n{_indented(field_text(about, name), 2)}" for name, kind in kinds.items()
        ]
        text += "## PARAMETERS\n\n" + "\n\n".join(parts) + "\n\n"
    text += f"## DESCRIPTION\n\n{about.description}"
    return _answer(text.rstrip("\n"), backend._replace(routes=(route,)))


def of_backend(backend: Backend) -> dict[str, Any]:
    """Return the help of all routes of a backend."""
    listed = []
    for route in sorted(backend.routes, key=lambda route: route.pattern):
        if not all(endpoint.refuses for endpoint in route.operations.values()):
            synopsis = _indented(backend.about(route).synopsis, 2)
            listed.append(f"{_INDENT}{_shown(backend, route)}\n{synopsis}")
    text = f"## DESCRIPTION\n\n{backend.description}\n\n{_PATHS}\n\n" + "\n\n".join(listed)
    return _answer(text, backend)


def _answer(text: str, backend: Backend) -> dict[str, Any]:
    template = Template(backend, cut=backend.prefix)
    whole = document(template.at("", ""), template.schemas)
    return {"help": text, "openapi": RawJson(whole), "see_also": None}


def _shown(backend: Backend, route: Route) -> str:
    pattern = route.pattern.removeprefix(backend.prefix)
    return f"^{compile_pattern(pattern, folder=route.folder).pattern}$"


def _kinds(route: Route) -> dict[str, str]:
    found = dict.fromkeys(re.findall(r"\{(\w+)", route.pattern), "string")
    for endpoint in route.operations.values():
        for name, converter in endpoint.fields.declared.items():
            found.setdefault(name, kind_of(name, converter).name)
    return dict(sorted(found.items()))


def _indented(text: str, depth: int) -> str:
    return "\n".join(_INDENT * depth + line if line else "" for line in text.split("\n"))
