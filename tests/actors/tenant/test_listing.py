"""A list of any length is read in short transactions, and long lists of one vault leave the others alone.

The kind: one answer as one transaction, whatever its size. Lists go through one function, which reads pages that are
bounded in keys, and gives a vault two turns at a time.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from kms_actors.actors.node.service import NodeService
from kms_actors.actors.tenant import listing
from kms_actors.actors.tenant.listing import AT_ONCE, PAGE, WAITING, LongReads, Names, list_names
from kms_actors.errors import NotFound, Overloaded
from kms_actors.kv.messages import ListSecrets, WriteSecret
from kms_actors.store.api import Entry, Store, Transaction
from kms_actors.store.keyspace import TenantKeys
from kms_actors.transit.messages import ListKeys
from tests.store.access import put
from tests.store.conftest import open_store, place, store
from tests.support.vaults import filled, node, transit_mount

__all__ = ["open_store", "place", "store"]

OpenStore = Callable[[], Awaitable[Store]]


class Reading:
    """Counts how many keys and values each transaction reads of ranges."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.keys: list[int] = []
        self.values = 0
        self.watch, self.close = store.watch, store.close

    async def run(self, body: Any, **options: Any) -> Any:
        place = len(self.keys)
        self.keys.append(0)
        return await self._store.run(lambda tr: body(_Counted(tr, self, place)), **options)


class _Counted:
    def __init__(self, tr: Transaction, reading: Reading, place: int) -> None:
        self._tr = tr
        self._reading = reading
        self._place = place

    async def get_range(self, begin: bytes, end: bytes, **options: Any) -> list[Entry]:
        entries = await self._tr.get_range(begin, end, **options)
        self._note(len(entries))
        self._reading.values += sum(bool(value) for _, value in entries)
        return entries

    async def get_keys(self, begin: bytes, end: bytes, **options: Any) -> list[bytes]:
        keys = await self._tr.get_keys(begin, end, **options)
        self._note(len(keys))
        return keys

    def _note(self, number: int) -> None:
        if self._place < len(self._reading.keys):  # it began since the count did
            self._reading.keys[self._place] += number

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tr, name)


@pytest.fixture
async def reading(open_store: OpenStore) -> Reading:
    return Reading(await open_store())


@pytest.fixture
async def service(reading: Reading, tmp_path: Path) -> AsyncIterator[NodeService]:
    async with node(reading, tmp_path) as service:
        await filled(service, "vault_a")
        yield service


async def fill(store: Store, *paths: str) -> None:
    """Put names of secrets into the vault, in transactions of a thousand."""
    keys = TenantKeys(1)
    for start in range(0, len(paths), 1000):
        await put(store, *((keys.key("kv", 1, "list", path), b"") for path in paths[start : start + 1000]))


async def kv_names(service: NodeService, folder: str = "", after: str = "", limit: int = 0) -> list[str]:
    names: list[str] = await (await service.tenant("vault_a")).ask(ListSecrets(1, folder, after, limit))
    return names


async def test_a_huge_folder_is_read_a_page_a_transaction(
    service: NodeService, store: Store, reading: Reading
) -> None:
    names = [f"{number:05}" for number in range(7 * PAGE + 3)]
    await fill(store, *(f"big/{name}" for name in names))
    reading.keys.clear()
    assert await kv_names(service, "big/") == names
    assert max(reading.keys) <= PAGE
    assert len(reading.keys) >= 8
    reading.keys.clear()
    assert await kv_names(service, "big/", after="06000", limit=1500) == names[6001:7501][:1500]
    assert max(reading.keys) <= PAGE
    assert await kv_names(service, "big/", limit=2) == names[:2]


async def test_a_folder_of_large_folders_is_read_without_what_is_in_them(
    service: NodeService, store: Store, reading: Reading
) -> None:
    await fill(store, *(f"wide/{folder:02}/{number:03}" for folder in range(30) for number in range(400)))
    reading.keys.clear()
    assert await kv_names(service, "wide/") == [f"{folder:02}/" for folder in range(30)]
    assert max(reading.keys) <= PAGE
    assert sum(reading.keys) <= 2 * PAGE


