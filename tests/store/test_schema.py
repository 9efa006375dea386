from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from kms_actors.errors import FormatError
from kms_actors.store.api import Store
from kms_actors.store.keyspace import HEADER
from kms_actors.store.schema import exists, initialise
from tests.store.access import get, put

GOLDEN = b'{"format":1,"min_reader":1}'


async def test_the_header_has_these_bytes(store: Store) -> None:
    assert await initialise(store)
    assert await get(store, HEADER) == GOLDEN
    assert HEADER == b"\x02ckms\x00\x02header\x00"


async def test_a_second_initialisation_finds_the_first(store: Store) -> None:
    assert await initialise(store)
    assert not await initialise(store)


async def test_of_many_at_once_one_is_first(store: Store, open_store: Callable[[], Awaitable[Store]]) -> None:
    handles = [store, await open_store(), await open_store()] * 4
    assert sorted(await asyncio.gather(*(initialise(handle) for handle in handles))) == [False] * 11 + [True]


async def test_a_newer_format_that_we_may_read_is_accepted_and_kept(store: Store) -> None:
    newer = b'{"format":9,"min_reader":1,"feature":"unknown"}'
    await put(store, (HEADER, newer))
    assert not await initialise(store)
    assert await get(store, HEADER) == newer


async def test_a_format_we_may_not_read_is_refused_with_what_it_needs(store: Store) -> None:
    await put(store, (HEADER, b'{"format":9,"min_reader":8}'))
    with pytest.raises(FormatError, match=r"format 9.*format 8.*up to 1: upgrade"):
        await initialise(store)


@pytest.mark.parametrize(
    "header",
    [b"", b"{", b"[]", b"\xff", b'{"format":1}', b'{"format":"1","min_reader":1}', b'{"format":0,"min_reader":0}'],
)
async def test_a_damaged_header_is_refused(store: Store, header: bytes) -> None:
    await put(store, (HEADER, header))
    with pytest.raises(FormatError, match="damaged"):
        await initialise(store)
    assert await get(store, HEADER) == header


async def test_whether_a_store_is_initialised_is_seen_without_writing(store: Store) -> None:
    assert not await exists(store)
    assert await get(store, HEADER) is None
    await initialise(store)
    assert await exists(store)
    await put(store, (HEADER, b'{"format":2,"min_reader":2}'))
    with pytest.raises(FormatError, match="upgrade"):
        await exists(store)
