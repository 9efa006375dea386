"""Fields of endpoints that decode into Go structs: names in any case, values of just their type, others ignored.

Those of the seal, of rekeys and of root tokens are so, unlike those of the mounts' framework (`kms_http.fields`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeVar

from kms_actors.errors import InvalidRequest
from kms_http.fields import Fields

T = TypeVar("T", int, str, bool)

_JSON_NAMES: Final = {str: "string", bool: "bool", int: "number", float: "number", list: "array"}
_GO_NAMES: Final = {str: "string", bool: "bool", int: "int", list: "[]string"}


class StructFields(Fields):
    """Fields as Go decodes a struct."""

    def parse(self, sent: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
        return {name.lower(): value for name, value in sent.items()}, []


def typed(sent: Mapping[str, Any], name: str, kind: type[T], go_field: str) -> T:
    """Return a field that must have just this type; the zero value when it is absent or null."""
    value = sent.get(name)
    if value is None:
        return kind()
    if type(value) is not kind:
        raise _wrong(value, kind, go_field)
    return value


def texts(sent: Mapping[str, Any], name: str, go_field: str) -> tuple[str, ...]:
    """Return a field that must be a list of texts; empty when it is absent or null."""
    value = sent.get(name)
    if value is None:
        return ()
    if type(value) is not list:
        raise _wrong(value, list, go_field)
    for item in value:
        if type(item) is not str:
            raise _wrong(item, str, go_field)
    return tuple(value)


def _wrong(value: Any, kind: type, go_field: str) -> InvalidRequest:
    text = f"cannot unmarshal {_JSON_NAMES.get(type(value), 'object')} into Go struct field {go_field}"
    return InvalidRequest(f"failed to parse JSON input: json: {text} of type {_GO_NAMES[kind]}")
