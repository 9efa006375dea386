"""A node and the clusters that its store holds.

The kind: a setting that decides which records are looked at, changed on a store that has others: what is there seems
lost, and a new beginning succeeds. A node refuses to start, and a cluster to be made, beside a cluster of another
name, unless told so.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kms_actors.actors.node.namespaces import check_namespace, clusters
from kms_actors.actors.node.records import NodeRecords
from kms_actors.config import MasterKeyringProvider, SettingError
from kms_actors.errors import InvalidRequest
from kms_actors.keyring.seal import make_key
from kms_actors.store import schema
from kms_actors.store.api import Store
from tests.store.engines import ENGINES, Place, parameters


@pytest.fixture(params=parameters())
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return Place(request.param, ENGINES[request.param].locate(tmp_path))


@pytest.fixture
async def store(place: Place) -> AsyncIterator[Store]:
    store = await ENGINES[place.engine].open(place.location)
    await schema.initialise(store)
    yield store
    await store.close()


def provider(namespace: str, *, second_cluster: bool = False) -> MasterKeyringProvider:
    return MasterKeyringProvider(namespace=namespace, node_name="n", second_cluster=second_cluster)


async def initialise(store: Store, namespace: str, *, second_cluster: bool = False) -> None:
    key, _, seal = make_key(1, 1, 0.0)
    records = NodeRecords(store, namespace, second_cluster=second_cluster)
    await records.create(seal, key, 0.0)
    await records.revoke("aa")


async def test_a_store_without_a_cluster_takes_any_namespace(store: Store) -> None:
    await NodeRecords(store, "kms-c0").revoke("aa")  # no cluster yet
    assert await store.run(clusters) == []
    await check_namespace(store, provider("kms-c1"))


async def test_another_namespace_is_refused_and_both_are_named(store: Store) -> None:
    await initialise(store, "kms-c1")
    await check_namespace(store, provider("kms-c1"))
    with pytest.raises(SettingError) as caught:
        await check_namespace(store, provider("kms-c2"))
    assert str(caught.value).startswith(
        "key `master_keyring_provider.namespace`: the store holds the cluster `kms-c1`, and none named `kms-c2`."
    )
    assert "second_cluster = true" in str(caught.value)


async def test_a_second_cluster_is_allowed_by_its_key_alone(store: Store) -> None:
    await initialise(store, "kms-c1")
    await check_namespace(store, provider("kms-c2", second_cluster=True))
    with pytest.raises(InvalidRequest, match="a cluster of another namespace"):
        await initialise(store, "kms-c2")
    await initialise(store, "kms-c2", second_cluster=True)
    assert await store.run(clusters) == ["kms-c1", "kms-c2"]
    await check_namespace(store, provider("kms-c1"))
    await check_namespace(store, provider("kms-c2"))
    with pytest.raises(SettingError, match="`kms-c1`, `kms-c2`, and none named `kms-c`"):
        await check_namespace(store, provider("kms-c"))
