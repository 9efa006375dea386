"""Values longer than FoundationDB takes, cut into chunks.

A value of up to 90,000 bytes is stored as it is. A longer one leaves a header of 48 bytes at its key: its
own first 8 bytes (so that a counter can be added to it as to any value), a mark, 16 random bytes (so that a
watch sees each write) and its length. Its chunks lie apart, in the order of their keys, where no range that a
caller names can meet them. A short value that looks like a header is stored as a long one.
"""

from __future__ import annotations

import asyncio
import os
from typing import Final

import fdb.tuple

from kms_actors.errors import FormatError
from kms_actors.store.foundationdb.native import Native
from kms_actors.store.keyspace import ROOT

#: All that the engine keeps for itself begins with this byte; a caller's keys are below it.
OWN: Final = b"\xfe"
CHUNK_BYTES: Final = 90_000

_CHUNKS: Final[bytes] = OWN + fdb.tuple.pack((ROOT, "chunk"))
_MARK: Final = bytes.fromhex("9d41f2c07be8563a11c4ae70d2953f8b")
_HEAD, _NONCE, _LENGTH = 8, 16, 8  # bytes of a header's parts beside the mark
_MARK_END: Final = _HEAD + len(_MARK)
_HEADER_LENGTH: Final = _MARK_END + _NONCE + _LENGTH


def is_plain(value: bytes) -> bool:
    """Return whether `value` is stored as it is; of a stored one, whether it is no header."""
    return len(value) <= CHUNK_BYTES and value[_HEAD:_MARK_END] != _MARK


def write_chunks(native: Native, key: bytes, value: bytes) -> None:
    """Write the chunks and the header of a value that is not plain; the chunks of the old one are gone."""
    for index, start in enumerate(range(0, len(value), CHUNK_BYTES)):
        native.set(_chunk(key, index), value[start : start + CHUNK_BYTES])
    native.set(key, value[:_HEAD] + _MARK + os.urandom(_NONCE) + len(value).to_bytes(_LENGTH, "big"))


async def read_chunks(native: Native, key: bytes, header: bytes) -> bytes:
    """Return the value whose header `key` holds.

    Raises:
        FormatError: chunks are missing.

    """
    length = int.from_bytes(header[-_LENGTH:], "big")
    count = -(-length // CHUNK_BYTES)
    # The header is written with each value: a read conflict on its key is enough.
    chunks = await asyncio.gather(*(native.get(_chunk(key, index), snapshot=True) for index in range(count)))
    value = b"".join(chunk or b"" for chunk in chunks)
    if len(header) != _HEADER_LENGTH or len(value) != length:
        raise FormatError("a value in the store lacks some of its chunks")
    return value


def chunks_of(key: bytes) -> tuple[bytes, bytes]:
    """Return begin and end of where the chunks of `key` are."""
    place = _place(key)
    return place + b"\0", place + b"\0\xff"


def chunks_between(begin: bytes, end: bytes) -> tuple[bytes, bytes]:
    """Return begin and end of where the chunks of all keys with begin <= key < end are."""
    return _place(begin), _place(end)


def _chunk(key: bytes, index: int) -> bytes:
    return _place(key) + b"\0" + index.to_bytes(4, "big")


def _place(key: bytes) -> bytes:
    # NUL ends a key and is escaped within: places sort as keys do, and the chunks of one never lie among another's.
    return _CHUNKS + key.replace(b"\0", b"\0\xff")
