"""Ciphertexts in JSON, one object a line, one field of each."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Final

from kms_actors.cli.rewrap.records import (
    Beside,
    Reader,
    Record,
    completed,
    decoded,
    record_of,
)

_SPACE: Final = re.compile("[ \t\r\n\ufeff]*")
_NUMBER: Final = re.compile(r"-?[0-9][0-9.eE+-]*")
_JSON: Final = json.JSONDecoder(parse_int=str, parse_float=str)  # numbers are passed over, of whatever size


def json_reader(path: str, beside: Beside = Beside()) -> Reader:  # noqa: B008 - it is immutable
    """Return a reader of one object a line; `path` names a field, as in `a.b`. Null and an empty text are left."""

    def read(source: Iterable[bytes]) -> Iterator[Record]:
        for number, text in enumerate(map(decoded, source), start=1):
            yield completed(_record(number, text, path), beside, partial(_text, text))

    return read


def _record(number: int, text: str, path: str) -> Record:
    try:
        start, end = _value(text, path) if text.strip() else (0, 0)
    except (ValueError, RecursionError):
        return Record(number, text, problem="the line is not JSON")
    except KeyError:
        return Record(number, text, problem="the field is missing")
    literal = text[start:end]
    if literal in ("", "null"):
        return Record(number, text)
    if not literal.startswith('"'):
        return Record(number, text, problem="the field is no text")
    return record_of(number, text, _JSON.decode(literal), start + 1, end - 1)


def _text(text: str, path: str) -> str:
    """Return what a field says, of a number its digits. Raises KeyError, or ValueError for no text."""
    start, end = _value(text, path)
    literal = text[start:end]
    if literal == "null":
        return ""
    if not literal.startswith('"') and _NUMBER.fullmatch(literal) is None:
        raise ValueError
    said: str = _JSON.decode(literal)
    return said


def _value(text: str, path: str) -> tuple[int, int]:
    """Return where the value of a field begins and ends. Raises ValueError for no JSON, KeyError for no field."""
    _JSON.decode(text.lstrip("\ufeff"))
    start, end = _after_space(text, 0), len(text)
    for name in path.split("."):
        start, end = _member(text, start, name)
    return start, end


def _member(text: str, start: int, name: str) -> tuple[int, int]:
    """Return where a member's value begins and ends, in the object at `start` of valid JSON; the last of equals."""
    found: tuple[int, int] | None = None
    if text[start] != "{":
        raise KeyError
    at = _after_space(text, start + 1)
    while text[at] != "}":
        key, at = _JSON.raw_decode(text, at)
        begin = _after_space(text, _after_space(text, at) + 1)  # past the colon
        _, end = _JSON.raw_decode(text, begin)
        if key == name:
            found = begin, end
        at = _after_space(text, end)
        if text[at] == ",":
            at = _after_space(text, at + 1)
    if found is None:
        raise KeyError
    return found


def _after_space(text: str, at: int) -> int:
    space = _SPACE.match(text, at)
    assert space is not None
    return space.end()
