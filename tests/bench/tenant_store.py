"""Fills a store with tenants, each made and unsealed by the code that a node runs, many in one transaction."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Final, cast

import msgspec
import tomli

from kms_actors.actors.cluster.schedule import look_never
from kms_actors.actors.node.records import NodeRecords
from kms_actors.actors.tenant.records import TenantRecords
from kms_actors.actors.tenant.unsealing import ClusterUnsealing
from kms_actors.cli.store.given import Given
from kms_actors.config import Cluster, MasterKeyringProvider
from kms_actors.store.api import Body, Priority, Store, T, Transaction
from kms_actors.store.opening import open_store
from tests.support.tokens import NAMESPACE, new_vault_id

#: Tenants that share a transaction: about 300 kB, and well below FoundationDB's five seconds.
_TOGETHER: Final = 200


class _Within:
    """Runs what would be transactions of their own in one that is open."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def run(
        self, body: Body[T], *, idempotency_key: bytes | None = None, priority: Priority = Priority.REQUEST
    ) -> T:
        return await body(self._transaction)


async def fill(table: str, key_file: Path, count: int) -> list[str]:
    """Add `count` unsealed tenants to the store of a `[cluster]` table, initialised by a node with `key_file`.

    Each has what `sys/init` and `sys/unseal` leave: header, seal, keyring, mounts, root token and unsealed root key.
    It was looked at for keys that are to rotate, and has none: else a node would wake all of them to see.
    """
    store = await open_store(msgspec.convert(tomli.loads(table), Cluster))
    try:
        settings = MasterKeyringProvider(namespace=NAMESPACE, node_name="n")
        master_key = await Given((), key_file).master_key(store, settings)
        assert master_key is not None
        master = await NodeRecords(store, NAMESPACE).open_keyring(master_key, time.time())
        vault_ids = [new_vault_id() for _ in range(count)]
        for first in range(0, count, _TOGETHER):
            await _add(store, ClusterUnsealing(master), vault_ids[first : first + _TOGETHER])
        return vault_ids
    finally:
        await store.close()


async def _add(store: Store, unsealing: ClusterUnsealing, vault_ids: list[str]) -> None:
    async def body(transaction: Transaction) -> None:
        within: Any = _Within(transaction)
        for vault_id in vault_ids:
            records = TenantRecords(cast(Store, within), unsealing, vault_id)
            made = await records.initialise(1, 1, time.time())
            await records.give_share(made.shares[0], time.time(), lifetime=60.0)
            keys, *_ = await records._initialised(transaction)
            await look_never(transaction, keys)

    await store.run(body)
