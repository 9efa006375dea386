"""What one node tells is heard by all, and nothing that lies in the store can end the hearing.

The kind: a change that is lost on its way (replaced by another line of its transaction, sorted before where anybody
looks, dropped for not being understood), and a task that ends without anybody knowing. Each line has a place that the
transaction gives it; a reader proves at each page that the log goes on where it was; what is not understood costs
what it may be about; and tasks are begun again whatever ends them.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import msgspec
import pytest

from kms_actors.actors.cluster import changes, eras, trimming
from kms_actors.actors.cluster.changes import ANYTHING, CLUSTER, HEAD, LOG, TENANT, TOKEN, TRANSIT, Change, read_line
from kms_actors.actors.cluster.eras import ERA, TRIMMED
from kms_actors.actors.cluster.feed import ChangeFeed
from kms_actors.errors import StoreUnavailable
from kms_actors.store import keyspace
from kms_actors.store.api import PLACE_LENGTH, VERSIONSTAMP_LENGTH, Store, Transaction
from tests.store.access import clear, get, get_all, put, replace_all
from tests.store.conftest import open_store, place, store

__all__ = ["open_store", "place", "store"]

OpenStore = Callable[[], Awaitable[Store]]
LEASE = 60.0


def changed(name: str = "", vault: str = "v", area: str = TENANT) -> Change:
    return Change(vault, area, name, 1.5)


async def write(store: Store, *told: Change) -> None:
    async def body(tr: Transaction) -> None:
        for change in told:
            changes.record(tr, change)

    await store.run(body)


async def write_raw(store: Store, raw: bytes) -> None:
    async def body(tr: Transaction) -> None:
        tr.set_versionstamped(LOG, b"", raw)
        tr.add(HEAD, 1)

    await store.run(body)


async def lines(store: Store) -> list[bytes]:
    return [key[len(LOG) :] for key, _ in await get_all(store) if key.startswith(LOG)]


class Listener:
    """A reader of the log that goes on only when told to; `heard` has what it was told."""

    def __init__(self, store: Store) -> None:
        self.heard: list[Change | None] = []
        self.fails: list[Change | None] = []
        self.time = 1000.0
        self.feed = ChangeFeed(store, self._deliver, LEASE, lambda: self.time)

    async def start(self) -> Listener:
        await self.feed.start()
        await self.feed.stop()
        return self

    async def hear(self) -> list[Change | None]:
        """Read to the end, and return what was told."""
        self.heard.clear()
        await self.feed.catch_up()
        return list(self.heard)

    def _deliver(self, change: Change | None) -> None:
        if change in self.fails:
            self.fails.remove(change)
            raise ZeroDivisionError
        self.heard.append(change)


@pytest.fixture
async def listener(store: Store) -> Listener:
    return await Listener(store).start()


async def test_all_lines_of_a_transaction_are_heard_in_their_order(store: Store, listener: Listener) -> None:
    told = [changed(f"id{number}", CLUSTER, TOKEN) for number in range(40)]
    await write(store, *told)
    assert await listener.hear() == told
    assert {len(line) for line in await lines(store)} == {VERSIONSTAMP_LENGTH}


async def test_lines_of_many_transactions_at_once_are_all_heard(open_store: OpenStore) -> None:
    stores = [await open_store() for _ in range(2)]
    listeners = [await Listener(store).start() for store in stores]
    told = [[changed(f"{number}/{place}") for place in range(number % 5 + 1)] for number in range(60)]
    await asyncio.gather(*(write(stores[number % 2], *batch) for number, batch in enumerate(told)))
    for listener in listeners:
        heard = await listener.hear()
        assert sorted(heard, key=str) == sorted((change for batch in told for change in batch), key=str)
    assert listeners[0].heard == listeners[1].heard


async def test_more_lines_than_a_page_are_heard_once(store: Store, listener: Listener) -> None:
    told = [changed(str(number)) for number in range(1203)]
    for start in range(0, len(told), 401):
        await write(store, *told[start : start + 401])
    assert await listener.hear() == told
    assert await listener.hear() == []


async def test_a_line_of_an_earlier_program_is_heard(store: Store, listener: Listener) -> None:
    raw = msgspec.msgpack.encode(("v", TENANT, "", 1.5))
    await write(store, changed("before"))
    await listener.hear()
    (line,) = await lines(store)
    # Its keys had no place at their end.
    old = (int.from_bytes(line[:-PLACE_LENGTH], "big") + 1).to_bytes(VERSIONSTAMP_LENGTH - PLACE_LENGTH, "big")
    await put(store, (LOG + old, raw), (b"any", b"commit"), (HEAD, (2).to_bytes(8, "little")))
    assert await listener.hear() == [changed()]
    await write(store, changed("after"))
    assert await listener.hear() == [changed("after")]


# Lines that are not understood.


@pytest.mark.parametrize(
    "raw",
    [b"", b"\xc1", b"\xff" * 40, b"\x94\xa1v", msgspec.msgpack.encode({"vault": "v"}), b"\x94\xa1\xff\xa1a\xa0\x01"],
)
async def test_a_line_that_does_not_decode_has_everything_forgotten(
    store: Store, listener: Listener, raw: bytes
) -> None:
    await write(store, changed("before"))
    await write_raw(store, raw)
    await write(store, changed("after"))
    assert await listener.hear() == [changed("before"), changed("after"), None]
    assert (listener.feed.skipped, listener.feed.renewals) == (1, 1)
    assert await listener.hear() == []


@pytest.mark.parametrize(
    "line",
    [
        changed(area="of a newer version"),
        changed("not hex", area=TOKEN),
        changed("", area=TOKEN),
        changed("no number/k", area=TRANSIT),
        changed("12", area=TRANSIT),
        changed("9" * 30 + "/k", area=TRANSIT),
        changed("a\0b", area=TENANT),
    ],
)
async def test_what_is_not_understood_of_a_vault_has_that_vault_forgotten(
    store: Store, listener: Listener, line: Change
) -> None:
    await write(store, line)
    assert await listener.hear() == [Change("v", ANYTHING, "", 1.5)]
    assert (listener.feed.skipped, listener.feed.renewals) == (1, 0)


async def test_what_is_not_understood_of_the_cluster_has_everything_forgotten(
    store: Store, listener: Listener
) -> None:
    await write(store, changed("x", CLUSTER, "of a newer version"))
    assert await listener.hear() == [None]


async def test_a_line_with_more_fields_than_are_known_is_heard(store: Store, listener: Listener) -> None:
    await write_raw(store, msgspec.msgpack.encode(("v", TRANSIT, "2/k", 1.5, 7, "more")))
    assert await listener.hear() == [Change("v", TRANSIT, "2/k", 1.5, 7)]


@pytest.mark.parametrize("seed", range(20))
def test_no_bytes_make_reading_a_line_fail(seed: int) -> None:
    draw = random.Random(seed)
    good = msgspec.msgpack.encode(Change("vault", TRANSIT, "2/key", 1.5, 3))
    for _ in range(300):
        raw = bytearray(good)
        for _ in range(draw.randint(1, 4)):
            raw[draw.randrange(len(raw))] = draw.randrange(256)
        read_line(bytes(raw[: draw.randint(0, len(raw))]))
        read_line(draw.randbytes(draw.randint(0, 30)))


async def test_a_change_that_cannot_be_told_has_everything_forgotten_and_ends_nothing(
    store: Store, listener: Listener
) -> None:
    listener.fails.append(changed("bad"))
    await write(store, changed("bad"))
    await write(store, changed("good"))
    assert await listener.hear() == [changed("good"), None]


async def test_what_could_not_even_be_forgotten_is_told_again(store: Store, listener: Listener) -> None:
    listener.fails += [changed("bad"), None]
    await write(store, changed("bad"))
    listener.time += 5
    with pytest.raises(ZeroDivisionError):
        await listener.hear()
    assert listener.feed.age == 5
    assert await listener.hear() == [changed("bad")]
    assert listener.feed.age == 0


# The task that reads.


async def heard(listener: Listener, change: Change | None) -> None:
    async with asyncio.timeout(10):
        while change not in listener.heard:  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("error", [ZeroDivisionError(), asyncio.CancelledError(), StoreUnavailable("x"), None])
async def test_reading_begins_again_whatever_ends_it(
    store: Store, monkeypatch: pytest.MonkeyPatch, error: BaseException | None
) -> None:
    listener = Listener(store)
    listener.feed._reader._pause = 0.01
    caught_up = listener.feed.catch_up
    endings = [error] * 3

    async def catch_up() -> None:
        if endings and (ending := endings.pop()) is not None:
            raise ending
        await caught_up()

    monkeypatch.setattr(listener.feed, "catch_up", catch_up)
    await listener.feed.start()
    await write(store, changed())
    await heard(listener, changed())
    assert listener.feed.restarts == (0 if error is None else 3)
    await listener.feed.stop()
    assert listener.feed._reader._task is None


async def test_a_log_that_cannot_be_watched_is_read_all_the_same(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    listener = Listener(store)
    listener.feed._lease = 0.1

    async def watch(_: bytes) -> asyncio.Future[None]:
        raise StoreUnavailable("too many watches")

    monkeypatch.setattr(listener.feed._store, "watch", watch)
    await listener.feed.start()
    await write(store, changed())
    await heard(listener, changed())
    await listener.feed.stop()


async def test_after_a_reading_that_took_long_the_log_is_read_again_at_once(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lease began with the reading: a store that stood still must not be heard, and then lost once more."""
    listener = Listener(store)
    run, readings, again = store.run, 0, asyncio.Event()

    async def slow_once(*args: Any, **options: Any) -> Any:
        nonlocal readings
        result = await run(*args, **options)
        readings += 1
        if readings == 2:  # the first finds the end
            listener.time += LEASE * 0.95
        elif readings == 3:
            again.set()
        return result

    monkeypatch.setattr(store, "run", slow_once)
    await listener.feed.start()
    async with asyncio.timeout(LEASE / 5):  # else it waits a quarter
        await again.wait()
    await listener.feed.stop()
    assert listener.feed.fresh


