"""Path items of an OpenAPI document (version 3.0), as Vault's own has them.

A document for a vault is put together of what its backends have once and for all: their items, rendered, in which
three words stand for what differs by mount. So it costs no more than copying its bytes.

Source: the OpenAPI Specification 3.0.3; Vault's API page `sys/internal/specs/openapi` for the extensions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from kms_actors import API_VERSION
from kms_http.describing.about import About, Backend, field_text
from kms_http.describing.kinds import kind_of
from kms_http.fields import Converter
from kms_http.routing import EXISTENCE, LISTING, Endpoint, Operation, Route
from kms_http.wire import json_codec

#: Stand for the mount's path, for what comes before an operation's id, for what comes behind it, and for a parameter.
MOUNT: Final = "@mount@"
ID: Final = "@id@"
CONTEXT: Final = "@context@"
_PARAMETER: Final = {"$ref": "@parameter@"}
_PARAMETER_BYTES: Final = json_codec.dumps(_PARAMETER)

_INFO: Final = json_codec.dumps(
    {
        "title": "Clever KMS API",
        "description": "The HTTP API of Vault as this server has it. All paths begin with `/v1/`.",
        "version": API_VERSION,
    }
)
_CAPTURE: Final = re.compile(r"\{(\w+)(?:\.\.\.)?\}")
NO_TAGS: Final[Mapping[str, str]] = {}
_NAMED: Final = r"{\1}"
_VERBS: Final = {Operation.WRITE: "post", Operation.PATCH: "patch", Operation.DELETE: "delete"}
_WORDS: Final = {
    Operation.READ: "read",
    Operation.WRITE: "write",
    Operation.PATCH: "patch",
    Operation.DELETE: "delete",
    Operation.LIST: "list",
    Operation.SCAN: "list",
}
_WITH_BODY: Final = frozenset({Operation.WRITE, Operation.PATCH})
_WITHOUT_CONTENT: Final = frozenset({"_no_content", "show_nothing", "no_content"})


class Items(NamedTuple):
    """Of one backend: path items and schemas, each a JSON object's inside."""

    paths: bytes
    schemas: bytes


def _items(backend: Backend, cut: str, tags: Mapping[str, str]) -> Items:
    paths: dict[str, Any] = {}
    schemas: dict[str, Any] = {}
    for route in backend.routes:
        tagged = backend._replace(tag=tags.get(route.pattern, backend.tag))
        item = _path_item(tagged, route, schemas)
        if item is not None:
            paths.setdefault(f"/{MOUNT}{_CAPTURE.sub(_NAMED, route.pattern.removeprefix(cut))}", item)
    return Items(json_codec.dumps(paths)[1:-1], json_codec.dumps(schemas)[1:-1])


class _Path(NamedTuple):
    """A path, and its operations that documents show."""

    backend: Backend
    route: Route
    shown: Mapping[Operation, Endpoint]

    @property
    def about(self) -> About:
        return self.backend.about(self.route)

    @property
    def captures(self) -> list[str]:
        return _CAPTURE.findall(self.route.pattern)


def _path_item(backend: Backend, route: Route, schemas: dict[str, Any]) -> dict[str, Any] | None:
    """Return what a document says of a path; the schemas of what is sent there are added to `schemas`."""
    shown = {operation: each for operation, each in route.operations.items() if not each.refuses}
    if not shown:
        return None
    path = _Path(backend, route, shown)
    item: dict[str, Any] = {"description": path.about.synopsis} if path.about.synopsis else {}
    item["parameters"] = [_PARAMETER, *(_in_path(path.about, name) for name in path.captures)]
    if any(each.sudo for each in shown.values()):
        item["x-vault-sudo"] = True
    if any(each.anonymous for each in shown.values()):
        item["x-vault-unauthenticated"] = True
    if any(each.capability is EXISTENCE for each in shown.values()):
        item["x-vault-createSupported"] = True
    for verb, operation, endpoint in _verbs(shown):
        item[verb] = _operation(path, operation, endpoint, schemas)
    return item


def _verbs(shown: Mapping[Operation, Endpoint]) -> Iterator[tuple[str, Operation, Endpoint]]:
    """Yield the verbs of OpenAPI, which has none for lists: those are reads with a parameter."""
    looks = [operation for operation in (Operation.READ, Operation.LIST, Operation.SCAN) if operation in shown]
    if looks:
        yield "get", looks[0], shown[looks[0]]
    for operation, verb in _VERBS.items():
        if operation in shown:
            yield verb, operation, shown[operation]


