"""Databases that several nodes share, by engine; one more engine is one more entry."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
from _pytest.mark import ParameterSet

from tests.support.fdb_cluster import API_VERSION, FdbCluster, absent, lent_cluster
from tests.support.node import sqlite_table


@dataclass(frozen=True)
class Database:
    """An empty database, its own for those who asked for it."""

    engine: str
    table: str  # `[cluster]` of the nodes' configuration
    server: FdbCluster | None = None  # None: the engine has no processes but the nodes'


@contextmanager
def _foundationdb(_: Path) -> Iterator[Database]:
    with lent_cluster() as server:
        yield Database(
            "foundationdb", f'api_version = {API_VERSION}\ncluster_file_path = "{server.cluster_file}"', server
        )


@contextmanager
def _sqlite(directory: Path) -> Iterator[Database]:
    yield Database("sqlite", sqlite_table(directory))


_ENGINES: Final[dict[str, Callable[[Path], AbstractContextManager[Database]]]] = {
    "foundationdb": _foundationdb,
    "sqlite": _sqlite,
}


def open_database(engine: str, directory: Path) -> AbstractContextManager[Database]:
    """Run a database with its files in `directory`."""
    return _ENGINES[engine](directory)


def engines(*names: str) -> list[ParameterSet]:
    """Return engines, or the named ones, as parameters of a fixture; one that is absent is skipped, and says why."""
    reasons = {"foundationdb": absent()}
    return [
        pytest.param(name, marks=[pytest.mark.skip(reason=reason)] if (reason := reasons.get(name)) else [])
        for name in names or _ENGINES
    ]