@pytest.mark.parametrize("seed", range(8))
async def test_lists_in_pages_are_those_of_a_sorted_set(
    service: NodeService, store: Store, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    draw = random.Random(seed)
    monkeypatch.setattr("kms_actors.actors.kv.storage.PAGE", draw.choice([1, 2, 3, 7, 16, 20]))
    segments = ["a", "b", "b-", "b.c", "é", "zz"]
    paths = {"/".join(draw.choices(segments, k=draw.randint(1, 4))) for _ in range(draw.randint(1, 150))}
    await fill(store, *(f"x/{path}" for path in paths))
    for folder in ("", "b/", "b/b-/"):
        below = [path[len(folder) :] for path in paths if path.startswith(folder) and path != folder]
        expected = sorted({name.partition("/")[0] + ("/" if "/" in name else "") for name in below}, key=str.encode)
        if not expected:
            with pytest.raises(NotFound):
                await kv_names(service, f"x/{folder}")
            continue
        assert await kv_names(service, f"x/{folder}") == expected
        limit = draw.randint(1, 5)
        assert await kv_names(service, f"x/{folder}", limit=limit) == expected[:limit]


async def test_what_is_there_all_the_while_is_in_a_list_that_is_read_meanwhile(
    service: NodeService, store: Store
) -> None:
    stays = [f"{number:05}" for number in range(0, 6 * PAGE, 2)]
    await fill(store, *(f"big/{name}" for name in stays))
    tenant = await service.tenant("vault_a")

    async def write(number: int) -> None:
        await tenant.ask(WriteSecret(1, f"big/{number:05}", b"{}", None))

    writes = asyncio.gather(*(write(number) for number in range(1, 6000, 60)))
    listed = await kv_names(service, "big/")
    await writes
    assert listed == sorted(set(listed))
    assert set(stays) <= set(listed)


async def test_transit_keys_are_listed_without_reading_them(
    service: NodeService, store: Store, reading: Reading
) -> None:
    keys = TenantKeys(1)
    names = [f"k{number:05}" for number in range(2 * PAGE + 30)]
    for start in range(0, len(names), 1000):
        some = names[start : start + 1000]
        await put(store, *((keys.key("transit", 2, "policy", name), b"not to be opened") for name in some))
    tenant = await service.tenant("vault_a")
    reading.keys.clear()
    reading.values = 0
    listed = await tenant.ask(ListKeys(transit_mount(tenant), "", 0))
    assert [name for name in listed if name in set(names)] == names
    assert max(reading.keys) <= PAGE
    assert reading.values == 0
    assert await tenant.ask(ListKeys(transit_mount(tenant), names[10], 3)) == names[11:14]
    assert await tenant.ask(ListKeys(transit_mount(tenant), "zzz", 0)) == []


# Fairness.


class Pages:
    """Lists without end, whose pages wait until they are let go."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.reading = self.most = 0

    async def read(self, after: str, limit: int, goes_on: bool) -> Names:
        if goes_on:
            self.reading += 1
            self.most = max(self.most, self.reading)
            await self.go.wait()
            self.reading -= 1
        number = int(after or 0)
        return Names([str(number + 1)], number < 5)


async def nothing() -> None:
    await asyncio.sleep(0)


async def test_long_lists_of_a_vault_take_turns_and_too_many_are_refused() -> None:
    pages, turns = Pages(), LongReads()
    lists = [asyncio.ensure_future(list_names(pages.read, "", 0, turns, nothing)) for _ in range(AT_ONCE + WAITING)]
    await asyncio.sleep(0.01)
    with pytest.raises(Overloaded):
        await list_names(pages.read, "", 0, turns, nothing)
    assert await list_names(pages.read, "9", 0, turns, nothing) == ["10"], "a short one waits for nobody"
    assert await list_names(pages.read, "", 1, turns, nothing) == ["1"]
    pages.go.set()
    assert await asyncio.gather(*lists) == [["1", "2", "3", "4", "5", "6"]] * len(lists)
    assert pages.most == AT_ONCE
    assert await list_names(pages.read, "", 3, turns, nothing) == ["1", "2", "3"]


async def test_a_turn_is_given_back_whatever_ends_a_list() -> None:
    pages, turns = Pages(), LongReads()
    lists = [asyncio.ensure_future(list_names(pages.read, "", 0, turns, nothing)) for _ in range(10)]
    await asyncio.sleep(0.01)
    for waiting in lists:
        waiting.cancel()
    await asyncio.gather(*lists, return_exceptions=True)
    pages.go.set()
    async with asyncio.timeout(5):
        assert len(await list_names(pages.read, "", 0, turns, nothing)) == 6
    assert turns._waiting == 0


async def test_forty_long_lists_of_one_vault_leave_another_its_answers(
    service: NodeService, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other vault's requests are done long before the lists are, whatever the machine's pace."""
    await filled(service, "vault_b")
    await fill(store, *(f"big/{number:05}" for number in range(10 * PAGE)))
    monkeypatch.setattr(listing, "WAITING", 40)
    lists = [asyncio.create_task(kv_names(service, "big/")) for _ in range(40)]
    await asyncio.sleep(0.05)
    other = await service.tenant("vault_b")
    for number in range(20):
        await other.ask(WriteSecret(1, f"s{number}", b"{}", None))
    assert sum(not task.done() for task in lists) > 20
    assert all(len(names) == 10 * PAGE for names in await asyncio.gather(*lists))
