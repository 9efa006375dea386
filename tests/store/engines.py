"""The engines that the contract suite runs on; one more engine is one more entry."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
from _pytest.mark import ParameterSet

from kms_actors.store.api import Store
from kms_actors.store.foundationdb.engine import FoundationDbStore
from kms_actors.store.sqlite.engine import SqliteStore
from tests.support.fdb_cluster import API_VERSION, absent, shared_cluster


@dataclass(frozen=True)
class Engine:
    """How to get an empty database for one test, and how to open it, here or in another process."""

    locate: Callable[[Path], str]  # from the test's own directory to a location without any data
    open: Callable[[str], Awaitable[Store]]
    absent: Callable[[], str | None] = lambda: None  # what is missing here for it, and how to get it


@dataclass(frozen=True)
class Place:
    """A database of one test."""

    engine: str
    location: str


async def _open_sqlite(location: str) -> Store:
    return await SqliteStore.open(Path(location))


async def _open_foundationdb(location: str) -> Store:
    return await FoundationDbStore.open(Path(location), API_VERSION)


def _locate_foundationdb(_: Path) -> str:
    cluster = shared_cluster()
    cluster.clear()
    return str(cluster.cluster_file)


ENGINES: Final = {
    "foundationdb": Engine(locate=_locate_foundationdb, open=_open_foundationdb, absent=absent),
    "sqlite": Engine(locate=lambda directory: str(directory / "store" / "kms.db"), open=_open_sqlite),
}


def parameters() -> list[ParameterSet]:
    """Return the engines' names as parameters of a fixture; those that are absent are skipped."""
    reasons = {name: engine.absent() for name, engine in ENGINES.items()}
    return [
        pytest.param(name, marks=[pytest.mark.skip(reason=reason)] if reason else [])
        for name, reason in sorted(reasons.items())
    ]