async def test_reading_that_fails_leaves_no_watches_behind(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    listener = Listener(store)
    watches: list[asyncio.Future[None]] = []

    async def watch(_: bytes) -> asyncio.Future[None]:
        watches.append(asyncio.get_running_loop().create_future())
        return watches[-1]

    async def fail() -> None:
        raise StoreUnavailable("cut off")

    monkeypatch.setattr(listener.feed, "_watch", partial(watch, HEAD))
    monkeypatch.setattr(listener.feed, "catch_up", fail)
    listener.feed._reader._pause = 0.001
    await listener.feed.start()
    async with asyncio.timeout(5):
        while len(watches) < 20:  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.001)
    await listener.feed.stop()
    assert all(watch.cancelled() for watch in watches)


# The lease.


async def test_the_lease_begins_anew_only_when_what_was_heard_is_in_effect(store: Store) -> None:
    told: list[asyncio.Future[None]] = []
    time = 0.0

    def deliver(_: Change | None) -> asyncio.Future[None]:
        told.append(asyncio.get_running_loop().create_future())
        return told[-1]

    feed = ChangeFeed(store, deliver, 1.0, lambda: time)
    await feed.start()
    await feed.stop()
    time = 0.5
    await write(store, changed())
    reading = asyncio.create_task(feed.catch_up())
    async with asyncio.timeout(5):
        while not told:  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.005)
    assert feed.age == 0.5
    told[0].set_result(None)
    await reading
    assert feed.age == 0
    await write(store, changed())
    await feed.catch_up()
    assert told[1].cancelled(), "what took too long is for its giver to end"


