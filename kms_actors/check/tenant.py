"""One tenant's records within one transaction: each by itself, and against those it belongs with."""

from __future__ import annotations

import asyncio
import time as wall_clock
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from kms_actors.actors.cluster.schedule import UNMOUNTING, decode_time
from kms_actors.actors.cluster.timekeeping import BOUND
from kms_actors.actors.tenant.cubbyholes import CUBBYHOLE
from kms_actors.actors.tenant.header import TenantHeader
from kms_actors.actors.tenant.standing import ERASURE
from kms_actors.actors.transit.schedule import RETRY, from_the_future
from kms_actors.check import cubbyholes, identity, tokens
from kms_actors.check.deleting import begun
from kms_actors.check.findings import (
    Kind,
    Page,
    parts_of,
)
from kms_actors.check.keys import (
    Master,
    TenantKeyring,
    is_older,
    tenant_keyring,
)
from kms_actors.check.records import (
    TENANT_RECORDS,
    Sealing,
    examine,
    find,
)
from kms_actors.errors import FormatError, IntegrityError
from kms_actors.kv.records import Head
from kms_actors.login.approle import RoleId, SecretIdAccessor
from kms_actors.mounts import LOGIN_TYPES, Mount
from kms_actors.store import keyspace
from kms_actors.store.api import Transaction
from kms_actors.store.keyspace import TenantKeys
from kms_actors.transit.key import rotates
from kms_actors.transit.records import KeyPolicy, VersionRecord

_ENGINES: Final = ("kv", "transit", *LOGIN_TYPES)


