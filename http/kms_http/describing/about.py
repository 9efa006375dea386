"""What is said of a route, beside what its table says: a line, a text, and what its fields are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from kms_http.describing.field_texts import FIELDS
from kms_http.routing import Route


class About(NamedTuple):
    """`synopsis` is one line; `fields` says of a field what the common table does not, `required` is of writes."""

    synopsis: str
    description: str = ""
    fields: Mapping[str, str] = {}
    required: tuple[str, ...] = ()


#: By pattern.
Texts = Mapping[str, About]


class Backend(NamedTuple):
    """Routes that are mounted together: what help calls one backend.

    `prefix` is what their patterns begin with (`sys/`; empty for what lies under mounts), `tag` groups operations in
    an OpenAPI document.
    """

    name: str
    tag: str
    description: str
    routes: tuple[Route, ...]
    texts: Texts
    prefix: str = ""

    def about(self, route: Route) -> About:
        """Return what is said of a route; nothing where nobody has written it."""
        return self.texts.get(route.pattern, _NOTHING)


_NOTHING = About("")


def field_text(about: About, name: str) -> str:
    """Return what a field is."""
    return about.fields.get(name) or FIELDS.get(name, "")


def below(routes: Iterable[Route], prefix: str) -> tuple[Route, ...]:
    """Return the routes of a table whose patterns begin with `prefix`."""
    return tuple(route for route in routes if route.pattern.startswith(prefix))
