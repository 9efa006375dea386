"""A process of its own that uses a store: `python -m tests.store.child ENGINE LOCATION TASK [NUMBER]`."""

from __future__ import annotations

import asyncio
import itertools
import sys
from functools import partial

from kms_actors.store.api import Store, Transaction
from tests.store.access import increment, put
from tests.store.engines import ENGINES

WRITERS = 8


async def _increment(store: Store, times: int) -> None:
    """Increment `counter` so many times."""
    for _ in range(times):
        await increment(store, b"counter")


async def _touch(store: Store, number: int) -> None:
    """Write `number` at `watched`."""
    await put(store, (b"watched", b"%d" % number))


async def _write_forever(store: Store, first: int) -> None:
    """Write records numbered from `first`, several at a time; print each number once it is acknowledged."""
    numbers = itertools.count(first)

    async def write() -> None:
        for number in numbers:
            await store.run(partial(_write_record, number))
            print(number, flush=True)

    await asyncio.gather(*(write() for _ in range(WRITERS)))


async def _write_record(number: int, transaction: Transaction) -> None:
    """Write one record in two halves and count it, so that a torn transaction shows."""
    transaction.set(b"left/%010d" % number, b"x" * 500)
    transaction.set(b"right/%010d" % number, b"y" * 500)
    transaction.add(b"count", 1)


TASKS = {"increment": _increment, "touch": _touch, "write-forever": _write_forever}


async def main(engine: str, location: str, task: str, number: str) -> None:
    store = await ENGINES[engine].open(location)
    try:
        await TASKS[task](store, int(number))
    finally:
        await store.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