class TenantCheck:
    """The tenant as one transaction sees it."""

    def __init__(
        self,
        tr: Transaction,
        keys: TenantKeys,
        master: Master | None,
        keyring: TenantKeyring,
        page: Page,
        *,
        whole: bool,
    ) -> None:
        self._tr = tr
        self._master = master
        self._keys = keys
        self._openers, self._keyring = keyring
        self._page = page
        self._whole = whole  # neither restored nor deleted just now, which leaves records alone until its end
        self._mounts: dict[tuple[str, int], bool] = {}
        self._unversioned: set[int] = set()  # mounts of version 1 of `kv`

    @classmethod
    async def begin(cls, tr: Transaction, number: int, master: Master | None, page: Page) -> TenantCheck:
        """Open what can be opened; a tenant without a header is found here, whatever else it has."""
        keys = TenantKeys(number)
        found = await tr.get_many([keys.key(area) for area in ("header", "restore", "grant", ERASURE)])
        if found == [None] * len(found):
            page.add(Kind.ORPHAN, keys.prefix, "records of a tenant that has no header")
        _, lock, _, erasure = found
        whole = lock is None and not begun(erasure)
        return cls(tr, keys, master, await tenant_keyring(tr, keys, master), page, whole=whole)

    async def examine(self, key: bytes, value: bytes) -> None:
        """Look at one record."""
        whole = parts_of(key)
        parts = () if whole is None else whole[2:]
        known = find(TENANT_RECORDS, parts)
        if known is None:
            self._page.add(Kind.UNKNOWN_KEY, key, "no record of this program lies here")
            return
        record = self._decoded(key, lambda: examine(known, key, value, self._openers))
        self._page.older += is_older(known.sealing, value, self._master, self._keyring)
        if not self._whole:
            if parts == ("restore",):
                self._page.add(Kind.UNFINISHED, key, "a restore of this vault has not ended: run it again")
            return
        if parts[0] in _ENGINES and not await self._has_mount(parts[0], parts[1]):
            return
        if parts[0] == "identity":
            await identity.examine(self._grounds(), key, parts, record)
            return
        if parts[0] in tokens.AREAS:
            grounds = tokens.Grounds(self._tr, self._keys, self._page, self._quietly)
            await tokens.examine(grounds, key, parts, value, record)
            return
        if parts[0] == CUBBYHOLE:
            await cubbyholes.examine(self._tr, self._keys, self._page, parts)
            return
        rule = _RULES.get((parts[0], parts[2]) if parts[0] in _ENGINES else parts[:1])
        if rule is not None:
            await rule(self, key, parts, record)

    def _grounds(self) -> identity.Grounds:
        return identity.Grounds(self._tr, self._keys, self._page, self._quietly, self._keyring)

    def _decoded(self, key: bytes, decode: Callable[[], Any]) -> Any:
        try:
            return decode()
        except FormatError as error:
            self._page.add(Kind.FORMAT, key, str(error))
        except IntegrityError as error:
            self._page.add(Kind.DOES_NOT_OPEN, key, str(error))
        return None

    async def _has_mount(self, engine: str, number: int) -> bool:
        """Tell whether the mount of a record is there; that it is not is found once for all its records."""
        if (engine, number) not in self._mounts:
            key = self._keys.key("mount", number)
            stored, leaving = await self._tr.get_many((key, self._keys.key(UNMOUNTING, number)))
            if stored is None and leaving is not None:
                pass  # it is gone, and they are being removed
            elif stored is None:
                self._page.add(Kind.ORPHAN, self._keys.key(engine, number), "records of a mount that does not exist")
            else:
                mount = self._quietly(key, stored)
                if isinstance(mount, Mount) and mount.type != engine:
                    self._page.add(Kind.CONTRADICTION, self._keys.key(engine, number), "its mount is of another type")
                if isinstance(mount, Mount) and mount.engine == "kv-v1":
                    self._unversioned.add(number)
            self._mounts[engine, number] = stored is not None
        return self._mounts[engine, number]

    def _quietly(self, key: bytes, value: bytes) -> Any:
        """Return another record, decoded if it can be; what is wrong with it is found when it is examined."""
        known = find(TENANT_RECORDS, self._keys.parts(key))
        assert known is not None
        try:
            return examine(known, key, value, self._openers)
        except (FormatError, IntegrityError):
            return None

    # Rules for records that belong with others.

    async def header(self, key: bytes, _: tuple[Any, ...], header: TenantHeader | None) -> None:
        self._page.vaults += 1
        self._page.opened += Sealing.KEYRING in self._openers
        for name in ("seal", "keyring"):
            if await self._tr.get(self._keys.key(name)) is None:
                self._page.add(Kind.MISSING, self._keys.key(name), f"the tenant has no {name}")
        if header is None:
            return
        entry = await self._tr.get(keyspace.vault(header.vault_id))
        if entry is None:
            self._page.add(Kind.ORPHAN, self._keys.prefix, "no vault has this tenant")
        elif int.from_bytes(entry, "little") != self._keys.number:
            self._page.add(Kind.CONTRADICTION, key, "its vault has another tenant")

    async def head(self, key: bytes, parts: tuple[Any, ...], head: Head | None) -> None:
        _, mount, _, path = parts
        if await self._tr.get(self._keys.key("kv", mount, "list", path)) is None:
            self._page.add(Kind.MISSING, self._keys.key("kv", mount, "list", path), "a secret is not listed")
        if head is not None and mount in self._unversioned and head.metadata.versions.keys() != {1}:
            self._page.add(Kind.CONTRADICTION, key, "its mount is of version 1, and it has more than one version")
        for version in _with_data(head):
            data = self._keys.key("kv", mount, "data", path, version)
            if await self._tr.get(data) is None:
                self._page.add(Kind.MISSING, data, "a version of a secret has no data")

    async def data(self, key: bytes, parts: tuple[Any, ...], _: Any) -> None:
        _, mount, _, path, version = parts
        place = self._keys.key("kv", mount, "meta", path)
        stored = await self._tr.get(place)
        if stored is None:
            self._page.add(Kind.ORPHAN, key, "data of a secret without metadata")
            return
        head = self._quietly(place, stored)
        if isinstance(head, Head) and version not in _with_data(head):
            self._page.add(Kind.ORPHAN, key, "data of a version that the metadata does not have")

    async def name(self, key: bytes, parts: tuple[Any, ...], _: Any) -> None:
        if await self._tr.get(self._keys.key("kv", parts[1], "meta", parts[3])) is None:
            self._page.add(Kind.ORPHAN, key, "the name of a secret without metadata")

    async def policy(self, key: bytes, parts: tuple[Any, ...], policy: KeyPolicy | None) -> None:
        _, mount, _, name = parts
        entries = await self._tr.get_range(*self._keys.span("transit", mount, "version", name))
        there = {self._keys.parts(version)[-1] for version, _ in entries}
        if policy is None:
            if not there:
                self._page.add(Kind.MISSING, key, "a transit key has no version")
            return
        wanted = set(range(max(1, policy.min_available_version), policy.latest_version + 1))
        for numbers, kind, text in (
            (wanted - there, Kind.MISSING, "a version of a transit key is not there"),
            (there - wanted, Kind.ORPHAN, "a version that the policy of its transit key does not have"),
        ):
            for number in sorted(numbers):
                self._page.add(kind, self._keys.key("transit", mount, "version", name, number), text)
        await self._scheduled(mount, policy)

    async def _scheduled(self, mount: int, policy: KeyPolicy) -> None:
        """See that the key is in the schedule of rotations exactly if it rotates by itself, and when that is due."""
        place = self._keys.key("due", mount, policy.name)
        latest = self._keys.key("transit", mount, "version", policy.name, policy.latest_version)
        time, stored = await asyncio.gather(self._tr.get(place), self._tr.get(latest))
        if rotates(policy) and time is None:
            self._page.add(Kind.MISSING, place, "a transit key that rotates by itself is not in the schedule")
        version = None if stored is None else self._quietly(latest, stored)
        if time is None or not isinstance(version, VersionRecord):
            return
        wanted, noted = version.created + policy.auto_rotate_period, decode_time(time)
        early = noted < wanted and from_the_future(version.created, wall_clock.time_ns())  # as it was put right
        if not rotates(policy) or (noted != wanted and not early):
            self._page.add(Kind.CONTRADICTION, place, "its transit key is not due then")

    async def version(self, key: bytes, parts: tuple[Any, ...], _: Any) -> None:
        if await self._tr.get(self._keys.key("transit", parts[1], "policy", parts[3])) is None:
            self._page.add(Kind.ORPHAN, key, "a version of a transit key without policy")

    async def usage(self, key: bytes, parts: tuple[Any, ...], _: Any) -> None:
        _, mount, _, name, version, _ = parts
        place = self._keys.key("transit", mount, "policy", name)
        stored = await self._tr.get(place)
        if stored is None:
            self._page.add(Kind.ORPHAN, key, "uses of a transit key without policy")
            return
        policy = self._quietly(place, stored)
        if isinstance(policy, KeyPolicy) and not policy.min_available_version <= version <= policy.latest_version:
            self._page.add(Kind.ORPHAN, key, "uses of a version that the policy of its transit key does not have")

    async def role_id(self, key: bytes, parts: tuple[Any, ...], found: RoleId | None) -> None:
        if found is not None and await self._tr.get(self._keys.key("approle", parts[1], "role", found.role)) is None:
            self._page.add(Kind.ORPHAN, key, "a role id without role")

    async def secret_id(self, key: bytes, parts: tuple[Any, ...], _: Any) -> None:
        if await self._tr.get(self._keys.key("approle", parts[1], "role", parts[3])) is None:
            self._page.add(Kind.ORPHAN, key, "a secret id without role")

    async def accessor(self, key: bytes, parts: tuple[Any, ...], found: SecretIdAccessor | None) -> None:
        if found is None:
            return
        if await self._tr.get(self._keys.key("approle", parts[1], "secret-id", parts[3], found.hash)) is None:
            self._page.add(Kind.ORPHAN, key, "an accessor without secret id")

    async def due(self, key: bytes, parts: tuple[Any, ...], time: int | None) -> None:
        if time is None:
            return
        if len(parts) == 1:
            if await self._tr.get(keyspace.due(time, self._keys.number)) is None:
                self._page.add(Kind.MISSING, keyspace.due(time, self._keys.number), "a tenant is not in the schedule")
            return
        entry, unsealed, policy = await asyncio.gather(
            self._tr.get(self._keys.key("due")),
            self._tr.get(self._keys.key("unsealed")),
            self._tr.get(self._keys.key("transit", parts[1], "policy", parts[2])),
        )
        if policy is None:
            self._page.add(Kind.ORPHAN, key, "the rotation of a transit key that is not there")
        elif unsealed is not None and (entry is None or decode_time(entry) > max(time, _tried_again())):
            self._page.add(Kind.CONTRADICTION, self._keys.key("due"), "the tenant is not looked at when a key is due")


def _tried_again() -> int:
    """Return by when a tenant is looked at again whose key could not be rotated by now, in nanoseconds since 1970."""
    return wall_clock.time_ns() + RETRY + BOUND


def _with_data(head: Head | None) -> set[int]:
    """Return the versions whose data has records of its own."""
    if head is None:
        return set()
    inline = head.metadata.current_version if head.inline is not None else 0
    return {
        number for number, version in head.metadata.versions.items() if not version.destroyed and number != inline
    }


_RULES: Final[Mapping[tuple[str, ...], Callable[[TenantCheck, bytes, tuple[Any, ...], Any], Awaitable[None]]]] = {
    ("header",): TenantCheck.header,
    ("due",): TenantCheck.due,
    ("approle", "role-id"): TenantCheck.role_id,
    ("approle", "secret-id"): TenantCheck.secret_id,
    ("approle", "accessor"): TenantCheck.accessor,
    ("kv", "meta"): TenantCheck.head,
    ("kv", "data"): TenantCheck.data,
    ("kv", "list"): TenantCheck.name,
    ("transit", "policy"): TenantCheck.policy,
    ("transit", "version"): TenantCheck.version,
    ("transit", "usage"): TenantCheck.usage,
}
