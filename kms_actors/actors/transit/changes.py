"""The transactions that change Transit keys. Material and times are made before, so that a body may run again."""

from __future__ import annotations

import contextlib
from functools import partial
from typing import Protocol, TypeVar

import msgspec

from kms_actors.actors.cluster.changes import TRANSIT
from kms_actors.actors.tenant.context import TenantContext
from kms_actors.actors.tenant.store import Look
from kms_actors.actors.transit.schedule import TransitSchedule
from kms_actors.actors.transit.storage import TransitRecords
from kms_actors.errors import FormatError, IntegrityError, InvalidRequest, PermissionDenied, TransactionConflict
from kms_actors.mounts import Mount
from kms_actors.store.api import Body, Priority, Reads, Transaction
from kms_actors.transit import limits
from kms_actors.transit import policy as policies
from kms_actors.transit.exchange import certificates
from kms_actors.transit.key import TransitKey
from kms_actors.transit.messages import (
    Certified,
    ConfigureKey,
    CreateKey,
    DeleteKey,
    Encrypt,
    KeyInfo,
    RotateKey,
    SetCertificate,
    SoftDeleteKey,
    TrimKey,
    WriteSettings,
)
from kms_actors.transit.records import KeyPolicy, MountSettings, VersionRecord

T = TypeVar("T")

#: Keys whose times are written anew in one transaction.
_NOTED_TOGETHER = 50


class Named(Protocol):
    """Any message about one key."""

    @property
    def mount(self) -> Mount: ...

    @property
    def name(self) -> str: ...


