"""The keys a check may have: with the master key, all that unsealed vaults hold can be opened."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from kms_actors.actors.node.records import NodeRecords, read_seal
from kms_actors.check.records import (
    Open,
    Sealing,
)
from kms_actors.errors import FormatError, IntegrityError, InvalidRequest, InvalidShares
from kms_actors.keyring.check_value import has_check_value
from kms_actors.keyring.keyring import Keyring, unwrap
from kms_actors.keyring.master_seal import MasterSeal
from kms_actors.keyring.record import version_of
from kms_actors.keyring.shamir import combine, parse_share
from kms_actors.secret import SecretBytes
from kms_actors.store import keyspace
from kms_actors.store.api import Store, Transaction
from kms_actors.store.keyspace import TenantKeys

Openers = Mapping[Sealing, Open]


class Master(NamedTuple):
    """The master key of a cluster, and its keyring unless that does not open."""

    namespace: str
    key: SecretBytes
    keyring: Keyring | None

    async def now(self, tr: Transaction) -> Master:
        """Return it with the keyring as a transaction finds it: nodes may have rotated that meanwhile.

        Raises:
            InvalidShares: the cluster has another master key by now.
            InvalidRequest: the cluster is not there any more.

        """
        return _opened(self.namespace, self.key, *await read_seal(tr, self.namespace))

    def openers(self) -> Openers:
        """Return what opens the cluster's own records."""
        openers: dict[Sealing, Open] = {Sealing.MASTER_KEY: _unwrapping(self.key)}
        if self.keyring is not None:
            openers[Sealing.MASTER_KEYRING] = self.keyring.open
        return openers


def is_older(sealing: Sealing, record: bytes, master: Master | None, keyring: Keyring | None = None) -> bool:
    """Tell whether an older version than the newest of the keyring that it takes, if at hand, has sealed a record."""
    if sealing is Sealing.MASTER_KEYRING:
        keyring = None if master is None else master.keyring
    elif sealing is not Sealing.KEYRING:
        return False
    return keyring is not None and 0 < version_of(record) < keyring.active_version


def master_key(shares: Iterable[str]) -> SecretBytes:
    """Return the key that shares in text form give; raises InvalidRequest."""
    return combine([parse_share(share) for share in shares])


async def open_master(store: Store, namespace: str, key: SecretBytes) -> Master:
    """Return the master key of a cluster with its keyring.

    Raises:
        InvalidShares: this is not the cluster's key.
        InvalidRequest: the cluster is not initialised.

    """
    return _opened(namespace, key, *await NodeRecords(store, namespace).read())


def _opened(namespace: str, key: SecretBytes, seal: MasterSeal | None, wrapped: bytes | None) -> Master:
    if seal is None:
        raise InvalidRequest(f"the cluster {namespace} is not initialised in this store")
    if not has_check_value(key, seal.key_check_value):
        raise InvalidShares("this is not the master key of this cluster")
    keyring = None
    with contextlib.suppress(IntegrityError, FormatError):
        keyring = None if wrapped is None else unwrap(key, keyspace.node(namespace, "keyring"), wrapped)
    return Master(namespace, key, keyring)


class TenantKeyring(NamedTuple):
    """What opens a tenant's records, and its keyring, if that is at hand."""

    openers: Openers
    keyring: Keyring | None = None


async def tenant_keyring(tr: Transaction, keys: TenantKeys, master: Master | None) -> TenantKeyring:
    """Return what opens a tenant's records now. A key that does not open is left out: its own record shows it."""
    if master is None or master.keyring is None:
        return TenantKeyring({})
    openers: dict[Sealing, Open] = {Sealing.MASTER_KEYRING: master.keyring.open}
    unsealed, wrapped = await asyncio.gather(tr.get(keys.key("unsealed")), tr.get(keys.key("keyring")))
    keyring = None
    if unsealed is None:
        return TenantKeyring(openers)
    with contextlib.suppress(IntegrityError, FormatError):
        root_key = SecretBytes(master.keyring.open(keys.key("unsealed"), unsealed))
        openers[Sealing.ROOT_KEY] = _unwrapping(root_key)
        if wrapped is not None:
            keyring = unwrap(root_key, keys.key("keyring"), wrapped)
            openers[Sealing.KEYRING] = keyring.open
    return TenantKeyring(openers, keyring)


def _unwrapping(key: SecretBytes) -> Open:
    """Return what sees that a keyring opens, and shows nothing of it."""

    def opened(store_key: bytes, record: bytes) -> bytes:
        unwrap(key, store_key, record)
        return b""

    return opened
