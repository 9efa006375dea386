"""Where Transit keys lie in a tenant's store, and how they are read and written within a transaction.

(`transit`, mount, `policy`, name)            KeyPolicy
(`transit`, mount, `version`, name, number)   VersionRecord
(`transit`, mount, `config`)                  MountSettings
(`transit`, mount, `usage`, name, number, shard)   UsageRecord: what some processes counted for a version
(`transit`, mount, `wrapping-key`)            WrappingKey

Each record is sealed by the tenant's keyring for its place.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeVar

import msgspec

from kms_actors.actors.tenant.listing import PAGE, Names
from kms_actors.errors import FormatError, InvalidRequest
from kms_actors.keyring import stored
from kms_actors.keyring.keyring import Keyring
from kms_actors.secret import overwrite
from kms_actors.store.api import Reads, Transaction
from kms_actors.store.keyspace import TenantKeys, after
from kms_actors.transit.key import TransitKey
from kms_actors.transit.key_info import describe
from kms_actors.transit.messages import KeyInfo
from kms_actors.transit.records import KeyPolicy, MountSettings, VersionRecord, WrappingKey
from kms_actors.transit.usage import Part, UsageRecord, Uses, added, total
from kms_actors.untrusted import untrusted

S = TypeVar("S", bound=msgspec.Struct)

LOST: Final = (
    "the policy of this key is lost while versions of it remain: the store is damaged, see `kms-cli store check`; "
    "restore the key from its backup with force, or the vault from its own"
)


class TransitRecords:
    """The Transit records of one tenant; mounts are given by number."""

    def __init__(self, keys: TenantKeys, keyring: Keyring) -> None:
        self._keys = keys
        self._keyring = keyring

    async def policy(self, tr: Reads, mount: int, name: str) -> KeyPolicy | None:
        """Return a key's policy, or None where nothing of such a key is.

        Raises:
            InvalidRequest: the policy is lost and versions are not. No key may be made over them.

        """
        policy = await self.policy_alone(tr, mount, name)
        if policy is None and await tr.get_keys(*self._keys.span("transit", mount, "version", name), limit=1):
            raise InvalidRequest(LOST)
        return policy

    async def policy_alone(self, tr: Reads, mount: int, name: str) -> KeyPolicy | None:
        """Return a key's policy, or None, whatever else there may be of it."""
        place = self._policy_place(mount, name)
        sealed = await tr.get(place)
        return None if sealed is None else self._open(place, sealed, KeyPolicy)

    async def versions(
        self, tr: Reads, mount: int, policy: KeyPolicy, *, every: bool = False
    ) -> Mapping[int, VersionRecord]:
        """Return the material that the policy allows for decryption, or that of every version, by version."""
        begin = self._version_place(mount, policy.name, 0 if every else policy.min_decryption_version)
        _, end = self._keys.span("transit", mount, "version", policy.name)
        return {
            self._keys.parts(place)[-1]: self._open(place, sealed, VersionRecord)
            for place, sealed in await tr.get_range(begin, end)
        }

    async def version(self, tr: Reads, mount: int, name: str, number: int) -> VersionRecord | None:
        """Return the material of one version, or None."""
        place = self._version_place(mount, name, number)
        sealed = await tr.get(place)
        return None if sealed is None else self._open(place, sealed, VersionRecord)

    async def key(self, tr: Reads, mount: int, name: str) -> TransitKey | None:
        """Return a key ready for use, or None."""
        policy = await self.policy(tr, mount, name)
        if policy is None:
            return None
        return await self._load(tr, mount, policy)

    async def found(self, tr: Reads, mount: int, name: str) -> KeyInfo | None:
        """Return what is shown of a key, or None."""
        policy = await self.policy(tr, mount, name)
        return None if policy is None else await self.info(tr, mount, policy)

    async def info(
        self, tr: Reads, mount: int, policy: KeyPolicy, warnings: tuple[str, ...] = (), context: bytes = b""
    ) -> KeyInfo:
        """Return what is shown of a key."""
        return describe(await self._load(tr, mount, policy), context, warnings)

    async def names(self, tr: Reads, mount: int, behind: str, limit: int) -> Names:
        """Return the names of keys in order, those behind `behind`: a page, or `limit` if that is less (0: not)."""
        begin, end = self._keys.span("transit", mount, "policy")
        if behind:
            begin = after(self._policy_place(mount, behind))
        size = min(limit or PAGE, PAGE)
        places = await tr.get_keys(begin, end, limit=size)
        return Names([self._keys.parts(place)[-1] for place in places], len(places) == size)

    async def usage(self, tr: Reads, mount: int, name: str) -> list[Part]:
        """Return what all processes counted for the versions of a key."""
        return [
            (self._keys.parts(place)[-2], self._open(place, sealed, UsageRecord).uses)
            for place, sealed in await tr.get_range(*self._keys.span("transit", mount, "usage", name))
        ]

    async def uses_of(self, tr: Reads, mount: int, name: str, version: int) -> Uses:
        """Return what all processes counted for one version."""
        entries = await tr.get_range(*self._keys.span("transit", mount, "usage", name, version))
        parts = ((version, self._open(place, sealed, UsageRecord).uses) for place, sealed in entries)
        return total(parts).get(version, {})

    async def add_uses(self, tr: Transaction, mount: int, name: str, part: tuple[int, int], uses: Uses) -> None:
        """Add to what is counted for a version: `part` is its number, and a shard."""
        place = self._keys.key("transit", mount, "usage", name, *part)
        sealed = await tr.get(place)
        known = {} if sealed is None else self._open(place, sealed, UsageRecord).uses
        self._put(tr, place, UsageRecord(added(known, uses)))

    async def settings(self, tr: Reads, mount: int) -> MountSettings:
        """Return a mount's settings."""
        place = self._keys.key("transit", mount, "config")
        sealed = await tr.get(place)
        return MountSettings() if sealed is None else self._open(place, sealed, MountSettings)

    async def wrapping_key(self, tr: Reads, mount: int) -> WrappingKey | None:
        """Return the key under which callers wrap what they import, or None."""
        place = self._keys.key("transit", mount, "wrapping-key")
        sealed = await tr.get(place)
        return None if sealed is None else self._open(place, sealed, WrappingKey)

    def put_policy(self, tr: Transaction, mount: int, policy: KeyPolicy) -> None:
        """Write a policy."""
        self._put(tr, self._policy_place(mount, policy.name), policy)

    def put_version(self, tr: Transaction, mount: int, name: str, number: int, record: VersionRecord) -> None:
        """Write the material of a version."""
        self._put(tr, self._version_place(mount, name, number), record)

    def put_settings(self, tr: Transaction, mount: int, settings: MountSettings) -> None:
        """Write a mount's settings."""
        self._put(tr, self._keys.key("transit", mount, "config"), settings)

    def put_wrapping_key(self, tr: Transaction, mount: int, key: WrappingKey) -> None:
        """Write a mount's wrapping key."""
        self._put(tr, self._keys.key("transit", mount, "wrapping-key"), key)

    def destroy_versions(self, tr: Transaction, mount: int, policy: KeyPolicy) -> None:
        """Remove all there is of the versions below the policy's `min_available_version`."""
        for area in ("version", "usage"):
            begin, _ = self._keys.span("transit", mount, area, policy.name)
            tr.clear_range(begin, self._keys.key("transit", mount, area, policy.name, policy.min_available_version))

    def destroy(self, tr: Transaction, mount: int, name: str) -> None:
        """Remove a key with all its material, and what is counted for it."""
        tr.clear(self._policy_place(mount, name))
        for area in ("version", "usage"):
            tr.clear_range(*self._keys.span("transit", mount, area, name))

    def _policy_place(self, mount: int, name: str) -> bytes:
        return self._keys.key("transit", mount, "policy", name)

    def _version_place(self, mount: int, name: str, number: int) -> bytes:
        return self._keys.key("transit", mount, "version", name, number)

    async def _load(self, tr: Reads, mount: int, policy: KeyPolicy) -> TransitKey:
        versions = await self.versions(tr, mount, policy)
        # One record that no key can be made of must not take the others of its vault along.
        with untrusted("a transit key lacks a version, or is not one this program can use", FormatError):
            return TransitKey(policy, versions)

    def _open(self, place: bytes, sealed: bytes, kind: type[S]) -> S:
        opened = self._keyring.open(place, sealed)
        try:
            return stored.decode(opened, kind, kind.__name__)
        finally:
            overwrite(opened)

    def _put(self, tr: Transaction, place: bytes, record: msgspec.Struct) -> None:
        encoded = stored.encode_secret(record)  # some hold keys
        tr.set(place, self._keyring.seal(place, encoded))
        overwrite(encoded)