def _operation(path: _Path, operation: Operation, endpoint: Endpoint, schemas: dict[str, Any]) -> dict[str, Any]:
    backend, about = path.backend, path.about
    name = f"{_WORDS[operation]}-{_slug(path.route.pattern)}"
    described: dict[str, Any] = {"operationId": f"{ID}{name}{CONTEXT}", "tags": [backend.tag]}
    if about.synopsis:
        described["summary"] = about.synopsis
    fields = {field: each for field, each in endpoint.fields.declared.items() if field not in path.captures}
    if operation in _WITH_BODY:
        if fields or endpoint.fields.all_taken:
            schema = "".join(part.capitalize() for part in f"{backend.name}-{name}-request".split("-"))
            required = [field for field in about.required if field in fields]
            schemas[schema] = _schema(endpoint, fields, about, required)
            content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
            described["requestBody"] = {"required": bool(required), "content": content}
    elif parameters := _parameters(path, operation, fields):
        described["parameters"] = parameters
    empty = getattr(endpoint.render, "__name__", "") in _WITHOUT_CONTENT
    described["responses"] = {"204": {"description": "empty body"}} if empty else {"200": {"description": "OK"}}
    return described


def _parameters(path: _Path, operation: Operation, fields: Mapping[str, Converter]) -> list[dict[str, Any]]:
    if operation is Operation.DELETE:
        return [_in_query(path.about, field, each) for field, each in sorted(fields.items())]
    asked = dict(fields)
    for listing in LISTING & path.shown.keys():
        asked |= path.shown[listing].fields.declared
    own = [_in_query(path.about, field, each) for field, each in sorted(asked.items()) if field not in path.captures]
    return own + _listing(path.shown)


def _schema(endpoint: Endpoint, fields: Mapping[str, Any], about: About, required: list[str]) -> dict[str, Any]:
    properties = {name: _described(about, name, each) for name, each in sorted(fields.items())}
    schema: dict[str, Any] = {"type": "object", "properties": properties}
    if required:
        schema["required"] = required
    if endpoint.fields.all_taken:
        schema["additionalProperties"] = True
    return schema


def _described(about: About, name: str, converter: Any) -> dict[str, Any]:
    text = field_text(about, name)
    return {**kind_of(name, converter).schema, **({"description": text} if text else {})}


def _in_path(about: About, name: str) -> dict[str, Any]:
    text = field_text(about, name)
    described = {"description": text} if text else {}
    return {"name": name, **described, "in": "path", "schema": {"type": "string"}, "required": True}


def _in_query(about: About, name: str, converter: Any) -> dict[str, Any]:
    text = field_text(about, name)
    described = {"description": text} if text else {}
    return {"name": name, **described, "in": "query", "schema": dict(kind_of(name, converter).schema)}


def _listing(shown: Mapping[Operation, Endpoint]) -> list[dict[str, Any]]:
    """Return the parameters that make a read a list: one that must be there where the path can only be listed."""
    found: list[dict[str, Any]] = []
    kinds = [operation for operation in (Operation.LIST, Operation.SCAN) if operation in shown]
    alone = Operation.READ not in shown and len(kinds) == 1
    for operation in kinds:
        schema: dict[str, Any] = {"type": "string"}
        text = "Return a list if `true`" if operation is Operation.LIST else "Return all that lies below if `true`"
        if alone:
            schema, text = {**schema, "enum": ["true"]}, "Must be set to `true`"
        parameter: dict[str, Any] = {"name": operation.value, "description": text, "in": "query", "schema": schema}
        found.append({**parameter, "required": True} if alone else parameter)
    return found


def _slug(pattern: str) -> str:
    return "-".join(re.findall(r"[a-z0-9]+", pattern.lower())) or "all"


def document(paths: bytes, schemas: bytes) -> bytes:
    """Return an OpenAPI document of path items and schemas, each the inside of a JSON object."""
    return b'{"openapi":"3.0.2","info":%b,"paths":{%b},"components":{"schemas":{%b}}}' % (_INFO, paths, schemas)


class Template:
    """A backend's items, ready to be put under a mount. Its paths are shown without `cut` before them.

    `tags` are those of single patterns.
    """

    def __init__(self, backend: Backend, cut: str = "", tags: Mapping[str, str] = NO_TAGS) -> None:
        self._items = _items(backend, cut, tags)

    @property
    def schemas(self) -> bytes:
        return self._items.schemas

    def at(
        self, mount: str, identity: str, *, parameter: Mapping[str, Any] | None = None, context: str = ""
    ) -> bytes:
        """Return the path items for a mount, the inside of a JSON object.

        `mount` is its path with the slash, `identity` what its operations' ids begin with; both are as JSON has them.
        """
        behind = f"-{context}" if context else ""
        first = b"" if parameter is None else json_codec.dumps(parameter)
        paths = self._items.paths
        paths = paths.replace(_PARAMETER_BYTES + b",", first + b"," if first else b"").replace(
            _PARAMETER_BYTES, first
        )
        paths = paths.replace(ID.encode(), identity.encode()).replace(CONTEXT.encode(), behind.encode())
        return paths.replace(MOUNT.encode(), json_codec.dumps(mount)[1:-1])  # the last: it may hold anything
