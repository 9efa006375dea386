"""The transactions that bring key material in from outside, and the wrapping key of a mount.

RSA of 4096 bits and unwrapping take long, so all that is done with material is done in threads, between the reading
of the wrapping key and the transaction that writes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

import msgspec

from kms_actors.actors.tenant.context import TenantContext
from kms_actors.actors.transit.changes import (
    Named,
    TransitChanges,
)
from kms_actors.actors.transit.storage import TransitRecords
from kms_actors.actors.transit.usage import TransitUsage
from kms_actors.errors import InvalidRequest
from kms_actors.mounts import Mount
from kms_actors.store.api import Reads, Transaction
from kms_actors.transit import go_base64
from kms_actors.transit.exchange import importing
from kms_actors.transit.exchange.agreement import agreed_key
from kms_actors.transit.exchange.importing import Imported
from kms_actors.transit.exchange.wrapping import (
    check_hash,
    unwrap,
)
from kms_actors.transit.key import TransitKey
from kms_actors.transit.messages import DeriveKey, ImportKey, ImportVersion, ReadWrappingKey, WrappedMaterial
from kms_actors.transit.policy import KeyOptions
from kms_actors.transit.records import KeyPolicy, VersionRecord, WrappingKey
from kms_actors.transit.schemes.rsa import Rsa
from kms_actors.transit.usage import DERIVE

T = TypeVar("T")

_WRAPPING = Rsa(4096, sign_us=1500, verify_us=70)
#: Characters of wrapped material: more than the largest key takes, with room for line ends.
_MOST_WRAPPED = 64 * 1024
_CONVERGENT = "import_version cannot be used on keys with convergent encryption enabled"


class TransitImports:
    """One coroutine a command; each commits, or changes nothing."""

    def __init__(
        self, context: TenantContext, records: TransitRecords, changes: TransitChanges, usage: TransitUsage
    ) -> None:
        self._context = context
        self._records = records
        self._changes = changes
        self._usage = usage

    async def wrapping_key(self, message: ReadWrappingKey) -> bytes:
        mount, records = message.mount.number, self._records
        found = await self._context.store.read(lambda tr: records.wrapping_key(tr, mount))
        if found is not None:
            return found.public
        made = WrappingKey(*await self._in_thread(_WRAPPING.generate))

        async def body(tr: Transaction) -> bytes:
            existing = await records.wrapping_key(tr, mount)
            if existing is not None:
                return existing.public
            records.put_wrapping_key(tr, mount, made)
            return made.public

        return await self._context.store.change(body, mount=mount)

    async def import_key(self, message: ImportKey) -> None:
        importing.check_options(message.options, allow_rotation=message.allow_rotation)
        mount, name = message.mount.number, message.name
        if await self._context.store.read(lambda tr: self._records.policy(tr, mount, name)) is not None:
            raise InvalidRequest(importing.EXISTS)  # told before what is wrong with the material
        given = await self._unwrapped(message.mount, message.options.type, message.material)
        policy = importing.imported_policy(name, message.options, allow_rotation=message.allow_rotation)
        version = await self._first_version(policy, given)
        if policy.key_size:
            policy = msgspec.structs.replace(policy, key_size=len(version.key))
        await self._create(message, policy, version)

    async def _create(self, message: Named, policy: KeyPolicy, version: VersionRecord) -> None:
        mount, records = message.mount.number, self._records

        async def body(tr: Transaction) -> None:
            if await records.policy(tr, mount, message.name) is not None:
                raise InvalidRequest(importing.EXISTS)
            await self._context.tallies.grow(tr, "keys", mount)
            records.put_policy(tr, mount, policy)
            records.put_version(tr, mount, policy.name, 1, version)

        await self._changes.commit(message, body)

    async def import_version(self, message: ImportVersion) -> None:
        mount, name, records, wanted = message.mount.number, message.name, self._records, message.version

        async def look(tr: Reads) -> tuple[KeyPolicy, Mapping[int, VersionRecord]]:
            policy = self._extendable(name, await records.policy(tr, mount, name))
            return policy, await records.versions(tr, mount, policy)

        seen, versions = await self._context.store.read(look)
        given, now = await self._unwrapped(message.mount, seen.type, message.material), self._context.clock()
        if wanted:
            importing.check_completable(seen, versions.get(wanted), private=bool(given.key))
        version = await self._in_thread(lambda: importing.imported_version(seen, given, now, completes=bool(wanted)))
        await self._extend(message, seen, version, wanted)

    async def derive(self, message: DeriveKey) -> None:
        mount, name, records = message.mount.number, message.name, self._records

        async def both(tr: Reads) -> tuple[TransitKey | None, KeyPolicy | None]:
            return await records.key(tr, mount, message.base), await records.policy(tr, mount, name)

        base, seen = await self._context.store.read(both)
        if base is None:
            raise InvalidRequest("specified base key not found")
        agreed = await self._in_thread(lambda: agreed_key(base, message.base_version, message.peer, message.type))
        if seen is None:
            policy = importing.imported_policy(name, KeyOptions(message.type), allow_rotation=False)
        else:
            policy = self._extendable(name, seen)
        version = await self._first_version(policy, Imported(agreed))
        if seen is None:
            await self._create(message, policy, version)
        else:
            await self._extend(message, policy, version, 0)
        self._usage.add(mount, base, message.base_version or base.latest.number, DERIVE)

    async def _extend(self, message: Named, seen: KeyPolicy, version: VersionRecord, wanted: int) -> None:
        """Write a version of a key, or the private key of version `wanted`."""
        mount, name, records = message.mount.number, message.name, self._records

        async def body(tr: Transaction) -> None:
            policy = self._extendable(name, await records.policy(tr, mount, name))
            if policy.type != seen.type:
                raise InvalidRequest(importing.NOT_THE_SAME)
            versions = await records.versions(tr, mount, policy)
            number, record = importing.placed(policy, versions, version, wanted)
            if number > policy.latest_version:
                size = len(record.key) if policy.key_size else 0
                policy = msgspec.structs.replace(policy, latest_version=number, key_size=size)
            records.put_policy(tr, mount, policy)
            records.put_version(tr, mount, name, number, record)

        await self._changes.commit(message, body)

    def _extendable(self, name: str, policy: KeyPolicy | None) -> KeyPolicy:
        policy = importing.check_extendable(name, policy)
        if policy.convergent:
            raise InvalidRequest(_CONVERGENT)
        return policy

    async def _unwrapped(self, mount: Mount, type_name: str, material: WrappedMaterial) -> Imported:
        """Return what is to be a key of this type."""
        if material.wrapped is None:
            given = Imported(public_key=material.public_key)
            importing.check_half(type_name, given)
            return given
        check_hash(material.hash_function)
        wrapping = await self._context.store.read(lambda tr: self._records.wrapping_key(tr, mount.number))
        return await self._in_thread(lambda: _unwrapped(wrapping, material))

    async def _first_version(self, policy: KeyPolicy, given: Imported) -> VersionRecord:
        now = self._context.clock()
        try:
            return await self._in_thread(lambda: importing.imported_version(policy, given, now))
        except InvalidRequest as error:
            raise InvalidRequest(f"error importing key: {error}") from None

    async def _in_thread(self, compute: Callable[[], T]) -> T:
        return await self._context.threads.long(compute)


def _unwrapped(wrapping: WrappingKey | None, material: WrappedMaterial) -> Imported:
    assert material.wrapped is not None
    if len(material.wrapped) > _MOST_WRAPPED:
        raise InvalidRequest("kwp: wrapped key size too large")
    blob = go_base64.decode(material.wrapped)
    if wrapping is None:  # nothing can have been wrapped under it
        raise InvalidRequest("crypto/rsa: decryption error")
    return Imported(unwrap(_WRAPPING.private(wrapping.private), blob, material.hash_function))
