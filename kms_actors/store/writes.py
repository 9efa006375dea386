"""What a transaction has written so far: the log that commit applies, and the view its own reads merge in."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable
from typing import Final, NamedTuple

from kms_actors.errors import TransactionTooLarge
from kms_actors.store.api import PLACE_LENGTH, STAMP_LENGTH, TRANSACTION_BYTES, Entry

COUNTER_LENGTH: Final = 8


class Set(NamedTuple):
    """Write a value."""

    key: bytes
    value: bytes


class Clear(NamedTuple):
    """Remove a key."""

    key: bytes


class ClearRange(NamedTuple):
    """Remove begin <= key < end."""

    begin: bytes
    end: bytes


class Add(NamedTuple):
    """Add to a counter."""

    key: bytes
    delta: int


class SetVersionstamped(NamedTuple):
    """Write a value at prefix ‖ stamp of the transaction ‖ suffix, which begins with the place within it."""

    prefix: bytes
    suffix: bytes
    value: bytes


Mutation = Set | Clear | ClearRange | Add | SetVersionstamped


def plus(value: bytes | None, delta: int) -> bytes:
    """Return the counter `value` (little-endian, taken as 8 bytes, None = 0) plus `delta`, wrapped around."""
    number = int.from_bytes((value or b"")[:COUNTER_LENGTH], "little")
    return ((number + delta) % (1 << 8 * COUNTER_LENGTH)).to_bytes(COUNTER_LENGTH, "little")


def place(number: int) -> bytes:
    """Return the end of the versionstamp of a transaction's write of that number, from 0."""
    if number >= 1 << 8 * PLACE_LENGTH:
        raise TransactionTooLarge("a transaction has too many versionstamped keys")
    return number.to_bytes(PLACE_LENGTH, "big")


class Ranges:
    """A set of keys made of ranges, kept disjoint and sorted."""

    __slots__ = ("_begins", "_ends")

    def __init__(self) -> None:
        self._begins: list[bytes] = []
        self._ends: list[bytes] = []

    def add(self, begin: bytes, end: bytes) -> None:
        """Take in begin <= key < end, joined with the ranges it meets."""
        first, last = bisect_left(self._ends, begin), bisect_right(self._begins, end)
        if first < last:
            begin, end = min(begin, self._begins[first]), max(end, self._ends[last - 1])
        self._begins[first:last] = [begin]
        self._ends[first:last] = [end]

    def __bool__(self) -> bool:
        return bool(self._begins)

    def __contains__(self, key: bytes) -> bool:
        place = bisect_right(self._begins, key) - 1
        return place >= 0 and key < self._ends[place]


class Writes:
    """The writes of one transaction, in order (`log`) and as they change what it reads."""

    __slots__ = ("_cleared", "_keys", "_places", "_view", "log", "size")

    def __init__(self) -> None:
        self.log: list[Mutation] = []
        self.size = 0  # bytes, each write counted
        self._places = 0  # given out to versionstamped keys
        self._cleared = Ranges()
        self._keys: list[bytes] = []  # of _view, sorted
        self._view: dict[bytes, bytes | int | None] = {}  # an integer is a sum on top of what is stored

    def set(self, key: bytes, value: bytes) -> None:
        self._note(Set(key, value), len(key) + len(value))
        self._show(key, value)

    def clear(self, key: bytes) -> None:
        self._note(Clear(key), len(key))
        self._show(key, None)

    def clear_range(self, begin: bytes, end: bytes) -> None:
        if begin >= end:
            return
        self._note(ClearRange(begin, end), len(begin) + len(end))
        first, last = bisect_left(self._keys, begin), bisect_left(self._keys, end)
        for key in self._keys[first:last]:
            del self._view[key]
        del self._keys[first:last]
        self._cleared.add(begin, end)

    def add(self, key: bytes, delta: int) -> None:
        delta.to_bytes(COUNTER_LENGTH, "little", signed=True)  # raises OverflowError
        self._note(Add(key, delta), len(key) + COUNTER_LENGTH)
        written = self._view.get(key, 0)
        if isinstance(written, int) and self.reads_through(key):
            self._show(key, written + delta)
        else:
            self._show(key, plus(self.view(key, None), delta))

    def set_versionstamped(self, prefix: bytes, suffix: bytes, value: bytes) -> None:
        placed = place(self._places) + suffix
        self._places += 1
        self._note(SetVersionstamped(prefix, placed, value), len(prefix) + STAMP_LENGTH + len(placed) + len(value))

    def reads_through(self, key: bytes) -> bool:
        """Return whether what a read of `key` gives depends on what is stored."""
        if key in self._view:
            return isinstance(self._view[key], int)
        return not self._cleared or key not in self._cleared

    def touch(self, keys: Iterable[bytes]) -> bool:
        """Return whether what a read of any of `keys` gives is not just what is stored."""
        return bool(self._cleared) or not self._view.keys().isdisjoint(keys)

    def view(self, key: bytes, stored: bytes | None) -> bytes | None:
        """Return what a read of `key` gives where the store holds `stored`."""
        if key not in self._view:
            return None if self._cleared and key in self._cleared else stored
        written = self._view[key]
        return plus(stored, written) if isinstance(written, int) else written

    def merge(self, stored: list[Entry], begin: bytes, end: bytes, *, reverse: bool) -> list[Entry]:
        """Return what a read of begin <= key < end gives where the store holds `stored`."""
        if not self.log:
            return stored
        own = self._keys[bisect_left(self._keys, begin) : bisect_left(self._keys, end)]
        values = dict(stored)
        keys = sorted({*values, *own}, reverse=reverse)
        seen = ((key, self.view(key, values.get(key))) for key in keys)
        return [(key, value) for key, value in seen if value is not None]

    def _note(self, mutation: Mutation, size: int) -> None:
        self.size += size
        if self.size > TRANSACTION_BYTES:
            raise TransactionTooLarge(f"a transaction may write at most {TRANSACTION_BYTES} bytes")
        self.log.append(mutation)

    def _show(self, key: bytes, written: bytes | int | None) -> None:
        if key not in self._view:
            insort(self._keys, key)
        self._view[key] = written
