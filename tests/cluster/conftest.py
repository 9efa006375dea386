"""Three nodes over one database of each engine, shared by all tests of the suite.

The quick counts are for everyday; `make cluster-test` takes the full ones.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from tests.support.callers import Callers, calling
from tests.support.databases import engines, open_database
from tests.support.node_cluster import NodeCluster, node_cluster
from tests.support.report import Report, reporting
from tests.support.tenant import Tenant


@pytest.fixture(scope="session")
def count() -> int:
    """How many requests, pairs or increments a test makes."""
    return int(os.environ.get("KMS_CLUSTER_COUNT", "500"))


@pytest.fixture(scope="session")
def tree() -> int:
    """How many tokens hang on one that is revoked, in the test of a large tree."""
    return int(os.environ.get("KMS_CLUSTER_TREE", "2000"))


@pytest.fixture(scope="session")
def workers() -> int:
    """Processes that serve, of each node."""
    return int(os.environ.get("KMS_CLUSTER_WORKERS", "1"))


@pytest.fixture(scope="session", params=engines())
def cluster(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, workers: int
) -> Iterator[NodeCluster]:
    directory = tmp_path_factory.mktemp("cluster")
    with (
        open_database(request.param, directory) as database,
        node_cluster(database, directory, f"workers = {workers}") as cluster,
    ):
        yield cluster


@pytest.fixture
def tenant(cluster: NodeCluster) -> Tenant:
    """A tenant no other test sees, initialised and unsealed at the first node."""
    return cluster.make_tenant()


@pytest_asyncio.fixture
async def users(cluster: NodeCluster, tenant: Tenant) -> AsyncIterator[Callers]:
    """Callers with the token of the tenant's users."""
    async with calling(cluster.nodes, tenant.user.token or "") as callers:
        yield callers


@pytest.fixture
def report(cluster: NodeCluster, capsys: pytest.CaptureFixture[str]) -> Report:
    return reporting(capsys, cluster.database.engine)
