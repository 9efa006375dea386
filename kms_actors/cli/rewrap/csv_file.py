"""Ciphertexts in CSV (RFC 4180), in one column."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from kms_actors.cli.rewrap.records import (
    Beside,
    Reader,
    Record,
    completed,
    decoded,
    record_of,
)
from kms_actors.errors import InvalidRequest

#: A quoted cell that goes on for more characters than this is taken as one that was never closed.
MAX_RECORD: Final = 1 << 20

_CELL: Final = re.compile(r'("[^"]*(?:""[^"]*)*"|[^,"\r\n]*)(,|\r?\n?\Z)')

#: Where each cell begins and ends, without its quotes.
Cells = Sequence[tuple[int, int]]


def csv_reader(column: str, beside: Beside = Beside()) -> Reader:  # noqa: B008 - it is immutable
    """Return a reader of CSV; a column's name stands in the first record, a number counts from 1.

    If all columns are numbers, the first record is data as well. Empty cells are left.
    """
    columns = [name for name in (column, beside.context, beside.associated_data) if name]

    def read(source: Iterable[bytes]) -> Iterator[Record]:
        records = _records(source)
        names: Sequence[str] = ()
        if not all(name.isdecimal() for name in columns):
            number, header = next(records, (0, ""))
            if not header:
                return
            names = _names(header)
            yield Record(number, header)
        places = {name: int(name) - 1 if name.isdecimal() else _place(names, name) for name in columns}
        for number, text in records:
            yield _record(number, text, places[column], beside, places)

    return read


def _records(source: Iterable[bytes]) -> Iterator[tuple[int, str]]:
    """Yield records with the number of their first line: a quoted cell may hold line ends."""
    first, parts, size, quoted = 1, list[str](), 0, False
    for number, text in enumerate(map(decoded, source), start=1):
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


def _record(number: int, text: str, place: int, beside: Beside, places: Mapping[str, int]) -> Record:
    try:
        cells = list(_cells(text))
    except ValueError:
        return Record(number, text, problem="the line is not CSV")
    if not text.strip():
        return Record(number, text)
    if place >= len(cells):
        return Record(number, text, problem="the column is missing")
    start, end = cells[place]
    return completed(
        record_of(number, text, text[start:end], start, end),
        beside,
        lambda name: _said(text, cells, places[name]),
    )


def _said(text: str, cells: Cells, place: int) -> str:
    """Return what a cell says; raises KeyError if there is none."""
    if place >= len(cells):
        raise KeyError
    start, end = cells[place]
    return text[start:end].replace('""', '"') if text[start - 1 : start] == '"' else text[start:end]


def _names(header: str) -> Sequence[str]:
    text = header.removeprefix("\ufeff")
    try:
        return [text[start:end].replace('""', '"') for start, end in _cells(text)]
    except ValueError:
        return []


def _place(names: Sequence[str], column: str) -> int:
    if names.count(column) != 1:
        raise InvalidRequest("the first line does not name that column once")
    return names.index(column)