@pytest.mark.parametrize("end", ["fails", "is cancelled"])
async def test_a_late_reader_that_could_not_act_upon_it_stays_late(store: Store, end: str) -> None:
    heard: list[Change | None] = []
    time = 0.0

    def deliver(change: Change | None) -> asyncio.Future[None]:
        heard.append(change)
        applied: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if len(heard) > 1:
            applied.set_result(None)
        elif end == "fails":
            applied.set_exception(StoreUnavailable("cut off"))
        else:
            applied.cancel()
        return applied

    feed = ChangeFeed(store, deliver, 10.0, lambda: time)
    await feed.start()
    await feed.stop()
    await put(store, (TRIMMED, b"\0" * 7 + b"\1" + b"\0" * 4), (b"any", b"commit"))
    time = 3.0
    with pytest.raises(StoreUnavailable):
        await feed.catch_up()
    assert feed.age == 3
    await feed.catch_up()
    assert heard == [None, None]
    assert feed.age == 0


# The store beneath is another by now.


async def test_a_store_with_lower_versions_than_its_log_has_a_new_era(store: Store, open_store: OpenStore) -> None:
    """Moved into a new cluster: what is written there sorts before all that is in the log."""
    listener = await Listener(store).start()
    await write(store, changed("before"))
    await listener.hear()
    high = b"\x7f" * VERSIONSTAMP_LENGTH
    await put(store, (LOG + high, msgspec.msgpack.encode(changed("old"))), (TRIMMED, b"\x7e" * VERSIONSTAMP_LENGTH))
    assert await listener.hear() == [None]
    other = await Listener(await open_store()).start()
    for name in ("one", "two"):
        await write(store, changed(name))
        assert await listener.hear() == [changed(name)]
        assert await other.hear() == [changed(name)]
    assert await get(store, TRIMMED) is None
    assert LOG + high not in dict(await get_all(store))


