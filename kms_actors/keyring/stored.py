"""How the records of this package are stored: JSON objects that carry the number of their format."""

from __future__ import annotations

from typing import Final, TypeVar

import msgspec

from kms_actors.errors import FormatError
from kms_actors.secret import room

#: The format of every record here, unless it says that it is of another one.
FORMAT: Final = 1

S = TypeVar("S", bound=msgspec.Struct)


#: Bytes of the largest record that holds key material, and more.
_LARGEST: Final = 1 << 16
_ENCODER: Final = msgspec.json.Encoder()


class _Header(msgspec.Struct, frozen=True):
    format: int


def encode(record: msgspec.Struct) -> bytes:
    """Return the JSON of `record`, whose type has a field `format`."""
    return _ENCODER.encode(record)


def encode_secret(record: msgspec.Struct, *, room_for: int = _LARGEST) -> bytes:
    """Return the same of a record that holds key material, and leave nothing of it anywhere else.

    A buffer that grows leaves what it held behind; this one has room for `room_for` bytes.
    """
    with room(room_for) as buffer:
        _ENCODER.encode_into(record, buffer)
        return bytes(buffer)


def decode(raw: bytes, kind: type[S], name: str, *, format: int = FORMAT) -> S:
    """Return the record in `raw`; `name` is what errors call it.

    Raises:
        FormatError: of another format, or not such a record. It shows nothing of `raw`.

    """
    found = format_of(raw, name)
    if found != format:
        raise FormatError(f"{name} is of format {found}; this program reads format {format}")
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise _damaged(name) from None


def format_of(raw: bytes, name: str) -> int:
    """Return the number of the format of a record; raises FormatError where it has none."""
    try:
        return msgspec.json.decode(raw, type=_Header).format
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise _damaged(name) from None


def _damaged(name: str) -> FormatError:
    return FormatError(f"{name} is damaged")
