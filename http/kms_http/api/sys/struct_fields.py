"""Fields of endpoints that decode into Go structs: names in any case, values of just their type, others ignored.

Those of the seal, of rekeys and of root tokens are so, unlike those of the mounts' framework (`kms_http.fields`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from kms_actors.errors import InvalidRequest
from kms_http.fields import Converter, Fields, to_bool, to_int, to_list, to_str

_JSON_NAMES: Final = {str: "string", bool: "bool", int: "number", float: "number", list: "array"}
_GO_NAMES: Final[Mapping[type, str]] = {str: "string", bool: "bool", int: "int", list: "[]string"}
#: What documents tell a field's kind from; nothing is converted by them.
_CONVERTERS: Final[Mapping[type, Converter]] = {str: to_str, bool: to_bool, int: to_int, list: to_list}


class StructFields(Fields):
    """The fields of a Go struct, called as they are in its errors: `StructFields("UnsealRequest", Key=str)`.

    A list is one of texts.
    """

    __slots__ = ("_kinds", "_struct")

    def __init__(self, struct: str, /, **kinds: type) -> None:
        super().__init__()
        self._converters = {name.lower(): _CONVERTERS[kind] for name, kind in kinds.items()}
        self._struct = struct
        self._kinds = kinds

    def parse(self, sent: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
        """Return every field in small letters, its type's zero value where it is absent or null.

        Raises:
            InvalidRequest: a value is of another type.

        """
        lowered = {name.lower(): value for name, value in sent.items()}
        values = {
            name.lower(): _typed(lowered.get(name.lower()), kind, f"{self._struct}.{name}")
            for name, kind in self._kinds.items()
        }
        return values, []


def _typed(value: Any, kind: type, go_field: str) -> Any:
    if value is None:
        return kind()
    if type(value) is not kind:
        raise _wrong(value, kind, go_field)
    for item in value if type(value) is list else ():
        if type(item) is not str:
            raise _wrong(item, str, go_field)
    return value


def _wrong(value: Any, kind: type, go_field: str) -> InvalidRequest:
    text = f"cannot unmarshal {_JSON_NAMES.get(type(value), 'object')} into Go struct field {go_field}"
    return InvalidRequest(f"failed to parse JSON input: json: {text} of type {_GO_NAMES[kind]}")
