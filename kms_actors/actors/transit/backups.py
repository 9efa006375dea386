"""The transactions of backups of single keys, and of their restoration."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeVar

from kms_actors.actors.tenant.context import TenantContext
from kms_actors.actors.transit.changes import TransitChanges
from kms_actors.actors.transit.storage import TransitRecords
from kms_actors.errors import InvalidRequest
from kms_actors.mounts import Mount
from kms_actors.store.api import Transaction
from kms_actors.transit.exchange import key_backup
from kms_actors.transit.messages import BackUpKey, RestoreKey
from kms_actors.transit.records import KeyPolicy, VersionRecord

T = TypeVar("T")


class Restoration(NamedTuple):
    """A key as a backup holds it, with the name it is to have."""

    mount: Mount
    name: str
    force: bool
    policy: KeyPolicy
    versions: Mapping[int, VersionRecord]

    def __repr__(self) -> str:
        return "<Restoration>"


class TransitBackups:
    """One coroutine a command. RSA keys are checked and taken apart in threads."""

    def __init__(self, context: TenantContext, records: TransitRecords, changes: TransitChanges) -> None:
        self._context = context
        self._records = records
        self._changes = changes

    async def back_up(self, message: BackUpKey) -> str:
        mount, records, now = message.mount.number, self._records, self._context.clock()

        async def body(tr: Transaction) -> tuple[KeyPolicy, Mapping[int, VersionRecord]]:
            policy = await records.policy(tr, mount, message.name)
            if policy is None:
                raise InvalidRequest(f'key "{message.name}" not found')
            policy = key_backup.backed_up(policy, now)
            records.put_policy(tr, mount, policy)
            return policy, await records.versions(tr, mount, policy, every=True)

        policy, versions = await self._changes.commit(message, body)
        return await self._in_thread(lambda: key_backup.write(policy, versions))

    async def read(self, message: RestoreKey) -> Restoration:
        """Return what a backup holds."""
        now = self._context.clock()
        policy, versions = await self._in_thread(lambda: key_backup.read(message.backup, message.name, now))
        return Restoration(message.mount, policy.name, message.force, policy, versions)

    async def restore(self, restoration: Restoration) -> None:
        """Write it, in place of the key that is there if that is wanted."""
        mount, records, policy = restoration.mount.number, self._records, restoration.policy

        async def body(tr: Transaction) -> None:
            if not restoration.force and await records.policy(tr, mount, policy.name) is not None:
                raise InvalidRequest(f'key "{policy.name}" already exists')
            if await records.policy_alone(tr, mount, policy.name) is None:
                await self._context.tallies.grow(tr, "keys", mount)
            records.destroy(tr, mount, policy.name)
            records.put_policy(tr, mount, policy)
            for number, version in restoration.versions.items():
                records.put_version(tr, mount, policy.name, number, version)

        await self._changes.commit(restoration, body)

    async def _in_thread(self, compute: Callable[[], T]) -> T:
        return await self._context.threads.long(compute)