async def test_a_node_that_starts_on_such_a_store_hears_what_is_written(store: Store) -> None:
    await put(store, (LOG + b"\x7f" * VERSIONSTAMP_LENGTH, msgspec.msgpack.encode(changed("old"))))
    listeners = [await Listener(store).start() for _ in range(2)]
    await write(store, changed("new"))
    for listener in listeners:
        assert await listener.hear() == [changed("new")]


async def test_a_reader_whose_place_is_of_higher_versions_begins_anew(store: Store) -> None:
    listener = await Listener(store).start()
    listener.feed._place = eras.Place(position=b"\x7f" * VERSIONSTAMP_LENGTH)
    await write(store, changed("one"))
    assert await listener.hear() == [None]
    await write(store, changed("two"))
    assert await listener.hear() == [changed("two")]


async def test_a_store_that_was_set_back_is_noticed_though_its_head_has_passed(store: Store) -> None:
    listener = await Listener(store).start()
    await write(store, changed("kept"))
    await listener.hear()
    earlier = dict(await get_all(store))
    await write(store, changed("lost"))
    await listener.hear()
    await replace_all(store, earlier)
    for _ in range(5):
        await write(store, changed("new"))
    assert await listener.hear() == [None]
    await write(store, changed("more"))
    assert await listener.hear() == [changed("more")]


async def test_a_line_that_was_written_where_it_was_read_already_is_noticed(store: Store) -> None:
    """In a store that all was moved to, whose versions had not come as far yet, and have passed it by now."""
    listener = await Listener(store).start()
    await write(store, changed("heard"))
    await listener.hear()

    async def body(tr: Transaction) -> None:
        tr.set(LOG + bytes(9) + b"\1" + bytes(VERSIONSTAMP_LENGTH - 10), msgspec.msgpack.encode(changed("not heard")))
        tr.add(HEAD, 1)

    await store.run(body)
    assert await listener.hear() == [None]
    await write(store, changed("more"))
    assert await listener.hear() == [changed("more")]


async def test_a_head_that_went_back_is_noticed_where_no_line_was_read(store: Store) -> None:
    await put(store, (HEAD, (7).to_bytes(8, "little")))
    listener = await Listener(store).start()
    await clear(store, HEAD)
    assert await listener.hear() == [None]
    assert await listener.hear() == []


async def test_a_store_set_back_to_where_a_reader_had_come_costs_nothing(store: Store) -> None:
    listener = await Listener(store).start()
    await write(store, changed("kept"))
    await listener.hear()
    earlier = dict(await get_all(store))
    await write(store, changed("lost, and not heard"))
    await replace_all(store, earlier)
    await write(store, changed("new"))
    assert await listener.hear() == [changed("new")]


