"""Long ranges read in short transactions: a page is what one transaction reads of a range.

Pages end at whichever comes first of a number of entries and of bytes, so that no transaction comes near the limits
of an engine, however many records there are and however large they are.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from kms_actors.store.api import Entry, Transaction

#: Bytes of keys and values after which a page ends.
PAGE_BYTES: Final = 400_000
PAGE_ENTRIES: Final = 1000

#: Entries read in one go: values are at most about 1 MB, so a page never holds much more than PAGE_BYTES.
_CHUNK: Final = 16


class Page(NamedTuple):
    """Entries of a range in order, and where the next page begins; None behind the last."""

    entries: list[Entry]
    next: bytes | None


async def read_page(
    tr: Transaction, begin: bytes, end: bytes, *, most_bytes: int = PAGE_BYTES, most_entries: int = PAGE_ENTRIES
) -> Page:
    """Return the first page of begin <= key < end; with any entries left, it holds at least one."""
    entries: list[Entry] = []
    size = 0
    while True:
        chunk = await tr.get_range(begin, end, limit=_CHUNK)
        entries += chunk
        size += size_of(chunk)
        if len(chunk) < _CHUNK:
            return Page(entries, None)
        begin = behind(chunk[-1][0])
        if size >= most_bytes or len(entries) >= most_entries:
            return Page(entries, begin)


def size_of(entries: Iterable[Entry]) -> int:
    """Return the bytes of all keys and values."""
    return sum(len(key) + len(value) for key, value in entries)


def behind(key: bytes) -> bytes:
    """Return the first key after `key`."""
    return key + b"\0"
