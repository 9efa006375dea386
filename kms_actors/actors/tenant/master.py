"""The cluster's master keyring as all who hold it keep up with its rotations.

(`node`, namespace, `master-key`)     the master key, sealed by the master keyring: who has that may rotate it
(`node`, namespace, `upgrade`, n)     the keyring that followed its version n, sealed by that version, for a while
(`node`, namespace, `sealed`, n)      a counter: records that version n has sealed

A node that is unsealed has the keyring and not the master key, which wraps the keyring in the store. So what follows
a version is left for it under that version, until every node has had time to come by.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from kms_actors.keyring.keyring import Keyring
from kms_actors.keyring.record import version_of
from kms_actors.secret import SecretBytes, overwrite
from kms_actors.store import keyspace
from kms_actors.store.api import Reads, Transaction

MASTER_KEY: Final = "master-key"
UPGRADE: Final = "upgrade"
SEALED: Final = "sealed"

#: Seconds for which what followed a version is left for nodes that have only that one.
UPGRADE_SECONDS: Final = 600.0

#: Returns the key of a record of the cluster.
Place = Callable[..., bytes]


def place_of(namespace: str) -> Place:
    """Return where the records of a cluster lie."""
    return lambda *parts: keyspace.node(namespace, *parts)


async def follow(tr: Reads, place: Place, keyring: Keyring) -> bool:
    """Have `keyring` take in what followed its version; return False if it is behind, and cannot.

    Others may have it do so at the same time. Where one of them has taken in what this was reading, it goes on there.
    """
    while True:
        version = keyring.active_version
        key = place(UPGRADE, version)
        record = await tr.get(key)
        if record is not None:
            dump = keyring.open(key, record)
            try:
                keyring.adopt(Keyring.load(dump))
            finally:
                overwrite(dump)
        if keyring.active_version == version:
            break
    kept = await tr.get(place(MASTER_KEY))
    return kept is None or version_of(kept) <= keyring.active_version


def leave_upgrade(tr: Transaction, place: Place, before: Keyring, after: Keyring) -> None:
    """Leave for others what follows the version that they have."""
    key, dump = place(UPGRADE, before.active_version), after.dump()
    tr.set(key, before.seal(key, dump))
    overwrite(dump)


def keep_master_key(tr: Transaction, place: Place, keyring: Keyring, master_key: SecretBytes) -> None:
    """Keep the master key, sealed by the keyring that it wraps."""
    key = place(MASTER_KEY)
    tr.set(key, keyring.seal(key, master_key.reveal()))


def count_sealed(tr: Transaction, place: Place, keyring: Keyring) -> None:
    """Count a record that the keyring has sealed."""
    tr.add(place(SEALED, keyring.active_version), 1)
