"""Ciphertexts in files: lines, one column of CSV, one field of JSON lines.

A reader tells only where the ciphertext of a record stands; all else of the record stays as it is, byte for byte.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from kms_actors.errors import InvalidRequest

#: A quoted cell that goes on for more characters than this is taken as one that was never closed.
MAX_RECORD: Final = 1 << 20

_CELL: Final = re.compile(r'("[^"]*(?:""[^"]*)*"|[^,"\r\n]*)(,|\r?\n?\Z)')
_SPACE: Final = re.compile("[ \t\r\n\ufeff]*")
_JSON: Final = json.JSONDecoder(parse_int=str, parse_float=str)  # numbers are passed over, of whatever size


class Record(NamedTuple):
    """One record. Without a ciphertext and a problem there is nothing to do about it."""

    line: int  # of the file, from 1; the first one of several
    text: str
    ciphertext: str = ""
    start: int = 0  # where it stands in the text
    end: int = 0
    problem: str = ""  # why it cannot be rewrapped

    @property
    def around(self) -> tuple[str, str]:
        """What stands before and behind the ciphertext."""
        return self.text[: self.start], self.text[self.end :]

    def encoded(self, ciphertext: str | None = None) -> bytes:
        """Return the record as it was read, or with another ciphertext."""
        before, after = self.around
        text = self.text if ciphertext is None else before + ciphertext + after
        return text.encode("utf-8", "surrogateescape")


#: Reads the lines of a file, with their ends.
Reader = Callable[[Iterable[bytes]], Iterator[Record]]


def read_lines(source: Iterable[bytes]) -> Iterator[Record]:
    """Read one ciphertext a line; white space around it is kept."""
    for number, text in enumerate(map(_decoded, source), start=1):
        ciphertext = text.strip()
        start = text.index(ciphertext)
        yield _record(number, text, ciphertext, start, start + len(ciphertext))


def json_reader(path: str) -> Reader:
    """Return a reader of one object a line; `path` names a field, as in `a.b`. Null and an empty text are left."""
    names = path.split(".")

    def read(source: Iterable[bytes]) -> Iterator[Record]:
        for number, text in enumerate(map(_decoded, source), start=1):
            try:
                start, end = _value(text, names) if text.strip() else (0, 0)
            except (ValueError, RecursionError):
                yield Record(number, text, problem="the line is not JSON")
            except KeyError:
                yield Record(number, text, problem="the field is missing")
            else:
                yield _json_record(number, text, start, end)

    return read


def csv_reader(column: str) -> Reader:
    """Return a reader of CSV (RFC 4180); a column's name stands in the first record, a number counts from 1.

    With a number, the first record is data as well. Empty cells are left.
    """

    def read(source: Iterable[bytes]) -> Iterator[Record]:
        records = _csv_records(source)
        if column.isdecimal():
            place = int(column) - 1
        else:
            number, header = next(records, (0, ""))
            if not header:
                return
            place = _place(header, column)
            yield Record(number, header)
        for number, text in records:
            yield _csv_record(number, text, place)

    return read


def _decoded(raw: bytes) -> str:
    """Return text from which the same bytes can be made again, whatever they are."""
    return raw.decode("utf-8", "surrogateescape")


def _record(number: int, text: str, ciphertext: str, start: int, end: int) -> Record:
    if not ciphertext:
        return Record(number, text)
    problem = "" if ciphertext.isascii() else "no ciphertext: letters beyond ASCII"
    return Record(number, text, ciphertext, start, end, problem)


def _json_record(number: int, text: str, start: int, end: int) -> Record:
    literal = text[start:end]
    if literal in ("", "null"):
        return Record(number, text)
    if not literal.startswith('"'):
        return Record(number, text, problem="the field is no text")
    return _record(number, text, _JSON.decode(literal), start + 1, end - 1)


def _value(text: str, names: Sequence[str]) -> tuple[int, int]:
    """Return where the value of a field begins and ends. Raises ValueError for no JSON, KeyError for no field."""
    _JSON.decode(text.lstrip("\ufeff"))
    start, end = _after_space(text, 0), len(text)
    for name in names:
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


def _csv_records(source: Iterable[bytes]) -> Iterator[tuple[int, str]]:
    """Yield records with the number of their first line: a quoted cell may hold line ends."""
    first, parts, size, quoted = 1, list[str](), 0, False
    for number, text in enumerate(map(_decoded, source), start=1):
        parts.append(text)
        size += len(text)
        quoted ^= text.count('"') % 2 == 1
        if not quoted or size > MAX_RECORD:
            yield first, "".join(parts)
            first, parts, size, quoted = number + 1, [], 0, False
    if parts:
        yield first, "".join(parts)


def _cells(text: str) -> Iterator[tuple[int, int]]:
    """Yield where each cell begins and ends, without its quotes. Raises ValueError for no CSV."""
    at, more = 0, True
    while more:
        cell = _CELL.match(text, at)
        if cell is None:
            raise ValueError
        start, end = cell.span(1)
        quotes = int(cell[1].startswith('"'))
        yield start + quotes, end - quotes
        at, more = cell.end(), cell[2] == ","


def _csv_record(number: int, text: str, place: int) -> Record:
    try:
        cells = list(_cells(text))
    except ValueError:
        return Record(number, text, problem="the line is not CSV")
    if not text.strip():
        return Record(number, text)
    if place >= len(cells):
        return Record(number, text, problem="the column is missing")
    start, end = cells[place]
    return _record(number, text, text[start:end], start, end)


def _place(header: str, column: str) -> int:
    text = header.removeprefix("\ufeff")
    try:
        names = [text[start:end].replace('""', '"') for start, end in _cells(text)]
    except ValueError:
        names = []
    if names.count(column) != 1:
        raise InvalidRequest("the first line does not name that column once")
    return names.index(column)
