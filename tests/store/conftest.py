from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from kms_actors.store.api import Store
from tests.store.engines import ENGINES, Place, parameters


@pytest.fixture(params=parameters())
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return Place(request.param, ENGINES[request.param].locate(tmp_path))


@pytest_asyncio.fixture
async def open_store(place: Place) -> AsyncIterator[Callable[[], Awaitable[Store]]]:
    """Open one more handle on the database; all are closed at the end."""
    opened: list[Store] = []

    async def open_one() -> Store:
        opened.append(await ENGINES[place.engine].open(place.location))
        return opened[-1]

    yield open_one
    for store in opened:
        await store.close()


@pytest_asyncio.fixture
async def store(open_store: Callable[[], Awaitable[Store]]) -> Store:
    return await open_store()
