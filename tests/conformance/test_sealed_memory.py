"""Sealed means gone: after a seal, no process of the node has the keys that were open.

The kind: something holds on to a key, a cycle, a frame of a task, a copy that was made on the way. Each key here is
known from the store, and the memory of every process is searched for it.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path

import pytest

from kms_actors.actors.transit.storage import TransitRecords
from kms_actors.config import Cluster
from kms_actors.keyring.keyring import Keyring, unwrap
from kms_actors.keyring.shamir import combine, parse_share
from kms_actors.store import keyspace
from kms_actors.store.api import Store
from kms_actors.store.keyspace import TenantKeys
from kms_actors.store.opening import open_store
from kms_actors.transit.records import VersionRecord
from tests.support.api import Api, unseal
from tests.support.memory import family, found_in, skip_where_memory_cannot_be_read
from tests.support.node import Node, sqlite_table, wait_until
from tests.support.tenant import Tenant, make_tenant
from tests.support.tokens import NAMESPACE, Issuer
from tests.support.walkthrough import MASTER_KEY_CHECK_VALUE, MASTER_SHARES


@pytest.fixture(params=[1, 2, 0], ids=["one process", "two workers", "root keys in memory"])
def node(request: pytest.FixtureRequest, tmp_path: Path, issuer: Issuer) -> Iterator[Node]:
    skip_where_memory_cannot_be_read()
    provider = f'key_check_value = "{MASTER_KEY_CHECK_VALUE}"'
    node = Node.for_issuer(tmp_path, sqlite_table, issuer, provider=provider)
    node.settings = f"workers = {request.param or 1}"
    if request.param == 0:
        node.further = '[tenants]\nunseal_scope = "node"\n'
    node.start()
    operator = Api(node.address, issuer.cluster_operator())
    operator.put("sys/init", {"secret_shares": 5, "secret_threshold": 3})
    unseal(operator, MASTER_SHARES)
    yield node
    node.close()


def test_nothing_of_a_sealed_node_is_left(node: Node, issuer: Issuer) -> None:
    operator = Api(node.address, issuer.cluster_operator())
    tenants = [make_tenant(node, issuer) for _ in range(3)]
    for tenant in tenants:
        use(tenant)
    keys = keys_of_node(node)
    for tenant in tenants:
        keys |= keys_of_tenant(node, tenant)
    kept = "root key" if node.further else "master keyring"
    assert names(found_in(family(node.pid), keys)) >= {kept, "keyring", "transit key", "signing key"}
    operator.put("sys/seal")
    assert found_in(family(node.pid), keys) == []
    unseal(operator, MASTER_SHARES[1:])  # and once more: whatever the first time left to be reused is reused
    for share in tenants[0].shares[:3]:  # as needed where root keys are in memory only
        tenants[0].operator.put("sys/unseal", {"key": share})
    use(tenants[0])
    assert kept in names(found_in(family(node.pid), keys))
    operator.put("sys/seal")
    assert found_in(family(node.pid), keys) == []


def test_nothing_is_left_in_a_worker_that_came_later(node: Node, issuer: Issuer) -> None:
    workers = family(node.pid)[1:]
    if not workers:
        pytest.skip("a node of one process has no workers that come later")
    keys, restarts = keys_of_node(node), node.log.count("worker serves")
    os.kill(workers[0], signal.SIGKILL)
    wait_until(lambda: node.log.count("worker serves") > restarts, "a new worker")
    later = [pid for pid in family(node.pid)[1:] if pid not in workers]
    assert "master keyring" in names(found_in(later, keys))
    Api(node.address, issuer.cluster_operator()).put("sys/seal")
    assert found_in(family(node.pid), keys) == []


def test_nothing_of_a_sealed_vault_is_left(node: Node, issuer: Issuer) -> None:
    tenant, other = make_tenant(node, issuer), make_tenant(node, issuer)
    use(tenant)
    use(other)
    keys, others = keys_of_tenant(node, tenant), keys_of_tenant(node, other)
    assert names(found_in(family(node.pid), keys)) >= {"keyring", "transit key", "signing key"}
    tenant.operator.put("sys/seal")
    # Work under way may take its last moments: uses that are counted are written by the keyring.
    wait_until(lambda: not found_in(family(node.pid), keys), "the keys of a sealed vault leave memory")
    assert names(found_in(family(node.pid), others)) >= {"keyring", "transit key"}


def use(tenant: Tenant) -> None:
    """Have it use keys of each kind, in each worker, as far as chance has it."""
    user = tenant.user
    user.post("transit/keys/orders")
    user.post("transit/keys/signing", {"type": "ed25519"})
    for _ in range(8):
        encrypted = user.post("transit/encrypt/orders", {"plaintext": "aGVsbG8="}).data
        user.post("transit/decrypt/orders", {"ciphertext": encrypted["ciphertext"]})
        user.post("transit/hmac/orders", {"input": "aGVsbG8="})
        user.post("transit/sign/signing", {"input": "aGVsbG8="})
        user.post("secret/data/creds", {"data": {"a": "b"}})
        tenant.root.get("transit/keys/orders")


def names(found: list[str]) -> set[str]:
    return {place.split(" in ")[0].split(" of ")[0] for place in found}


def keys_of_node(node: Node) -> dict[str, bytes]:
    master_key = combine([parse_share(share) for share in MASTER_SHARES[:3]])
    place = keyspace.node(NAMESPACE, "keyring")
    keyring = unwrap(master_key, place, asyncio.run(read(node, place)))
    return needles("master key", master_key.reveal()) | needles("master keyring", key_of(keyring))


def keys_of_tenant(node: Node, tenant: Tenant) -> dict[str, bytes]:
    root_key = combine([parse_share(share) for share in tenant.shares[:3]])
    keys = TenantKeys(int.from_bytes(asyncio.run(read(node, keyspace.vault(tenant.vault_id))), "little"))
    place = keys.key("keyring")
    keyring = unwrap(root_key, place, asyncio.run(read(node, place)))
    order, signing = (asyncio.run(version_of(node, keys, keyring, name)) for name in ("orders", "signing"))
    known = {
        "root key": root_key.reveal(),
        "keyring": key_of(keyring),
        "transit key": order.key,
        "hmac key": order.hmac_key,
        "signing key": signing.key,
    }
    return {
        f"{kind} of {tenant.vault_id}": needle
        for name, key in known.items()
        for kind, needle in needles(name, key).items()
    }


def needles(name: str, key: bytes) -> dict[str, bytes]:
    """Return a key as it may lie in memory: its bytes, and as the records of the store have it."""
    return {name: key, f"{name} in base64": base64.b64encode(key)[:40]}


def key_of(keyring: Keyring) -> bytes:
    (key,) = keyring._keys
    return key.key


async def read(node: Node, place: bytes) -> bytes:
    async with store_of(node) as store:
        found = await store.run(lambda tr: tr.get(place))
    assert found is not None
    return found


async def version_of(node: Node, keys: TenantKeys, keyring: Keyring, name: str) -> VersionRecord:
    records = TransitRecords(keys, keyring)
    async with store_of(node) as store:
        for mount in range(1, 10):
            version = await store.run(partial(records.version, mount=mount, name=name, number=1))
            if version is not None:
                return version
    raise AssertionError("no such key")


@contextlib.asynccontextmanager
async def store_of(node: Node) -> AsyncIterator[Store]:
    store = await open_store(Cluster(backend="sqlite", path=str(node.directory / "kms.sqlite")))
    try:
        yield store
    finally:
        await store.close()
