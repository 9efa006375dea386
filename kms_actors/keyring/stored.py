"""How the records of this package are stored: JSON objects that carry the number of their format."""

from __future__ import annotations

from typing import Final, TypeVar

import msgspec

from kms_actors.errors import FormatError

#: The one format so far, of every record here.
FORMAT: Final = 1

S = TypeVar("S", bound=msgspec.Struct)


class _Header(msgspec.Struct, frozen=True):
    format: int


def encode(record: msgspec.Struct) -> bytes:
    """Return the JSON of `record`, whose type has a field `format`."""
    return msgspec.json.encode(record)


def decode(raw: bytes, kind: type[S], name: str) -> S:
    """Return the record in `raw`; `name` is what errors call it.

    Raises:
        FormatError: of another format, or not such a record. It shows nothing of `raw`.

    """
    try:
        found = msgspec.json.decode(raw, type=_Header).format
        if found == FORMAT:
            return msgspec.json.decode(raw, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise FormatError(f"{name} is damaged") from None
    raise FormatError(f"{name} is of format {found}; this program reads format {FORMAT}")
