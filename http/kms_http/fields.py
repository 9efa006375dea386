"""Declared request fields and Vault's weak typing of them.

Source: the field rules of Vault's framework; texts name the field and the expected type, never the value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, ClassVar, TypeVar

from kms_actors.durations import parse_duration
from kms_actors.errors import InvalidRequest

Converter = Callable[[Any], Any]
_Converter = TypeVar("_Converter", bound=Converter)

_TRUE = frozenset({"1", "t", "T", "true", "TRUE", "True"})
_FALSE = frozenset({"0", "f", "F", "false", "FALSE", "False", ""})
_INT64 = 1 << 63
_NUMBER = re.compile(r"[+-]?(0[xX](_?[0-9a-fA-F])+|0[bB](_?[01])+|0[oO]?(_?[0-7])+|0|[1-9](_?[0-9])*)", re.ASCII)
_DECIMAL = re.compile(r"[+-]?\d+", re.ASCII)
_OCTAL = re.compile(r"^([+-]?)(0)(?=_?[0-7])", re.ASCII)
_LONGEST_NUMBER = 68  # 64 bits, a sign and a prefix
_NO_TIME = "could not parse time from input"
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.ASCII | re.IGNORECASE)


#: Entries of a list of numbers: more than anything has versions.
MOST_NUMBERS = 10_000


class WrongType(Exception):
    """A value does not fit; the text says what was expected."""


_SILENT_NULLS: set[Converter] = set()


def silent_null(converter: _Converter) -> _Converter:
    """Mark a converter of fields of which a null says nothing, as if they were not sent: durations and times.

    As Vault's framework has it: a bound that a role has is kept when a client sends null for it.
    """
    _SILENT_NULLS.add(converter)
    return converter


def to_int(value: Any) -> int:
    """Whole numbers written as such, numeric strings, true and false as 1 and 0, null as 0; 64 bits.

    Strings are read as Go's ParseInt reads them without a base: `0x10` and `020` are 16.
    """
    if value is None or value == "":
        return 0
    if isinstance(value, str):
        if not _NUMBER.fullmatch(value) or len(value) > _LONGEST_NUMBER:
            raise WrongType("cannot parse value as 'int': strconv.ParseInt: invalid syntax")
        value = int(_OCTAL.sub(r"\1\g<2>o", value), 0)
    if not isinstance(value, int) or not -_INT64 <= value < _INT64:
        raise WrongType(f"expected type 'int', got unconvertible type '{type_name(value)}'")
    return int(value)


def to_float(value: Any) -> float:
    """Numbers, and numeric strings; null as 0. Never infinite, nor no number."""
    if value is None or value == "":
        return 0.0
    if isinstance(value, str):
        if not re.fullmatch(r"[+-]?\d{1,20}(\.\d{1,20})?", value, re.ASCII):
            raise WrongType("cannot parse value as 'float64': strconv.ParseFloat: invalid syntax")
        return float(value)
    if not isinstance(value, int | float) or abs(value) > _INT64:
        raise WrongType(f"expected type 'float64', got unconvertible type '{type_name(value)}'")
    return float(value)


def to_bool(value: Any) -> bool:
    """Booleans, and Go's words for them: 1 and 0 too; null as false."""
    if value is None:
        return False
    if isinstance(value, bool):
        return value
    if isinstance(value, str | int | float):
        text = str(value)
        if text not in _TRUE | _FALSE:
            raise WrongType("cannot parse value as 'bool': strconv.ParseBool: invalid syntax")
        return text in _TRUE
    raise WrongType(f"expected type 'bool', got unconvertible type '{type_name(value)}'")


