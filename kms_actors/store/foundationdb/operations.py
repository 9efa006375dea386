"""Operation ids: how a transaction whose commit ended unknown is found applied, or made never to be.

Each writing transaction also writes a number of its own at a slot, and declares a read conflict on it. After a
commit that ended unknown, a second transaction reads the slot. If the number is there, the first was applied.
If not, the second overwrites the slot: from its commit on, the first conflicts with it and can only fail, even if
it is still on its way. A slot belongs to one transaction at a time and is used again, so that they never pile
up: an open store has as many as it ever had transactions at once, and removes them when it closes.
"""

from __future__ import annotations

import asyncio
import itertools
import os
from typing import Final

import fdb.tuple

from kms_actors.errors import StoreUnavailable
from kms_actors.store.foundationdb.native import Native
from kms_actors.store.foundationdb.values import OWN
from kms_actors.store.keyspace import ROOT

_OPERATIONS: Final = OWN + fdb.tuple.pack((ROOT, "operation"))


class Operations:
    """The slots of one open store."""

    def __init__(self) -> None:
        self.begin = _OPERATIONS + os.urandom(16)
        self._numbers = itertools.count(1)
        self.closed = False
        self._under_way: set[Operation] = set()
        self._idle = asyncio.Event()
        self._made = 0
        self._free: list[Operation] = []

    def take(self) -> Operation:
        """Return an id for a transaction that has not yet read anything."""
        if self._free:
            return self._free.pop()
        self._made += 1
        return Operation(self, self._made)

    def give_back(self, operation: Operation) -> None:
        """Let another transaction have it."""
        operation.end()
        self._free.append(operation)

    def next_number(self) -> bytes:
        """Return one that was never written."""
        return next(self._numbers).to_bytes(8, "big")

    def set_under_way(self, operation: Operation, under_way: bool) -> None:
        """Note whether the outcome of a commit is awaited."""
        if under_way:
            self._under_way.add(operation)
        else:
            self._under_way.discard(operation)
            if not self._under_way:
                self._idle.set()

    async def finish(self) -> None:
        """Allow no further commit, and wait for those under way, which take bounded time."""
        self.closed = True
        if self._under_way:
            self._idle.clear()
            await self._idle.wait()

    def remove_all(self, native: Native) -> bool:
        """Let the transaction clear all slots; return whether any was written."""
        native.clear_range(self.begin, self.begin + b"\xff")
        return next(self._numbers) > 1


class Operation:
    """The id of one transaction at a time, and of one attempt of it."""

    __slots__ = ("_key", "_number", "_operations")

    def __init__(self, operations: Operations, slot: int) -> None:
        self._operations = operations
        self._key = operations.begin + slot.to_bytes(4, "big")
        self._number = b""

    def mark(self, native: Native) -> None:
        """Let the transaction, about to be committed, write the id of a new attempt."""
        if self._operations.closed:
            raise StoreUnavailable("the store is closed")
        self._operations.set_under_way(self, True)
        self._number = self._operations.next_number()
        native.add_read_conflict(self._key)
        native.set(self._key, self._number)

    def end(self) -> None:
        """Note that the outcome of the commit, if there was one, is known. Idempotent."""
        self._operations.set_under_way(self, False)

    async def settle(self, native: Native) -> bool:
        """Return whether the marked attempt was applied; if False, it never will be."""
        if await native.get(self._key) == self._number:
            return True
        native.set(self._key, self._operations.next_number())
        await native.commit()
        return False
