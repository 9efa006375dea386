"""The type of a field as documents name it, told from what converts it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from kms_http.fields import Converter


class Kind(NamedTuple):
    """`name` is Vault's word in help, `schema` what OpenAPI says."""

    name: str
    schema: Mapping[str, Any]


_ANY: Final = Kind("any", {})
_STRING: Final = Kind("string", {"type": "string"})
_INTEGER: Final = Kind("int", {"type": "integer"})
_NUMBER: Final = Kind("float", {"type": "number"})
_BOOLEAN: Final = Kind("bool", {"type": "boolean"})
_MAP: Final = Kind("map", {"type": "object", "format": "map"})
_PAIRS: Final = Kind("keypair", {"type": "object", "format": "kvpairs"})
_LIST: Final = Kind("slice", {"type": "array", "items": {"type": "string"}})
_NUMBERS: Final = Kind("slice", {"type": "array", "items": {"type": "integer"}})
_SECONDS: Final = Kind("duration (sec)", {"type": "integer", "format": "seconds"})

#: By the name of the function that converts.
_BY_CONVERTER: Final[Mapping[str, Kind]] = {
    "to_any": _ANY,
    "to_str": _STRING,
    "to_one": _STRING,
    "to_name": _STRING,
    "_to_token": _STRING,
    "_to_moment": _STRING,
    "to_time": _STRING,
    "_to_past": _STRING,
    "to_int": _INTEGER,
    "_to_bound": _INTEGER,
    "_to_status": _INTEGER,
    "to_bool": _BOOLEAN,
    "to_map": _MAP,
    "_nullable_map": _MAP,
    "to_pairs": _PAIRS,
    "to_text_pairs": _PAIRS,
    "_to_metadata": _PAIRS,
    "_to_custom_metadata": _PAIRS,
    "_to_lockout": _MAP,
    "to_list": _LIST,
    "to_names": _LIST,
    "_to_names": _LIST,
    "to_texts": _LIST,
    "_to_texts": _LIST,
    "_paths": _LIST,
    "to_int_list": _NUMBERS,
    "to_duration": _SECONDS,
    "to_period": _SECONDS,
    "to_seconds": _SECONDS,
    "to_leeway": _SECONDS,
    "to_ttl": _SECONDS,
    "_to_limit": _SECONDS,
    "to_float": _NUMBER,
}
#: Of fields that a lambda converts.
_BY_NAME: Final[Mapping[str, Kind]] = {
    "config": _MAP,
    "custom_metadata": _PAIRS,
    "delete_version_after": _SECONDS,
}


def kind_of(name: str, converter: Converter) -> Kind:
    """Return the kind of a field; anything where nothing is known of it."""
    return _BY_CONVERTER.get(getattr(converter, "__name__", "")) or _BY_NAME.get(name, _ANY)


def is_known(name: str, converter: Converter) -> bool:
    """Tell whether a field's kind is in the tables."""
    return getattr(converter, "__name__", "") in _BY_CONVERTER or name in _BY_NAME
