"""What a node says that it can be asked, read out of its own OpenAPI document."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

_CAPTURE: Final = re.compile(r"\{(\w+)\}")
_VERBS: Final = ("get", "post", "patch", "delete")

#: What never ends by itself, or would end the run: answers that stream.
LEFT_OUT: Final = frozenset({"/sys/monitor"})


class Field(NamedTuple):
    """A field by its name, and the schema of its value."""

    name: str
    schema: Mapping[str, Any]


class Operation(NamedTuple):
    """One verb of one path."""

    verb: str  # in capitals
    template: str  # /secret/data/{path}
    query: tuple[Field, ...]
    body: tuple[Field, ...]

    @property
    def captures(self) -> list[str]:
        return _CAPTURE.findall(self.template)

    def path(self, values: Mapping[str, str]) -> str:
        """Return the path with its captures replaced; the values are as they go over the wire."""
        return _CAPTURE.sub(lambda found: values[found[1]], self.template)


def operations(document: Mapping[str, Any]) -> Iterator[Operation]:
    """Yield every operation of a document but those left out."""
    schemas = document["components"]["schemas"]
    for path, item in document["paths"].items():
        if path in LEFT_OUT:
            continue
        for verb in _VERBS:
            if verb in item:
                yield _operation(verb, path, item, schemas)


def _operation(verb: str, path: str, item: Mapping[str, Any], schemas: Mapping[str, Any]) -> Operation:
    told = item[verb]
    parameters = [*item.get("parameters", ()), *told.get("parameters", ())]
    query = tuple(Field(each["name"], each["schema"]) for each in parameters if each["in"] == "query")
    content = told.get("requestBody", {}).get("content", {})
    body: tuple[Field, ...] = ()
    if content:
        schema = content["application/json"]["schema"]
        schema = schemas[schema["$ref"].rpartition("/")[2]]
        body = tuple(Field(name, each) for name, each in schema.get("properties", {}).items())
    return Operation(verb.upper(), path, query, body)