class TransitChanges:
    """One coroutine a command; each commits, or changes nothing."""

    def __init__(self, context: TenantContext, records: TransitRecords) -> None:
        self._context = context
        self._records = records
        self._schedule = TransitSchedule(context.keys, records)

    async def create(self, message: CreateKey) -> KeyInfo:
        mount, records = message.mount.number, self._records
        policies.check_options(message.options)
        found = await self._context.store.read(lambda tr: records.found(tr, mount, message.name))
        if found is not None:
            return found
        policy = policies.new_policy(message.name, message.options)
        version = await self._new_version(policy)

        async def body(tr: Transaction) -> KeyInfo:
            existing = await records.policy(tr, mount, message.name)
            if existing is None:
                await self._context.tallies.grow(tr, "keys", mount)
                records.put_policy(tr, mount, policy)
                records.put_version(tr, mount, policy.name, 1, version)
            return await records.info(tr, mount, existing or policy)

        return await self.commit(message, body)

    async def upsert(self, message: Encrypt) -> TransitKey:
        """Make the key that an encryption misses; return it, or the one that another made meanwhile."""
        if not message.grants.create:
            raise PermissionDenied("permission denied")
        mount, records = message.mount.number, self._records
        policy = policies.upserted_policy(
            message.name, message.type, derived=message.with_context, convergent=message.convergent
        )
        version = await self._new_version(policy)

        async def body(tr: Transaction) -> TransitKey:
            existing = await records.key(tr, mount, message.name)
            if existing is not None:
                if not message.grants.update:
                    raise PermissionDenied("permission denied")
                return existing
            if (await records.settings(tr, mount)).disable_upsert:
                raise InvalidRequest("encryption key not found")
            await self._context.tallies.grow(tr, "keys", mount)
            records.put_policy(tr, mount, policy)
            records.put_version(tr, mount, policy.name, 1, version)
            return TransitKey(policy, {1: version})

        return await self.commit(message, body)

    async def rotate(self, message: RotateKey) -> KeyInfo:
        mount, name, records = message.mount.number, message.name, self._records
        made_for = await self._context.store.read(lambda tr: records.policy(tr, mount, name))
        if made_for is None:
            raise InvalidRequest("key not found")
        version = await self._new_version(made_for)

        async def body(tr: Transaction) -> KeyInfo:
            current = await self._existing(tr, message, "key not found")
            if not policies.same_material(current, made_for):
                raise TransactionConflict("the key was replaced by one of another type meanwhile")
            policy = policies.rotated(current)
            records.put_policy(tr, mount, policy)
            records.put_version(tr, mount, name, policy.latest_version, version)
            return await records.info(tr, mount, policy)

        return await self.commit(message, body)

    async def rotate_due(self, mount: int, name: str) -> bool:
        """Add the version that is due; return False if there was nothing to do, since another node was first."""
        records, now = self._records, self._context.trusted_time()
        if now is None:
            return False

        async def due(tr: Reads) -> KeyPolicy | None:
            key = await records.key(tr, mount, name)
            return key.policy if key is not None and await self._schedule.is_due(tr, mount, key, now) else None

        seen = await self._context.store.read(due)
        if seen is None:
            await self._context.store.change(lambda tr: self._schedule.note(tr, mount, name, now), mount=mount)
            return False
        return await self._rotate_while(due, mount, seen)

    async def measure(self, mount: int, name: str, version: int) -> int | None:
        """Return how many messages the latest version of a key has encrypted; None if `version` is not that."""

        async def counted(tr: Reads) -> int | None:
            policy = await self._records.policy_alone(tr, mount, name)
            if policy is None or policy.latest_version != version or not limits.is_bounded(policy):
                return None
            return limits.messages(await self._records.uses_of(tr, mount, name, version))

        return await self._context.store.read(counted, priority=Priority.BATCH)

    async def rotate_worn(self, mount: int, name: str, version: int) -> bool:
        """Add a version behind one that has encrypted enough; return False if it may not be, or another node did."""

        async def worn(tr: Reads) -> KeyPolicy | None:
            policy = await self._records.policy(tr, mount, name)
            if policy is None or policy.latest_version != version or not limits.is_bounded(policy):
                return None
            if not policy.allow_rotation or policy.soft_deleted:
                return None
            count = limits.messages(await self._records.uses_of(tr, mount, name, version))
            return policy if count >= limits.WORN else None

        seen = await self._context.store.read(worn)
        return seen is not None and await self._rotate_while(worn, mount, seen)

    async def _rotate_while(self, wanted: Look[KeyPolicy | None], mount: int, seen: KeyPolicy) -> bool:
        """Add a version to the key of `seen`, if `wanted` gives its policy then, too."""
        records, version = self._records, await self._new_version(seen)

        async def body(tr: Transaction) -> bool:
            current = await wanted(tr)
            if current is None or not policies.same_material(current, seen):
                return False
            policy = policies.rotated(current)
            records.put_policy(tr, mount, policy)
            records.put_version(tr, mount, policy.name, policy.latest_version, version)
            return True

        return await self._commit(mount, seen.name, body)

    async def due_keys(self, now: int) -> list[tuple[int, str]]:
        """Return mount and name of the keys whose next version is due by `now`."""
        return await self._context.store.read(lambda tr: self._schedule.due(tr, now), priority=Priority.BATCH)

    async def note_again(self, now: int) -> None:
        """See that all keys of the schedule are noted rightly, a few a transaction."""
        names = await self._context.store.read(self._schedule.names, priority=Priority.BATCH)
        for start in range(0, len(names), _NOTED_TOGETHER):
            some = names[start : start + _NOTED_TOGETHER]
            await self._context.store.change(
                partial(self._note_all, names=some, now=now), mount=None, priority=Priority.BATCH
            )

    async def look_again(self, now: int) -> None:
        """Note when the next key is due; those that were by `now` and still are have failed."""
        await self._context.store.change(
            lambda tr: self._schedule.look_again(tr, now), mount=None, priority=Priority.BATCH
        )

    async def _note_all(self, tr: Transaction, names: list[tuple[int, str]], now: int) -> None:
        for mount, name in names:
            with contextlib.suppress(FormatError, IntegrityError):  # a key that is damaged keeps no other from it
                await self._schedule.note(tr, mount, name, now)

    async def configure(self, message: ConfigureKey) -> KeyInfo:
        mount, records = message.mount.number, self._records

        async def body(tr: Transaction) -> KeyInfo:
            current = await self._existing(tr, message, f"no existing key named {message.name} could be found")
            policy, warnings = policies.configured(current, message.changes)
            records.put_policy(tr, mount, policy)
            return await records.info(tr, mount, policy, warnings)

        return await self.commit(message, body)

    async def trim(self, message: TrimKey) -> KeyInfo:
        mount, records = message.mount.number, self._records

        async def body(tr: Transaction) -> KeyInfo:
            current = await self._existing(tr, message, "invalid key name")
            policy = policies.trimmed(current, message.min_available_version)
            records.put_policy(tr, mount, policy)
            records.destroy_versions(tr, mount, policy)
            return await records.info(tr, mount, policy)

        return await self.commit(message, body)

    async def delete(self, message: DeleteKey) -> None:
        mount, records = message.mount.number, self._records

        async def body(tr: Transaction) -> None:
            policies.check_deletable(message.name, await records.policy(tr, mount, message.name))
            records.destroy(tr, mount, message.name)
            self._context.tallies.count(tr, "keys", -1, mount)

        await self.commit(message, body)

    async def soft_delete(self, message: SoftDeleteKey) -> KeyInfo | None:
        mount, records = message.mount.number, self._records

        async def body(tr: Transaction) -> KeyInfo | None:
            current = await records.policy(tr, mount, message.name)
            if current is None:
                return None
            policy, warnings = policies.soft_deleted(current, message.deleted)
            records.put_policy(tr, mount, policy)
            return await records.info(tr, mount, policy, warnings)

        return await self.commit(message, body)

    async def set_certificate(self, message: SetCertificate) -> Certified:
        mount, name, records = message.mount.number, message.name, self._records

        async def certifiable(tr: Reads) -> KeyPolicy:
            policy = await records.policy(tr, mount, name)
            if policy is None:
                raise InvalidRequest(f"key with provided name '{name}' not found")
            certificates.check_certifiable(policy)
            return policy

        await self._context.store.read(certifiable)
        chain = await self._context.threads.short(certificates.parse_chain, message.chain)

        async def body(tr: Transaction) -> Certified:
            policy = await certifiable(tr)
            number = message.version or policy.latest_version
            usable = number >= policy.min_decryption_version
            version = await records.version(tr, mount, name, number) if usable else None
            records.put_policy(tr, mount, policy)  # every change of a key writes it
            records.put_version(tr, mount, name, number, certificates.certified(policy, version, chain))
            return Certified(policy.type, message.chain)

        return await self.commit(message, body)

    async def write_settings(self, message: WriteSettings) -> MountSettings:
        mount, records = message.mount.number, self._records
        wanted = {"disable_upsert": message.disable_upsert, "cache_size": message.cache_size}
        changes = {name: value for name, value in wanted.items() if value is not None}

        async def body(tr: Transaction) -> MountSettings:
            settings = await records.settings(tr, mount)
            if changes:
                settings = msgspec.structs.replace(settings, **changes)
                records.put_settings(tr, mount, settings)
            return settings

        return await self._context.store.change(body, mount=mount)

    async def commit(self, message: Named, body: Body[T]) -> T:
        """Run a transaction that changes the key of `message`, and tell all nodes of it."""
        return await self._commit(message.mount.number, message.name, body)

    async def _commit(self, mount: int, name: str, body: Body[T]) -> T:
        now = self._context.clock()

        async def recorded(tr: Transaction) -> T:
            result = await body(tr)
            await self._schedule.note(tr, mount, name, now)
            self._context.record(tr, TRANSIT, f"{mount}/{name}")
            return result

        return await self._context.store.change(recorded, mount=mount)

    async def _existing(
        self, tr: Transaction, message: ConfigureKey | RotateKey | TrimKey, missing: str
    ) -> KeyPolicy:
        policy = await self._records.policy(tr, message.mount.number, message.name)
        if policy is None:
            raise InvalidRequest(missing)
        return policy

    async def _new_version(self, policy: KeyPolicy) -> VersionRecord:
        now = self._context.clock()
        if policies.makes_slowly(policy):
            return await self._context.threads.long(policies.new_version, policy, now)
        return policies.new_version(policy, now)  # waits for no thread, however many keys of RSA are being made
