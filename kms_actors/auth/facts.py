"""The plain facts of a block, read as data: a name, and one string or one set of strings."""

from __future__ import annotations

from typing import Final

from kms_actors.auth import wire
from kms_actors.auth.principal import Right
from kms_actors.auth.symbols import Symbols
from kms_actors.auth.wire import Field, TokenRefused

#: What each `rights` set that means something gives.
RIGHTS: Final = {frozenset({"operator"}): Right.OPERATOR, frozenset({"root"}): Right.ROOT, frozenset(): Right.DATA}

Value = str | frozenset[str]


def read(payload: list[Field], texts: Symbols) -> list[tuple[str, Value | None]]:
    """Return name and value of each fact of a block; None for a value of another shape.

    TokenRefused if a fact has no name, or names a text that is not there.
    """
    return [_fact(_message(value), texts) for number, value in payload if number == 4]


def _fact(fields: list[Field], texts: Symbols) -> tuple[str, Value | None]:
    predicate = _message(_only(fields, 1))
    terms = [value for number, value in predicate if number == 2]
    name = texts[_only([field for field in predicate if field[0] == 1], 1)]
    return name, _value(_message(terms[0]), texts) if len(terms) == 1 and len(predicate) == 2 else None


def _value(term: list[Field], texts: Symbols) -> Value | None:
    match term:
        case [(3, number)]:
            return texts[number]
        case [(7, bytes(encoded))]:
            elements = [_message(element) for _, element in wire.read(encoded)]
            if all([number for number, _ in element] == [3] for element in elements):
                names = frozenset(texts[element[0][1]] for element in elements)
                return names if len(names) == len(elements) else None
    return None


def _only(fields: list[Field], number: int) -> int | bytes:
    if [found for found, _ in fields] != [number]:
        raise TokenRefused("a fact has another shape")
    return fields[0][1]


def _message(value: int | bytes) -> list[Field]:
    if isinstance(value, int):
        raise TokenRefused("a fact has another shape")
    return wire.read(value)
