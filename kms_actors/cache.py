"""Caches bounded in bytes, least recently used out first.

Bytes are estimates: what an entry of its kind takes once it was used, measured once (docs/performance.md), not what
the allocator says now. They are counted where entries come and go, so that a bound costs a sum and a comparison.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from itertools import chain
from typing import Final, Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Budget:
    """Bytes that several accounts may hold together. Past `limit`, each growth calls `make_room`."""

    __slots__ = ("_make_room", "bytes", "limit")

    def __init__(self, limit: int, make_room: Callable[[], None]) -> None:
        self.bytes = 0
        self.limit: Final = limit
        self._make_room = make_room

    @property
    def exceeded(self) -> bool:
        return self.bytes > self.limit

    def add(self, size: int) -> None:
        """Count `size` bytes more, or less."""
        self.bytes += size
        if size > 0 and self.bytes > self.limit:
            self._make_room()


class Account:
    """Bytes of one holder. Once closed it gives back all it has, and counts on for itself alone."""

    __slots__ = ("_budget", "bytes")

    def __init__(self, budget: Budget | None = None) -> None:
        self.bytes = 0
        self._budget = budget

    def add(self, size: int) -> None:
        """Count `size` bytes more, or less."""
        self.bytes += size
        if self._budget is not None:
            self._budget.add(size)

    def close(self) -> None:
        """Leave the budget. Idempotent."""
        budget, self._budget = self._budget, None
        if budget is not None:
            budget.add(-self.bytes)


class ByteCache(Generic[K, V]):
    """At most `most` entries of together `limit` bytes; the newest entry stays, however large it is.

    `size` estimates the bytes of an entry, and must say the same of it each time.
    """

    __slots__ = ("_account", "_entries", "_idle", "_size", "bytes", "limit", "most")

    def __init__(
        self, limit: int, size: Callable[[K, V], int], *, most: int = 10_000, account: Account | None = None
    ) -> None:
        self.bytes = 0
        self.limit = limit
        self.most = most
        self._entries: OrderedDict[K, V] = OrderedDict()
        self._idle: OrderedDict[K, V] = OrderedDict()  # not used since `forget_idle`, and so before all others
        self._size = size
        self._account = account or Account()

    def __len__(self) -> int:
        return len(self._entries) + len(self._idle)

    def keys(self) -> Iterable[K]:
        """Return the keys, least recently used first."""
        return chain(self._idle, self._entries)

    def get(self, key: K) -> V | None:
        """Return the value, now the most recently used, or None."""
        value = self._entries.get(key)
        if value is not None:
            self._entries.move_to_end(key)
        elif self._idle:
            value = self._idle.pop(key, None)
            if value is not None:
                self._entries[key] = value
        return value

    def put(self, key: K, value: V) -> None:
        """Keep a value, and let go of others at need."""
        self.discard(key)
        self._entries[key] = value
        self._count(self._size(key, value))
        while len(self) > self.most or (self.bytes > self.limit and len(self) > 1):
            self.discard(next(iter(self._idle or self._entries)))

    def discard(self, key: K) -> None:
        """Let go of an entry, if it is there."""
        value = self._entries.pop(key, None)
        if value is None and self._idle:
            value = self._idle.pop(key, None)
        if value is not None:
            self._count(-self._size(key, value))

    def forget_idle(self) -> None:
        """Let go of what was not used since this was last called."""
        for key in list(self._idle):
            self.discard(key)
        self._idle, self._entries = self._entries, OrderedDict()

    def clear(self) -> None:
        """Let go of all entries."""
        self._entries.clear()
        self._count(-self.bytes)

    def _count(self, size: int) -> None:
        self.bytes += size
        self._account.add(size)