def to_str(value: Any) -> str:
    """Strings; numbers and booleans as text; null as empty."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, int | float):
        return str(value)
    raise WrongType(f"expected type 'string', got unconvertible type '{type_name(value)}'")


def to_map(value: Any) -> dict[str, Any]:
    """Objects; null and an empty list as empty."""
    if value is None or value == []:
        return {}
    if isinstance(value, dict):
        return value
    raise WrongType(f"expected type 'map[string]interface {{}}', got unconvertible type '{type_name(value)}'")


def to_list(value: Any) -> list[Any]:
    """Lists; a comma-separated string; null and an empty object as empty."""
    if value is None or value == {}:
        return []
    if isinstance(value, list):
        return value
    if isinstance(value, str):
        return [part.strip() for part in value.split(",")] if value else []
    return [value]


def to_int_list(value: Any) -> list[int]:
    """As `to_list`, each entry a whole number without space around it."""
    entries = value.split(",") if isinstance(value, str) and value else to_list(value)
    if len(entries) > MOST_NUMBERS:
        raise WrongType(f"expected at most {MOST_NUMBERS} entries")
    return [to_int(entry) for entry in entries]


@silent_null
def to_duration(value: Any) -> int:
    """Seconds as number or numeric string, or Go's form `1h30m`, with days. Returns nanoseconds."""
    if value is None or value == "":
        return 0
    if isinstance(value, str) and not _DECIMAL.fullmatch(value):
        nanoseconds = parse_duration(value)
        if nanoseconds is None:
            raise WrongType("time: invalid duration")
        return _bounded(nanoseconds)
    if isinstance(value, bool):
        raise WrongType("could not parse duration from input")
    return _bounded(_seconds(value, "time: invalid duration") * 10**9)


@silent_null
def to_period(value: Any) -> int:
    """As `to_duration`, never negative."""
    nanoseconds = to_duration(value)
    if nanoseconds < 0:
        raise WrongType("cannot provide negative value")
    return nanoseconds


@silent_null
def to_time(value: Any) -> float:
    """Seconds since 1970, as a number or numeric string, or a time of RFC 3339; null and an empty string as 0."""
    if isinstance(value, str) and _TIME.fullmatch(value):
        try:
            return max(0.0, datetime.fromisoformat(value).timestamp())
        except (ValueError, OverflowError):
            raise WrongType(_NO_TIME) from None
    if isinstance(value, bool) or (isinstance(value, str) and value and not (value.isascii() and value.isdecimal())):
        raise WrongType(_NO_TIME)
    return float(max(0, _seconds(value, _NO_TIME)))


def _seconds(value: Any, refusal: str) -> int:
    """Return a number of 64 bits, or one of decimal digits: of seconds, a leading zero says nothing."""
    if not isinstance(value, str):
        return to_int(value)
    seconds = int(value or "0") if len(value) <= _LONGEST_NUMBER else _INT64
    if not -_INT64 <= seconds < _INT64:
        raise WrongType(refusal)
    return seconds


def _bounded(nanoseconds: int) -> int:
    if not -_INT64 <= nanoseconds < _INT64:
        raise WrongType("time: invalid duration")
    return nanoseconds


def to_any(value: Any) -> Any:
    """Whatever was sent."""
    return value


def type_name(value: Any) -> str:
    """Name a JSON value's type as Vault's texts do."""
    names = {bool: "bool", str: "string", int: "json.Number", float: "json.Number", list: "[]interface {}"}
    return names.get(type(value), "map[string]interface {}")


class Fields:
    """The declared fields of an endpoint: name to converter."""

    __slots__ = ("_checked_prefix", "_converters")

    #: Whether what is sent is taken as it is, names of the path's captures included.
    all_taken: ClassVar[bool] = False

    def __init__(self, *, existence_checked: bool = False, **converters: Converter) -> None:
        self._converters = converters
        # Paths with an existence check answer the conversion text alone.
        self._checked_prefix = "" if existence_checked else "Field validation failed: "

    @property
    def declared(self) -> Mapping[str, Converter]:
        """What converts each field, by name."""
        return self._converters

    def with_(self, **converters: Converter) -> Fields:
        """Return these fields and further ones, of an endpoint of the same kind."""
        further = Fields()
        further._converters = {**self._converters, **converters}
        further._checked_prefix = self._checked_prefix
        return further

    def parse(self, sent: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
        """Return converted values of declared fields that were sent, and the names of the others, sorted.

        Raises:
            InvalidRequest: a value does not fit its field.

        """
        values: dict[str, Any] = {}
        unknown: list[str] = []
        for name, value in sent.items():
            converter = self._converters.get(name)
            if converter is None:
                unknown.append(name)
                continue
            if value is None and converter in _SILENT_NULLS:
                continue
            try:
                values[name] = converter(value)
            except WrongType as wrong:
                text = f"""{self._checked_prefix}error converting input for field "{name}": '' {wrong}"""
                raise InvalidRequest(text) from None
        unknown.sort()
        return values, unknown


class Everything(Fields):
    """What is sent is the data: no name means anything."""

    __slots__ = ()

    all_taken = True

    def parse(self, sent: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
        """Return all that was sent as it is."""
        return dict(sent), []
