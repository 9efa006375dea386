"""Lists of any length: a page a transaction, and no more long ones of a vault at a time than leave room for others.

A list that fits into one page is of one moment. A longer one is sorted and names nothing twice; what was there all
the while is in it, and what came or went meanwhile may be in it or not.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final, NamedTuple, TypeAlias

from kms_actors.errors import Overloaded

#: Names in one transaction.
PAGE: Final = 1000
#: Long lists of a vault that are read at the same time, and that wait.
AT_ONCE: Final = 2
WAITING: Final = 32


class Names(NamedTuple):
    """One page, and whether there may be more behind it."""

    names: list[str]
    more: bool


#: Reads the names behind one, at most so many, in a transaction of its own; True for what goes on with a long list.
ReadNames: TypeAlias = Callable[[str, int, bool], Awaitable[Names]]


class LongReads:
    """Of one vault: those that take more than a transaction take turns."""

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a turn; raises Overloaded where enough others do."""
        if self._waiting >= WAITING:
            raise Overloaded("too many long lists of this vault are being read: use limit and after")
        self._waiting += 1
        try:
            await self._turns.acquire()
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._turns.release()


async def list_names(
    read: ReadNames, after: str, limit: int, long_reads: LongReads, rest: Callable[[], Awaitable[None]]
) -> list[str]:
    """Return the names behind `after`, at most `limit` of them (0: all); `rest` lets others work between pages."""
    found = await read(after, limit, False)
    names = found.names
    if not _goes_on(found, names, limit):
        return names
    async with long_reads.turn():
        while _goes_on(found, names, limit):
            await rest()
            found = await read(names[-1], limit - len(names) if limit else 0, True)
            names += found.names
    return names


async def count_names(read: ReadNames, long_reads: LongReads, rest: Callable[[], Awaitable[None]]) -> int:
    """Return how many names there are, of which no more than a page is kept; as many as in a list of all."""
    found = await read("", 0, False)
    count = len(found.names)
    if not found.more:
        return count
    async with long_reads.turn():
        while found.more and found.names:
            await rest()
            found = await read(found.names[-1], 0, True)
            count += len(found.names)
    return count


def _goes_on(found: Names, names: list[str], limit: int) -> bool:
    return found.more and bool(names) and not (limit and len(names) >= limit)
