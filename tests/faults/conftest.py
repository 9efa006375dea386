"""Stores of every engine to draw faults around, and three nodes over one database to let disasters happen to."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.store.conftest import open_store, place, store
from tests.support.databases import open_database
from tests.support.node_cluster import NodeCluster, node_cluster
from tests.support.report import Report, reporting
from tests.support.tenant import Tenant

__all__ = ["open_store", "place", "store"]


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeCluster]:
    """Three nodes, unsealed; a test names the engine, and leaves them running."""
    directory = tmp_path_factory.mktemp("cluster")
    with (
        open_database(request.param, directory) as database,
        node_cluster(database, directory, "workers = 1") as cluster,
    ):
        yield cluster


@pytest.fixture
def tenant(cluster: NodeCluster) -> Tenant:
    return cluster.make_tenant()


@pytest.fixture
def user_token(tenant: Tenant) -> str:
    return tenant.user.token or ""


@pytest.fixture
def report(cluster: NodeCluster, capsys: pytest.CaptureFixture[str]) -> Report:
    return reporting(capsys, cluster.database.engine)
