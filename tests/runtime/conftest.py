"""Each asynchronous test runs on asyncio's loop and on uvloop, and leaves no actor behind."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping

import pytest
import uvloop

from kms_actors.runtime import living


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture(autouse=True)
async def clean_registry() -> AsyncIterator[None]:
    yield
    async with asyncio.timeout(10):
        await asyncio.gather(*(ref.stop(block=False) for ref in living()))
    assert living() == []
