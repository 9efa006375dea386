"""The cluster's own keys as ceremonies have them, and how a node keeps up with what others have changed of them."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, NamedTuple, TypeVar

from kms_actors import clock as clocks
from kms_actors.actors.cluster.changes import CLUSTER, KEYRING, Change, record
from kms_actors.actors.tenant.master import (
    MASTER_KEY,
    SEALED,
    UPGRADE,
    UPGRADE_SECONDS,
    Place,
    follow,
    keep_master_key,
    leave_upgrade,
    place_of,
)
from kms_actors.actors.tenant.store import Look
from kms_actors.clock import Clock
from kms_actors.errors import NewerKeyVersion, Sealed
from kms_actors.keyring.keyring import Keyring
from kms_actors.keyring.master_seal import MasterSeal, decode_seal
from kms_actors.secret import SecretBytes
from kms_actors.store.api import Body, Reads, Store, Transaction

T = TypeVar("T")


class Kept(NamedTuple):
    """What the store has of the cluster's seal; `behind`: a later keyring that cannot be come by any more."""

    seal: MasterSeal | None
    behind: bool


class MasterScope:
    """Of an unsealed cluster. `opened` returns the keyring, and raises Sealed."""

    def __init__(
        self,
        store: Store,
        namespace: str,
        opened: Callable[[], Keyring],
        renew: Callable[[], Awaitable[None]],
        clock: Callable[[], int],
        *,
        elapsed: Clock = clocks.elapsed,
    ) -> None:
        self._store = store
        self._place: Place = place_of(namespace)
        self._opened = opened
        self._clock = clock
        self._name = namespace
        self._renew = renew
        self._elapsed = elapsed
        self._met: tuple[int, float] | None = None  # a version that was active, and when that was first seen

    @property
    def name(self) -> str:
        return self._name

    @property
    def keyring(self) -> Keyring:
        return self._opened()

    def renew(self) -> Awaitable[None]:
        return self._renew()

    def now(self) -> int:
        return self._clock()

    def key(self, *parts: Any) -> bytes:
        return self._place(*parts)

    async def read(self, look: Look[T]) -> T:
        found = await self._run(look)
        self._opened()  # sealed meanwhile
        return found

    async def change(self, body: Body[T]) -> T:
        """Run it. What is committed is answered, though it was sealed meanwhile: new shares are told once."""
        return await self._run(body)

    async def _run(self, body: Body[T]) -> T:
        run = partial(self._store.run, body, idempotency_key=os.urandom(16))
        try:
            return await run()
        except NewerKeyVersion:
            await self.renew()
            return await run()

    async def root_key(self, tr: Reads) -> SecretBytes:
        key = self.key(MASTER_KEY)
        kept = await tr.get(key)
        if kept is None:
            raise Sealed("the master key is not kept yet: seal and unseal this node once")
        return SecretBytes(self.keyring.open(key, kept))

    async def encryptions(self, tr: Reads, version: int) -> int:
        return int.from_bytes(await tr.get(self.key(SEALED, version)) or b"", "little")

    def keep_rotated(self, tr: Transaction, before: Keyring, after: Keyring, root_key: SecretBytes) -> None:
        leave_upgrade(tr, self._place, before, after)
        self.keep_root_key(tr, after, root_key)

    def keep_root_key(self, tr: Transaction, keyring: Keyring, root_key: SecretBytes) -> None:
        """Keep the key that wraps `keyring`, and tell all nodes."""
        keep_master_key(tr, self._place, keyring, root_key)
        record(tr, Change(CLUSTER, KEYRING, "", self._clock() / 1e9))

    def root_key_replaced(self, root_key: SecretBytes) -> None:
        """Nothing: no node keeps the master key."""

    async def look_at(self, tr: Transaction, time: int | None) -> None:
        """Nothing: every node looks now and then."""

    async def follow(self) -> Kept:
        """Have the keyring take in its later versions."""
        keyring, place = self.keyring, self._place

        async def look(tr: Reads) -> Kept:
            reachable, seal = await follow(tr, place, keyring), await tr.get(place("seal"))
            return Kept(None if seal is None else decode_seal(seal), not reachable)

        return await self._store.run(look)

    async def drop_upgrades(self) -> None:
        """Take away what was left for others, once all have had time to come by.

        That is so long after this process has met the active version, by a clock that nobody sets: what a keyring
        says of its age is by the clock of whoever rotated it. What leads on from the active version stays: somebody
        may have rotated the keyring a moment ago.
        """
        version, now = self.keyring.active_version, self._elapsed()
        if self._met is None or self._met[0] != version:
            self._met = (version, now)
        if now < self._met[1] + UPGRADE_SECONDS:
            return
        begin, end = self.key(UPGRADE), self.key(UPGRADE, version)

        async def body(tr: Transaction) -> None:
            if await tr.get_keys(begin, end, limit=1):
                tr.clear_range(begin, end)

        await self._store.run(body, idempotency_key=os.urandom(16))
