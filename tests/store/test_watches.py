"""What every engine must do: watches."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable

import pytest

from kms_actors.store.api import Store, Transaction
from tests.store.access import clear, put

OpenStore = Callable[[], Awaitable[Store]]

#: Long enough for any engine to notice a change, in seconds.
NOTICED = 5.0
#: Long enough to notice one that should not be there: several polls.
QUIET = 0.2


async def _completes(watch: asyncio.Future[None]) -> None:
    await asyncio.wait_for(watch, NOTICED)


async def test_a_watch_completes_on_a_change(store: Store) -> None:
    await put(store, (b"key", b"old"))
    watch = await store.watch(b"key")
    await put(store, (b"key", b"new"))
    await _completes(watch)


async def test_a_watch_waits_for_a_key_to_appear(store: Store) -> None:
    watch = await store.watch(b"key")
    await put(store, (b"key", b""))
    await _completes(watch)


async def test_a_watch_completes_on_a_clear(store: Store) -> None:
    await put(store, (b"key", b"value"))
    watch = await store.watch(b"key")
    await clear(store, b"key")
    await _completes(watch)


async def _clear_range(transaction: Transaction) -> None:
    transaction.clear_range(b"k", b"l")


async def _add(transaction: Transaction) -> None:
    transaction.add(b"key", 1)


@pytest.mark.parametrize("body", [_clear_range, _add])
async def test_a_watch_completes_on_a_range_clear_and_an_add(
    store: Store, body: Callable[[Transaction], Awaitable[None]]
) -> None:
    await put(store, (b"key", bytes(8)))
    watch = await store.watch(b"key")
    await store.run(body)
    await _completes(watch)


async def test_a_watch_does_not_complete_without_a_change(store: Store, open_store: OpenStore) -> None:
    await put(store, (b"key", b"value"))
    watch = await store.watch(b"key")
    await put(await open_store(), (b"other", b"value"))
    await put(store, (b"key2", b"value"))
    await asyncio.sleep(QUIET)
    assert not watch.done()
    watch.cancel()


async def test_a_watch_completes_on_a_change_by_another_handle(store: Store, open_store: OpenStore) -> None:
    other = await open_store()
    for number in range(3):
        watch = await store.watch(b"key")
        await put(other, (b"key", b"%d" % number))
        await _completes(watch)


async def test_no_change_slips_between_a_watch_and_the_read_after_it(store: Store, open_store: OpenStore) -> None:
    other = await open_store()
    writes = asyncio.create_task(_count_up(other, 100))
    seen = b""
    while seen != b"99":
        watch = await store.watch(b"key")
        now = await store.run(lambda transaction: transaction.get(b"key")) or b""
        if now == seen:
            await _completes(watch)
        else:
            watch.cancel()
        seen = now
    await writes


async def _count_up(store: Store, end: int) -> None:
    for number in range(end):
        await put(store, (b"key", b"%d" % number))


async def test_all_watches_of_a_key_complete(store: Store) -> None:
    watches = [await store.watch(b"key") for _ in range(50)]
    cancelled = watches.pop()
    cancelled.cancel()
    await put(store, (b"key", b"value"))
    await asyncio.wait_for(asyncio.gather(*watches), NOTICED)
    assert cancelled.cancelled()


async def test_many_keys_can_be_watched(store: Store, open_store: OpenStore) -> None:
    watches = [await store.watch(b"%d" % number) for number in range(600)]
    await put(await open_store(), (b"599", b"value"))
    await _completes(watches[599])
    assert sum(watch.done() for watch in watches) == 1
    for watch in watches:
        watch.cancel()


async def test_a_cancelled_watch_leaves_nothing_behind(store: Store) -> None:
    watch = await store.watch(b"key")
    watch.cancel()
    await put(store, (b"key", b"value"))
    again = await store.watch(b"key")
    await asyncio.sleep(QUIET)
    assert not again.done()
    again.cancel()


async def test_closing_completes_watches(store: Store) -> None:
    watch = await store.watch(b"key")
    await store.close()
    await _completes(watch)
    gc.collect()
