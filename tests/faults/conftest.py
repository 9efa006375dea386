from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from kms_actors.store.api import Store
from tests.store.engines import ENGINES, parameters


@pytest_asyncio.fixture(params=parameters())
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """Return an empty store of each engine, without faults."""
    engine = ENGINES[request.param]
    store = await engine.open(engine.locate(tmp_path))
    yield store
    await store.close()