async def test_all_readers_take_a_new_era_for_a_change_of_everything(store: Store, open_store: OpenStore) -> None:
    listeners = [await Listener(await open_store()).start() for _ in range(3)]
    await write(store, changed("before"))

    async def body(tr: Transaction) -> None:
        eras.begin_era(tr, era)

    era = os.urandom(eras.ERA_LENGTH)
    await store.run(body)
    await write(store, changed("after"))
    for listener in listeners:
        assert (await listener.hear())[0] is None
        assert listener.feed._place.era == era
    await write(store, changed("later"))
    for listener in listeners:
        assert await listener.hear() == [changed("later")]
    assert await get(store, ERA) == era


# Trimming.


async def trim(listener: Listener) -> None:
    await listener.feed._trimmer.trim()


async def test_lines_are_trimmed_when_they_are_old_whatever_they_say(store: Store, listener: Listener) -> None:
    await write(store, changed("old"))
    await write_raw(store, b"not to be decoded")
    await listener.hear()
    await write(store, changed("young"))
    listener.time += trimming.KEPT - 1
    await listener.hear()
    await trim(listener)
    assert len(await lines(store)) == 3
    listener.time += 2
    await trim(listener)
    (left,) = await lines(store)
    assert await get(store, TRIMMED) is not None
    listener.time += trimming.KEPT
    await trim(listener)
    assert await lines(store) == []
    assert await get(store, TRIMMED) == left
    await write(store, changed("after"))
    assert await listener.hear() == [changed("after")]


async def test_trimming_keeps_up_with_any_number_of_lines(store: Store, listener: Listener) -> None:
    """Before, 500 lines a minute were taken away: 12,000 are what 200 changes a second leave in one."""
    count = 12_000
    for start in range(0, count, 2000):
        await write(store, *(changed(str(number)) for number in range(start, start + 2000)))
    await listener.hear()
    listener.time += trimming.KEPT + 1
    await trim(listener)
    assert await lines(store) == []


async def test_processes_that_trim_at_once_do_it_once(open_store: OpenStore) -> None:
    stores = [await open_store() for _ in range(3)]
    listeners = [await Listener(store).start() for store in stores]
    await write(stores[0], *(changed(str(number)) for number in range(3000)))
    for listener in listeners:
        await listener.hear()
        listener.time += trimming.KEPT + 1
    await asyncio.gather(*map(trim, listeners))
    assert await lines(stores[0]) == []
    for listener in listeners:
        assert await listener.hear() == []


async def test_changes_go_on_while_the_log_is_trimmed(open_store: OpenStore) -> None:
    writing, trimmed = await open_store(), await open_store()
    listener = await Listener(trimmed).start()
    await write(writing, *(changed(str(number)) for number in range(5000)))
    await listener.hear()
    listener.time += trimming.KEPT + 1
    late = [changed(f"late{number}") for number in range(100)]

    async def go_on() -> None:
        for change in late:
            await write(writing, change)

    await asyncio.gather(trim(listener), go_on())
    assert await listener.hear() == late


async def test_a_late_reader_takes_everything_as_changed(store: Store, open_store: OpenStore) -> None:
    listener, late = await Listener(store).start(), await Listener(await open_store()).start()
    await write(store, changed())
    await listener.hear()
    listener.time += trimming.KEPT + 1
    await trim(listener)
    assert await late.hear() == [None]
    await write(store, changed("new"))
    assert await late.hear() == [changed("new")]


async def test_notes_of_another_era_trim_nothing(store: Store, listener: Listener) -> None:
    await write(store, changed("one"))
    await listener.hear()
    await put(store, (ERA, b"another"))
    listener.time += trimming.KEPT + 1
    await trim(listener)
    assert len(await lines(store)) == 1


async def test_notes_are_few_however_often_the_log_is_read(listener: Listener) -> None:
    for _ in range(5000):
        listener.time += 0.5
        listener.feed._trimmer.note(listener.feed._place)
        if listener.feed._trimmer._notes[0].time < listener.time - trimming.KEPT:
            await trim(listener)
    assert len(listener.feed._trimmer._notes) <= trimming.KEPT / trimming.EVERY + 1


def test_keys_of_the_log_are_told_from_its_other_records() -> None:
    for key in (HEAD, ERA, TRIMMED):
        assert not LOG <= key < keyspace.after(LOG)
