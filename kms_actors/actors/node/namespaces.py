"""Whose store it is: the namespaces of the clusters initialised there, and that a node's own is one of them.

The records of a cluster lie under its namespace, so a store of any age tells them; nothing further is kept.
"""

from __future__ import annotations

from kms_actors.config import MasterKeyringProvider, SettingError
from kms_actors.store import keyspace
from kms_actors.store.api import Store, Transaction


async def check_namespace(store: Store, provider: MasterKeyringProvider) -> None:
    """Raise SettingError if the store holds other clusters but not that of `provider`, which does not allow it."""
    found = await store.run(clusters)
    if found and provider.namespace not in found and not provider.second_cluster:
        others = ", ".join(f"`{namespace}`" for namespace in found)
        raise SettingError(
            "master_keyring_provider.namespace",
            f"the store holds the cluster {others}, and none named `{provider.namespace}`. Was the key changed? To "
            "begin another cluster in the same store, set `second_cluster = true` beside it",
        )


async def clusters(transaction: Transaction) -> list[str]:
    """Return the namespaces that were initialised, in order; one look-up or two for each."""
    begin = keyspace.pack("node")
    end = keyspace.after(begin)
    found = []
    while entries := await transaction.get_range(begin, end, limit=1):
        namespace = str(keyspace.unpack(entries[0][0])[1])
        if await transaction.get(keyspace.node(namespace, "seal")) is not None:
            found.append(namespace)
        begin = keyspace.after(keyspace.node(namespace))
    return found
