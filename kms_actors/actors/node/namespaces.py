"""Whose store it is: the namespaces of the clusters initialised there, and that a node's own is one of them.

The records of a cluster lie under its namespace, so a store of any age tells them; nothing further is kept.
"""

from __future__ import annotations

from collections.abc import Collection

from kms_actors.config import MasterKeyringProvider, SettingError
from kms_actors.store import keyspace
from kms_actors.store.api import Store, Transaction


async def check_namespace(store: Store, provider: MasterKeyringProvider) -> None:
    """Raise SettingError if the store holds other clusters but not that of `provider`, which does not allow it."""
    others = others_alone("the store", await store.run(clusters), provider.namespace)
    if others is not None and not provider.second_cluster:
        raise SettingError(
            "master_keyring_provider.namespace",
            f"{others}. Was the key changed? To begin another cluster in the same store, set `second_cluster = true` "
            "beside it",
        )


def others_alone(what: str, found: Collection[str], namespace: str) -> str | None:
    """Return what to say where `what` holds clusters, and not that of a namespace."""
    if not found or namespace in found:
        return None
    return f"{what} holds the cluster {', '.join(f'`{each}`' for each in found)}, and none named `{namespace}`"


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
