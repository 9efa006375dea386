"""Completions of the FoundationDB client, brought from its network thread to an event loop.

The network thread notes which C future completed and wakes the loop, once for all that complete until it
looks. All else happens on the loop's thread, which alone reads and destroys C futures.
"""

from __future__ import annotations

import asyncio
import ctypes
import struct
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Final

from kms_actors.store.api import Entry

Take = Callable[[int], Any]

#: A key and a value as the library returns them: two addresses, each with a length.
_ROW: Final = struct.Struct("=QiQi")


class Failure(Exception):
    """An error of the client library, by its code."""

    def __init__(self, code: int, description: str = "") -> None:
        super().__init__(f"{description} ({code})")
        self.code = code


class _Group:
    """C futures of values that are waited for together: those still to be taken, and what the others gave."""

    __slots__ = ("left", "values")

    def __init__(self, addresses: Sequence[int]) -> None:
        self.left = deque(addresses)
        self.values: list[bytes | None] = []


class Futures:
    """Turns C futures into futures of one event loop."""

    def __init__(self, library: ctypes.CDLL, loop: asyncio.AbstractEventLoop) -> None:
        self._library = library
        self._loop = loop
        self._completed: deque[int] = deque()
        self._woken = False
        self._number = ctypes.c_int64()
        self._present, self._length, self._more = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
        self._data = ctypes.c_void_p()
        self._value_out = (ctypes.byref(self._present), ctypes.byref(self._data), ctypes.byref(self._length))
        self._rows_out = (ctypes.byref(self._data), ctypes.byref(self._length), ctypes.byref(self._more))

    def value(self, address: int) -> asyncio.Future[bytes | None]:
        """Wait for a C future of one value."""
        return self._wait(address, self._take_value)

    def number(self, address: int) -> asyncio.Future[int]:
        """Wait for a C future of an integer."""
        return self._wait(address, self._take_number)

    def values(self, addresses: Sequence[int]) -> asyncio.Future[list[bytes | None]]:
        """Wait for C futures of one value each: those that complete together wake the loop once."""
        future = self._loop.create_future()
        if addresses:
            self._watch(addresses[0], future, _Group(addresses))
        else:
            future.set_result([])
        return future

    def rows(self, address: int) -> asyncio.Future[tuple[list[Entry], bool]]:
        """Wait for a C future of entries; the bool says that the range has more."""
        return self._wait(address, self._take_rows)

    def keys(self, address: int) -> asyncio.Future[tuple[list[bytes], bool]]:
        """Wait for a C future of entries, and leave their values where they are."""
        return self._wait(address, self._take_keys)

    def nothing(self, address: int) -> asyncio.Future[None]:
        """Wait for a C future without a result."""
        return self._wait(address, self._take_nothing)

    def change(self, address: int) -> asyncio.Future[None]:
        """Wait for a watch; a failure ends it like a change. Whatever ends the returned future ends the watch."""
        future = self._wait(address, _ignore)
        future.add_done_callback(partial(self._cancel, address))
        return future

    def failure(self, code: int) -> Failure:
        """Return the exception of an error code."""
        return Failure(code, self._library.fdb_get_error(code).decode())

    def _wait(self, address: int, take: Take) -> asyncio.Future[Any]:
        future = self._loop.create_future()
        self._watch(address, future, take)
        return future

    def _watch(self, address: int, future: asyncio.Future[Any], take: Take | _Group) -> None:
        _waiting[address] = (self, future, take)
        self._library.fdb_future_set_callback(address, _on_ready, None)

    def note(self, address: int) -> None:
        """Take in a completion. On the network thread, or on the loop's if the C future had completed before."""
        self._completed.append(address)
        if not self._woken:
            self._woken = True
            try:
                self._loop.call_soon_threadsafe(self._settle)
            except RuntimeError:  # the loop is closed: nobody waits any more
                self._completed.clear()

    def _settle(self) -> None:
        self._woken = False  # first: what completes from here on wakes the loop again
        completed, destroy = self._completed, self._library.fdb_future_destroy
        while completed:
            address = completed.popleft()
            _, future, take = _waiting.pop(address)
            if isinstance(take, _Group):
                self._take_ready(take, future)
                continue
            if not future.done():  # cancelled
                try:
                    future.set_result(take(address))
                except Failure as failure:
                    future.set_exception(failure)
            destroy(address)

    def _cancel(self, address: int, future: asyncio.Future[None]) -> None:
        waiting = _waiting.get(address)
        if waiting is not None and waiting[1] is future:  # else it completed, and its address may be another's
            self._library.fdb_future_cancel(address)

    def _take_ready(self, group: _Group, future: asyncio.Future[Any]) -> None:
        """Take what has completed of a group, the first first; then wait for the next."""
        library = self._library
        while group.left:
            address = group.left[0]
            if not library.fdb_future_is_ready(address):
                self._watch(address, future, group)
                return
            group.left.popleft()
            try:
                group.values.append(self._take_value(address))
            except Failure as failure:
                if not future.done():
                    future.set_exception(failure)
            library.fdb_future_destroy(address)
        if not future.done():
            future.set_result(group.values)

    def _take_value(self, address: int) -> bytes | None:
        code = self._library.fdb_future_get_value(address, *self._value_out)
        if code:
            raise self.failure(code)
        return ctypes.string_at(self._data.value or 0, self._length.value) if self._present.value else None

    def _take_number(self, address: int) -> int:
        code = self._library.fdb_future_get_int64(address, ctypes.byref(self._number))
        if code:
            raise self.failure(code)
        return self._number.value

    def _take_rows(self, address: int) -> tuple[list[Entry], bool]:
        read = ctypes.string_at
        rows = [
            (read(key, key_length), read(value, value_length))
            for key, key_length, value, value_length in self._table(address)
        ]
        return rows, bool(self._more.value)

    def _take_keys(self, address: int) -> tuple[list[bytes], bool]:
        keys = [ctypes.string_at(key, length) for key, length, _, _ in self._table(address)]
        return keys, bool(self._more.value)

    def _table(self, address: int) -> Iterator[tuple[Any, ...]]:
        """Return where keys and values of a C future lie."""
        code = self._library.fdb_future_get_keyvalue_array(address, *self._rows_out)
        if code:
            raise self.failure(code)
        return _ROW.iter_unpack(ctypes.string_at(self._data.value or 0, _ROW.size * self._length.value))

    def _take_nothing(self, address: int) -> None:
        code = self._library.fdb_future_get_error(address)
        if code:
            raise self.failure(code)


#: Of all loops, by the address of the C future, so that one C callback serves all and is never freed.
_waiting: dict[int, tuple[Futures, asyncio.Future[Any], Take | _Group]] = {}


def _ignore(_: int) -> None:
    pass


def _note(address: int, _: int | None) -> None:
    _waiting[address][0].note(address)


_on_ready: Final = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)(_note)
