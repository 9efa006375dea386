"""What the keys of a tenant are used for: counted in memory, and added to the store every few seconds.

A request pays for an addition in a dictionary, no more. The first one after a quiet time starts a task that writes
what came together: after a while, or at once when the tenant goes to sleep or is sealed. What cannot be written is
kept for the next time. So a crash loses what one interval counted, and a commit whose outcome stays unknown may be
counted twice.

All of it runs on the actor's loop. Counting is the one thing beside mailbox turns that changes what is kept here.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping
from functools import partial
from itertools import islice
from typing import Final, NamedTuple, TypeAlias

import msgspec
import structlog

from kms_actors.actors.tenant.context import TenantContext
from kms_actors.actors.tenant.later import WrittenLater
from kms_actors.actors.tenant.store import Look
from kms_actors.actors.transit.storage import TransitRecords
from kms_actors.errors import KmsError, StoreUnavailable
from kms_actors.messages import Event
from kms_actors.store.api import Transaction
from kms_actors.transit.key import TransitKey
from kms_actors.transit.limits import messages
from kms_actors.transit.messages import KeyInfo
from kms_actors.transit.usage import Part, Use, Uses, plus, total

#: Records among which the processes are spread that count for the same version, so that they seldom conflict.
SHARDS: Final = 8
#: Keys whose uses are written in one transaction.
_KEYS_TOGETHER: Final = 32
_SECOND: Final = 10**9
#: Messages of a version between two looks at how many there are of all processes; and versions that are noted.
_MEASURED_EVERY: Final = 1 << 22
_MOST_MEASURED: Final = 10_000

_log = structlog.get_logger(__name__)


class MeasureVersion(Event, frozen=True):
    """It is time to see how many messages a version has encrypted, all processes together."""

    mount: int
    name: str
    version: int


class KeyIdentity(NamedTuple):
    """A key, told apart from those that have its name before or after it; the mount is given by number."""

    mount: int
    name: str
    incarnation: str


#: Told what was counted since the last time: mount, name, version, operation, number.
Observe: TypeAlias = Callable[[int, str, int, str, int], None]
MakeUsage: TypeAlias = Callable[[TenantContext, TransitRecords], "TransitUsage"]
_Slot: TypeAlias = tuple[int, str, str, int, str]  # the fields of an identity, version, operation
_Versions: TypeAlias = dict[int, Uses]


class TransitUsage(WrittenLater):
    """The counters of one awake tenant. `seconds` is how long a use may wait to be written."""

    __slots__ = (
        "_counts",
        "_in_store",
        "_measured",
        "_observe",
        "_records",
        "_shard",
        "_unwritten",
    )

    def __init__(
        self, context: TenantContext, records: TransitRecords, seconds: float = 10.0, observe: Observe | None = None
    ) -> None:
        super().__init__(context, seconds)
        self._records = records
        self._observe = observe
        self._shard = secrets.randbelow(SHARDS)
        self._counts: dict[_Slot, int] = {}  # since the last time
        self._unwritten: dict[KeyIdentity, _Versions] = {}
        self._in_store = asyncio.Lock()  # held while what is here moves there, or both are read
        self._measured: dict[tuple[int, str, int], int] = {}  # messages since, by mount, key and version

    def add(self, mount: int, key: TransitKey, version: int, operation: str, number: int = 1) -> None:
        """Count that a version did something `number` times."""
        policy = key.policy
        slot = mount, policy.name, policy.incarnation, version, operation
        self._counts[slot] = self._counts.get(slot, 0) + number
        if self._writer is None:
            self._start()

    async def flush(self) -> None:
        """Write what is counted; what cannot be written now is kept."""
        async with self._in_store:
            self._take_counts()
        tried: set[KeyIdentity] = set()
        more = True
        while more:
            async with self._in_store:  # let go in between, for who reads
                more = await self._write_some(tried)

    async def read(self, mount: int, body: Look[tuple[KeyInfo, list[Part]]]) -> KeyInfo:
        """Return what `body` reads of a key, with the uses it read and those that are not yet written."""
        async with self._in_store:
            info, parts = await self._context.store.read(body)
            self._take_counts()
            policy = info.policy
            own = self._unwritten.get(KeyIdentity(mount, policy.name, policy.incarnation), {})
            parts += (part for part in own.items() if part[0] >= policy.min_available_version)
            return msgspec.structs.replace(info, usage=total(parts))

    @property
    def _waits(self) -> bool:
        return bool(self._counts or self._unwritten)

    def _lose(self) -> None:
        if self._unwritten:
            _log.warning("usage of transit keys is lost", keys=len(self._unwritten), vault=self._context.vault_id)
            self._unwritten.clear()

    async def _write_some(self, tried: set[KeyIdentity]) -> bool:
        """Write uses of a few keys that were not tried yet; False if none are left, or the store is away."""
        left = (entry for entry in self._unwritten.items() if entry[0] not in tried)
        keys = dict(islice(left, _KEYS_TOGETHER))
        if not keys:
            return False
        tried.update(keys)
        try:
            await self._context.store.count(partial(self._add_all, keys))
        except KmsError as error:
            _log.warning("usage of transit keys is not written yet", keys=len(keys), error=type(error).__name__)
            return not isinstance(error, StoreUnavailable)
        for identity, versions in keys.items():
            del self._unwritten[identity]
            self._note_messages(identity, versions)
        return True

    def _note_messages(self, identity: KeyIdentity, versions: _Versions) -> None:
        """Have versions measured when they are first used here, and after so many messages again."""
        for version, uses in versions.items():
            slot, number = (identity.mount, identity.name, version), messages(uses)
            since = self._measured.get(slot, _MEASURED_EVERY) + number
            if number and since >= _MEASURED_EVERY and not self._ending:
                since = 0
                self._context.notify(MeasureVersion(*slot))
            if number and (slot in self._measured or len(self._measured) < _MOST_MEASURED):
                self._measured[slot] = since

    def _take_counts(self) -> None:
        """Turn what was counted into uses, which are as old as the last time at most."""
        counts, self._counts = self._counts, {}
        now = self._context.clock() // _SECOND
        for (mount, name, incarnation, version, operation), number in counts.items():
            versions = self._unwritten.setdefault(KeyIdentity(mount, name, incarnation), {})
            versions[version] = plus(versions.get(version, {}), {operation: Use(number, now)})
            if self._observe is not None:
                self._observe(mount, name, version, operation, number)

    async def _add_all(self, keys: Mapping[KeyIdentity, _Versions], tr: Transaction) -> None:
        await asyncio.gather(*(self._add(tr, identity, versions) for identity, versions in keys.items()))

    async def _add(self, tr: Transaction, identity: KeyIdentity, versions: _Versions) -> None:
        """Add to what is stored, unless the key, or a version of it, was destroyed meanwhile."""
        mount, name, incarnation = identity
        policy = await self._records.policy_alone(tr, mount, name)
        if policy is None or policy.incarnation != incarnation:
            return
        for version, uses in versions.items():
            if version >= policy.min_available_version:
                await self._records.add_uses(tr, mount, name, (version, self._shard), uses)
