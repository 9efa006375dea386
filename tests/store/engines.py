"""The engines that the contract suite runs on; one more engine is one more entry."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kms_actors.store.api import Store
from kms_actors.store.sqlite import SqliteStore


@dataclass(frozen=True)
class Engine:
    """How to get an empty database for one test, and how to open it, here or in another process."""

    locate: Callable[[Path], str]  # from the test's own directory to a location without any data
    open: Callable[[str], Awaitable[Store]]


@dataclass(frozen=True)
class Place:
    """A database of one test."""

    engine: str
    location: str


async def _open_sqlite(location: str) -> Store:
    return await SqliteStore.open(Path(location))


ENGINES: Final = {
    "sqlite": Engine(locate=lambda directory: str(directory / "store" / "kms.db"), open=_open_sqlite),
}
