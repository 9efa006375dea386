"""What every engine must do: several processes on one database, and processes that are killed."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable

from kms_actors.store.api import Store, Transaction
from tests.store.access import get
from tests.store.engines import Place
from tests.store.processes import DEADLINE, start, write_until_killed

OpenStore = Callable[[], Awaitable[Store]]


async def test_no_increment_is_lost_between_processes(place: Place, open_store: OpenStore) -> None:
    processes = await asyncio.gather(*(start(place, "increment", 50) for _ in range(3)))
    async with asyncio.timeout(DEADLINE):
        assert [await process.wait() for process in processes] == [0, 0, 0]
    assert await get(await open_store(), b"counter") == b"150"


async def test_a_watch_completes_on_a_change_by_another_process(place: Place, store: Store) -> None:
    watch = await store.watch(b"watched")
    process = await start(place, "touch", 7)
    await asyncio.wait_for(watch, DEADLINE)
    assert await get(store, b"watched") == b"7"
    assert await process.wait() == 0


async def test_a_killed_process_loses_nothing_acknowledged(place: Place, open_store: OpenStore) -> None:
    acknowledged: set[int] = set()
    for _ in range(5):
        acknowledged |= await write_until_killed(place, first=max(acknowledged, default=0) + 1000)
        store = await open_store()
        lefts, rights, count = await store.run(_survey)
        assert acknowledged <= lefts
        assert lefts == rights
        assert count == len(lefts)
        await store.close()  # so that the next one dies as the only user
    assert len(acknowledged) > 20


async def test_a_killed_process_does_not_disturb_another(place: Place, store: Store) -> None:
    acknowledged = await write_until_killed(place, first=0)
    lefts, rights, count = await store.run(_survey)
    assert acknowledged <= lefts == rights
    assert count == len(lefts)


async def _survey(transaction: Transaction) -> tuple[set[int], set[int], int]:
    halves = [await transaction.get_range(side + b"/", side + b"0") for side in (b"left", b"right")]
    assert all(len(value) == 500 for _, value in itertools.chain(*halves))
    lefts, rights = ({int(key.partition(b"/")[2]) for key, _ in half} for half in halves)
    return lefts, rights, int.from_bytes(await transaction.get(b"count") or b"", "little")
