"""Records of cubbyholes: what is held is counted, and nothing is left of a token that ends."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from kms_actors.actors.tenant.cubbyholes import Cubbyholes
from kms_actors.cubbyhole.records import Held, WrapInfo
from kms_actors.keyring.keyring import Keyring
from kms_actors.store.api import Store, Transaction
from kms_actors.store.keyspace import TenantKeys, after
from tests.store.engines import ENGINES, Place, parameters

KEYS = TenantKeys(9)
SECRET = b'{"canary":"Zm9vYmFy"}'


@pytest.fixture(params=parameters())
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return Place(request.param, ENGINES[request.param].locate(tmp_path))


@pytest.fixture
async def store(place: Place) -> AsyncIterator[Store]:
    opened = await ENGINES[place.engine].open(place.location)
    try:
        yield opened
    finally:
        await opened.close()


@pytest.fixture
def cubbyholes() -> Cubbyholes:
    return Cubbyholes(KEYS, Keyring.generate(0.0))


async def records(store: Store) -> list[tuple[bytes, bytes]]:
    return await store.run(lambda tr: tr.get_range(KEYS.prefix, after(KEYS.prefix)))


async def write(store: Store, cubbyholes: Cubbyholes, accessor: str, path: str) -> None:
    async def body(tr: Transaction) -> None:
        held = await cubbyholes.held(tr, accessor)
        cubbyholes.set_entry(tr, accessor, path, SECRET)
        cubbyholes.hold(tr, accessor, held, Held(entries=held.entries + 1, bytes=held.bytes + len(SECRET)))

    await store.run(body)


async def test_an_entry_is_found_under_its_token_alone(store: Store, cubbyholes: Cubbyholes) -> None:
    await write(store, cubbyholes, "one", "a/b")
    assert await store.run(lambda tr: cubbyholes.entry(tr, "one", "a/b")) == SECRET
    for accessor, path in (("two", "a/b"), ("one", "a"), ("one", "a/b/")):
        assert await store.run(partial(cubbyholes.entry, accessor=accessor, path=path)) is None
    assert not any(b"Zm9vYmFy" in value for _, value in await records(store))


async def test_paths_are_listed_by_folder_in_order(store: Store, cubbyholes: Cubbyholes) -> None:
    for path in ("é", "b/y", "a", "b", "b/x/z", "bc"):
        await write(store, cubbyholes, "one", path)
    await write(store, cubbyholes, "two", "b/other")

    async def listed(folder: str, limit: int = 1000) -> list[str]:
        return await store.run(lambda tr: cubbyholes.paths(tr, "one", folder, limit))

    assert await listed("") == ["a", "b", "b/x/z", "b/y", "bc", "é"]
    assert await listed("b/") == ["b/x/z", "b/y"]
    assert await listed("", 2) == ["a", "b"]
    assert await listed("c/") == []


async def test_all_that_a_vault_holds_is_counted_to_the_byte(store: Store, cubbyholes: Cubbyholes) -> None:
    await write(store, cubbyholes, "one", "a")
    await write(store, cubbyholes, "one", "b")
    await write(store, cubbyholes, "two", "a")
    info = WrapInfo(path="secret/data/x", created=1, ttl=60)

    async def wrap(tr: Transaction) -> None:
        cubbyholes.keep_answer(tr, "three", info, SECRET)

    await store.run(wrap)
    of_three = await store.run(lambda tr: cubbyholes.held(tr, "three"))
    assert await store.run(cubbyholes.all_bytes) == 3 * len(SECRET) + of_three.bytes
    assert await store.run(lambda tr: cubbyholes.info(tr, "three")) == info
    assert await store.run(lambda tr: cubbyholes.answer(tr, "three")) == SECRET
    for accessor in ("one", "two", "three", "one", "none"):
        await store.run(partial(cubbyholes.drop, accessor=accessor))
    assert await store.run(cubbyholes.all_bytes) == 0
    assert len(await records(store)) == 1  # the counter
