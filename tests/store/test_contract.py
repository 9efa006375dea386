"""What every engine must do: reads, writes, isolation, retries."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from kms_actors.errors import StoreUnavailable, TransactionConflict, TransactionTooLarge
from kms_actors.store.api import (
    PLACE_LENGTH,
    TRANSACTION_BYTES,
    VERSIONSTAMP_LENGTH,
    Priority,
    Store,
    Transaction,
)
from tests.store.access import clear, get, get_all, increment, put
from tests.store.model import INITIAL, STEPS, check_against_model

OpenStore = Callable[[], Awaitable[Store]]


async def test_an_absent_key_reads_as_none(store: Store) -> None:
    assert await get(store, b"absent") is None


async def test_a_written_value_is_there_in_every_handle(store: Store, open_store: OpenStore) -> None:
    await put(store, (b"key", b"value"), (b"empty", b""), (b"binary", bytes(range(256))))
    for handle in (store, await open_store()):
        assert await get(handle, b"key") == b"value"
        assert await get(handle, b"empty") == b""
        assert await get(handle, b"binary") == bytes(range(256))


async def test_data_outlives_closing(store: Store, open_store: OpenStore) -> None:
    await put(store, (b"key", b"value"))
    await store.close()
    assert await get(await open_store(), b"key") == b"value"


async def test_keys_are_ordered_bytewise(store: Store) -> None:
    keys = [b"", b"\0", b"\0\0", b"A", b"a", b"a\0", b"aa", b"b", b"\x7f", b"\x80", b"\xfd\xff"]
    await put(store, *((key, b"") for key in reversed(keys)))
    assert [key for key, _ in await get_all(store)] == keys


async def test_a_range_has_its_begin_and_not_its_end(store: Store) -> None:
    await put(store, *((key, key) for key in (b"a", b"b", b"c")))
    entries = await store.run(lambda transaction: transaction.get_range(b"a", b"c"))
    assert entries == [(b"a", b"a"), (b"b", b"b")]


@pytest.mark.parametrize("limit", [1, 255, 256, 257, 600, 5000])
async def test_keys_of_a_range_are_read_without_values(store: Store, limit: int) -> None:
    keys = [b"k%05d" % number for number in range(1200)]
    await put(store, *((key, b"v" * 30) for key in keys), (b"long", bytes(200_000)))

    async def body(transaction: Transaction) -> list[bytes]:
        transaction.set(b"k00000a", b"own")
        transaction.clear(b"k00001")
        return await transaction.get_keys(b"k", b"l", limit=limit)

    expected = [keys[0], b"k00000a", *keys[2:]]
    assert await store.run(body) == expected[:limit]
    assert await store.run(lambda tr: tr.get_keys(b"l", b"m", limit=5)) == [b"long"]
    assert await store.run(lambda tr: tr.get_keys(b"m", b"l", limit=5)) == []


async def test_a_key_that_comes_into_a_range_whose_keys_were_read_is_a_conflict(store: Store) -> None:
    counts = []

    async def body(transaction: Transaction) -> None:
        counts.append(len(await transaction.get_keys(b"a/", b"a0", limit=10)))
        if len(counts) == 1:
            await put(store, (b"a/1", b""))
        transaction.set(b"count", b"%d" % counts[-1])

    await store.run(body)
    assert counts == [0, 1]


async def test_an_empty_or_backward_range_has_nothing(store: Store) -> None:
    await put(store, (b"b", b""))
    assert await store.run(lambda transaction: transaction.get_range(b"b", b"b")) == []
    assert await store.run(lambda transaction: transaction.get_range(b"c", b"a")) == []


async def test_a_long_range_is_whole_in_both_directions(store: Store) -> None:
    entries = [(b"%05d" % number, b"%d" % number) for number in range(2000)]
    await put(store, *entries)
    assert await get_all(store) == entries
    last = await store.run(lambda tr: tr.get_range(b"", b"\xfe", limit=700, reverse=True))
    assert last == entries[:-701:-1]


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(initial=INITIAL, steps=STEPS)
async def test_a_transaction_behaves_as_a_sorted_dict(
    store: Store, initial: dict[bytes, bytes], steps: list[tuple[Any, ...]]
) -> None:
    await check_against_model(store, initial, steps)


async def test_reads_issued_together_see_one_snapshot(store: Store) -> None:
    await put(store, (b"a", b"1"), (b"b", b"2"))

    async def body(transaction: Transaction) -> list[bytes | None]:
        return list(await asyncio.gather(*(transaction.get(key) for key in (b"a", b"b", b"a"))))

    assert await store.run(body) == [b"1", b"2", b"1"]


async def test_many_reads_at_once_are_as_one_each(store: Store) -> None:
    long = b"x" * 200_000
    await put(store, (b"a", b"1"), (b"long", long))

    async def body(transaction: Transaction) -> list[bytes | None]:
        transaction.set(b"b", b"2")
        first = await transaction.get_many((b"a", b"none", b"long", b"b"))
        transaction.clear(b"a")
        return [*first, *await transaction.get_many((b"a",)), *await transaction.get_many(())]

    assert await store.run(body) == [b"1", None, long, b"2", None]


async def test_many_reads_at_once_conflict_as_one_each(store: Store) -> None:
    runs = 0

    async def body(transaction: Transaction) -> None:
        nonlocal runs
        runs += 1
        found = transaction.get_many((b"a", b"b"))  # awaited last, as what a change rests on
        transaction.set(b"c", b"x")
        if runs == 1:
            await transaction.get(b"other")
            await put(store, (b"b", b"meanwhile"))
        assert (await found)[1] == (None if runs == 1 else b"meanwhile")

    await store.run(body)
    assert runs == 2


async def test_many_reads_at_once_need_not_be_awaited(store: Store) -> None:
    async def body(transaction: Transaction) -> None:
        transaction.get_many((b"a", b"b"))
        transaction.set(b"c", b"x")

    await store.run(body)
    assert await get(store, b"c") == b"x"


async def test_a_transaction_tells_how_much_it_has_written(store: Store) -> None:
    async def body(transaction: Transaction) -> list[int]:
        sizes = [transaction.size]
        for _ in range(2):
            transaction.set(b"key", b"value")
            sizes.append(transaction.size)
        return sizes

    assert await store.run(body) == [0, 8, 16]


async def test_reads_of_a_transaction_see_one_snapshot_whatever_is_written_meanwhile(store: Store) -> None:
    await put(store, (b"a", b"old"), (b"b", b"old"))

    async def body(transaction: Transaction) -> tuple[bytes | None, bytes | None, int]:
        first = await transaction.get(b"a")
        await put(store, (b"a", b"new"), (b"b", b"new"), (b"c", b"new"))
        return first, await transaction.get(b"b"), len(await transaction.get_range(b"", b"\xfe"))

    assert await store.run(body) == (b"old", b"old", 2)
    assert await get(store, b"b") == b"new"


async def test_a_transaction_sees_what_was_acknowledged_before_it(store: Store, open_store: OpenStore) -> None:
    other = await open_store()
    for number in range(30):
        await put(store, (b"key", b"%d" % number))
        assert await get(other, b"key") == b"%d" % number


async def test_no_increment_is_lost(store: Store) -> None:
    await asyncio.gather(*(increment(store, b"counter") for _ in range(40)))
    assert await get(store, b"counter") == b"40"


async def test_no_increment_is_lost_between_handles(store: Store, open_store: OpenStore) -> None:
    handles = [store, await open_store(), await open_store()]
    await asyncio.gather(*(increment(handle, b"counter") for handle in handles for _ in range(10)))
    assert await get(store, b"counter") == b"30"


class Meeting:
    """Makes two bodies read before either writes, on their first run; counts the runs."""

    def __init__(self) -> None:
        self._barrier = asyncio.Barrier(2)
        self.runs = 0

    async def wait(self) -> None:
        self.runs += 1
        if self.runs <= 2:
            await self._barrier.wait()


async def test_write_skew_is_prevented(store: Store) -> None:
    await put(store, (b"on-call/a", b"yes"), (b"on-call/b", b"yes"))
    meeting = Meeting()

    async def leave(transaction: Transaction, own: bytes, other: bytes) -> None:
        other_stays = await transaction.get(other) == b"yes"
        await transaction.get(own)
        await meeting.wait()
        if other_stays:
            transaction.set(own, b"no")

    await asyncio.gather(
        store.run(lambda tr: leave(tr, b"on-call/a", b"on-call/b")),
        store.run(lambda tr: leave(tr, b"on-call/b", b"on-call/a")),
    )
    assert sorted(value for _, value in await get_all(store)) == [b"no", b"yes"]
    assert meeting.runs == 3


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("limit", [0, 5])
async def test_phantoms_are_prevented(store: Store, limit: int, reverse: bool) -> None:
    await put(store, (b"seat/0", b"taken"))
    meeting = Meeting()

    async def take_a_seat(transaction: Transaction, seat: bytes) -> bool:
        taken = await transaction.get_range(b"seat/", b"seat0", limit=limit, reverse=reverse)
        await meeting.wait()
        if len(taken) >= 2:
            return False
        transaction.set(seat, b"taken")
        return True

    won = await asyncio.gather(
        store.run(lambda tr: take_a_seat(tr, b"seat/1")), store.run(lambda tr: take_a_seat(tr, b"seat/2"))
    )
    assert sorted(won) == [False, True]
    assert len(await get_all(store)) == 2


async def test_a_removed_entry_of_a_range_that_was_read_is_a_conflict(store: Store) -> None:
    await put(store, (b"a/1", b""), (b"a/2", b""))
    counts = []

    async def body(transaction: Transaction) -> None:
        counts.append(len(await transaction.get_range(b"a/", b"a0")))
        if len(counts) == 1:
            await clear(store, b"a/2")
        transaction.set(b"count", b"%d" % counts[-1])

    await store.run(body)
    assert counts == [2, 1]
    assert await get(store, b"count") == b"1"


@pytest.mark.parametrize("reverse", [False, True])
async def test_an_unrelated_write_is_no_conflict(store: Store, reverse: bool) -> None:
    await put(store, (b"a", b"1"), *((b"r/%d" % number, b"") for number in range(1, 6)))
    runs = 0

    async def body(transaction: Transaction) -> None:
        nonlocal runs
        runs += 1
        await transaction.get(b"a")
        await transaction.get_range(b"r/", b"r0", limit=2, reverse=reverse)
        await put(store, (b"b", b"2"), (b"r/3", b"beyond the two that were read"))
        transaction.set(b"c", b"3")

    await store.run(body)
    assert runs == 1


async def test_a_conflict_runs_the_body_again_on_a_fresh_snapshot(store: Store) -> None:
    seen = []

    async def body(transaction: Transaction) -> bytes | None:
        seen.append(await transaction.get(b"key"))
        if len(seen) <= 2:
            await put(store, (b"key", b"%d" % len(seen)))
        transaction.set(b"result", seen[-1] or b"")
        return seen[-1]

    assert await store.run(body) == b"2"
    assert seen == [None, b"1", b"2"]
    assert await get(store, b"result") == b"2"


async def test_retries_end_at_a_limit(store: Store) -> None:
    runs = 0

    async def body(transaction: Transaction) -> None:
        nonlocal runs
        await transaction.get(b"key")
        runs += 1
        await put(store, (b"key", b"%d" % runs))
        transaction.set(b"result", b"")

    with pytest.raises(TransactionConflict):
        await store.run(body)
    assert runs > 1
    assert await get(store, b"result") is None


async def test_a_body_that_only_reads_never_conflicts(store: Store) -> None:
    runs = 0

    async def body(transaction: Transaction) -> None:
        nonlocal runs
        runs += 1
        await transaction.get(b"key")
        await put(store, (b"key", b"changed"))

    await store.run(body)
    assert runs == 1


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt(), asyncio.CancelledError()])
async def test_an_exception_of_the_body_writes_nothing(store: Store, error: BaseException) -> None:
    async def body(transaction: Transaction) -> None:
        await transaction.get(b"key")
        transaction.set(b"key", b"value")
        raise error

    with pytest.raises(type(error)) as raised:
        await store.run(body)
    assert raised.value is error
    assert await get_all(store) == []


async def test_a_cancelled_body_writes_nothing(store: Store) -> None:
    async def body(transaction: Transaction) -> None:
        transaction.set(b"key", b"value")
        await asyncio.Event().wait()

    task = asyncio.create_task(store.run(body))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await get_all(store) == []


async def test_a_transaction_that_has_ended_refuses_use(store: Store) -> None:
    kept: list[Transaction] = []

    async def body(transaction: Transaction) -> None:
        await transaction.get(b"key")
        transaction.set(b"key", b"")
        kept.append(transaction)

    await store.run(body)
    ended = kept[0]
    with pytest.raises(RuntimeError, match="ended"):
        await ended.get(b"key")
    with pytest.raises(RuntimeError, match="ended"):
        await ended.get_range(b"", b"\xfe")
    uses: list[Callable[[], None]] = [
        lambda: ended.set(b"key", b"late"),
        lambda: ended.clear(b"key"),
        lambda: ended.clear_range(b"", b"\xfe"),
        lambda: ended.add(b"key", 1),
        lambda: ended.set_versionstamped(b"", b"", b""),
    ]
    for use in uses:
        with pytest.raises(RuntimeError, match="ended"):
            use()
    assert await get(store, b"key") == b""


async def test_a_transaction_that_writes_too_much_writes_nothing(store: Store) -> None:
    piece = TRANSACTION_BYTES // 200

    async def body(transaction: Transaction) -> None:
        for number in range(201):
            transaction.set(b"%05d" % number, bytes(piece))

    with pytest.raises(TransactionTooLarge):
        await store.run(body)
    assert await get_all(store) == []


async def test_adds_add_up_without_a_second_run(store: Store) -> None:
    runs = 0

    async def body(transaction: Transaction) -> None:
        nonlocal runs
        runs += 1
        await asyncio.sleep(0)
        transaction.add(b"counter", 3)

    await asyncio.gather(*(store.run(body) for _ in range(50)))
    assert await get(store, b"counter") == (150).to_bytes(8, "little")
    assert runs == 50


async def test_an_add_may_go_below_zero_and_is_seen_at_once(store: Store) -> None:
    async def body(transaction: Transaction) -> bytes | None:
        transaction.add(b"counter", 1)
        transaction.add(b"counter", -3)
        return await transaction.get(b"counter")

    assert await store.run(body) == (-2).to_bytes(8, "little", signed=True)
    assert await store.run(body) == (-4).to_bytes(8, "little", signed=True)


@pytest.mark.parametrize("delta", [2**63, -(2**63) - 1])
async def test_an_add_beyond_64_bits_is_refused(store: Store, delta: int) -> None:
    async def body(transaction: Transaction) -> None:
        transaction.add(b"counter", delta)

    with pytest.raises(OverflowError):
        await store.run(body)


async def _append(store: Store, number: int) -> None:
    async def body(transaction: Transaction) -> None:
        transaction.set_versionstamped(b"log/", b"/%d" % number, b"%d" % number)

    await store.run(body)


async def test_versionstamps_increase_in_the_order_of_commits(store: Store, open_store: OpenStore) -> None:
    handles = [store, await open_store()]
    for number in range(20):
        await _append(handles[number % 2], number)
    assert [int(value) for _, value in await get_all(store)] == list(range(20))


async def test_versionstamps_of_concurrent_commits_differ(store: Store) -> None:
    await asyncio.gather(*(_append(store, number) for number in range(60)))
    entries = await get_all(store)
    stamps = {key[len(b"log/") :][:VERSIONSTAMP_LENGTH] for key, _ in entries}
    assert len(stamps) == len(entries) == 60
    assert all(key[len(b"log/") + VERSIONSTAMP_LENGTH :] == b"/" + value for key, value in entries)


async def test_versionstamped_writes_of_a_transaction_keep_their_order_and_are_not_seen_by_it(store: Store) -> None:
    count = 300

    async def body(transaction: Transaction) -> int:
        for number in range(count):
            transaction.set_versionstamped(b"log/", b"", b"%d" % number)
        return len(await transaction.get_range(b"log/", b"log0"))

    assert await store.run(body) == 0
    entries = await get_all(store)
    assert [int(value) for _, value in entries] == list(range(count))
    assert {len(key) for key, _ in entries} == {len(b"log/") + VERSIONSTAMP_LENGTH}
    assert len({key[:-PLACE_LENGTH] for key, _ in entries}) == 1


async def test_a_snapshot_lies_between_the_versionstamps_before_it_and_those_after(store: Store) -> None:
    await _append(store, 1)
    stamp = await store.run(lambda transaction: transaction.snapshot_stamp())
    await _append(store, 2)
    first, second = (key[len(b"log/") :][:VERSIONSTAMP_LENGTH] for key, _ in await get_all(store))
    assert first < stamp < second


async def test_a_transaction_of_batch_priority_does_the_same(store: Store) -> None:
    async def body(transaction: Transaction) -> bytes | None:
        transaction.set(b"a", b"1")
        return await transaction.get(b"a")

    assert await store.run(body, priority=Priority.BATCH) == b"1"
    assert await get(store, b"a") == b"1"


async def test_transactions_of_batch_priority_conflict_like_all(store: Store) -> None:
    async def body(transaction: Transaction) -> None:
        transaction.set(b"counter", b"%d" % (int(await transaction.get(b"counter") or 0) + 1))

    both = (Priority.BATCH, Priority.REQUEST)
    await asyncio.gather(*(store.run(body, priority=both[number % 2]) for number in range(40)))
    assert await get(store, b"counter") == b"40"


async def test_an_idempotency_key_applies_the_body_once(store: Store) -> None:
    async def body(transaction: Transaction) -> None:
        transaction.add(b"counter", 1)

    await store.run(body, idempotency_key=bytes(16))
    assert await get(store, b"counter") == (1).to_bytes(8, "little")


async def test_a_transaction_may_run_inside_another(store: Store) -> None:
    async def outer(transaction: Transaction) -> bytes | None:
        await transaction.get(b"a")
        await put(store, (b"b", b"inner"))
        transaction.set(b"a", b"outer")
        return await get(store, b"b")

    assert await store.run(outer) == b"inner"
    assert await get_all(store) == [(b"a", b"outer"), (b"b", b"inner")]


async def test_close_is_idempotent_and_later_use_is_refused(store: Store) -> None:
    await put(store, (b"key", b"value"))
    await asyncio.gather(store.close(), store.close())
    await store.close()
    with pytest.raises(StoreUnavailable):
        await get(store, b"key")
    with pytest.raises(StoreUnavailable):
        await put(store, (b"key", b"later"))
    with pytest.raises(StoreUnavailable):
        await store.watch(b"key")


async def test_close_waits_for_the_commits_under_way(store: Store, open_store: OpenStore) -> None:
    writes = [asyncio.create_task(put(store, (b"%d" % number, b""))) for number in range(20)]
    await asyncio.sleep(0)
    await store.close()
    await asyncio.gather(*writes)
    assert len(await get_all(await open_store())) == 20
