"""From a configuration to an open store."""

from __future__ import annotations

from pathlib import Path

from kms_actors.config import Cluster
from kms_actors.errors import StoreUnavailable
from kms_actors.store.api import Store
from kms_actors.store.foundationdb.engine import FoundationDbStore
from kms_actors.store.sqlite.engine import SqliteStore


async def open_store(cluster: Cluster) -> Store:
    """Open the store that the configuration names; StoreUnavailable names the key, and says why not, in one line."""
    try:
        if cluster.backend == "sqlite":
            key = "cluster.path"
            return await SqliteStore.open(Path(cluster.path))
        key = "cluster.cluster_file_path"
        return await FoundationDbStore.open(Path(cluster.cluster_file_path), cluster.api_version)
    except StoreUnavailable as error:
        raise StoreUnavailable(f"key `{key}`: {error}") from error
