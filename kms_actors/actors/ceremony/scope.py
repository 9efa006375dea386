"""Whose keys a ceremony is about: the cluster's, or a vault's. What follows is alike for both."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol, TypeVar

from kms_actors.actors.cluster.changes import TENANT
from kms_actors.actors.cluster.schedule import KEYRING, encode_time, look_by
from kms_actors.actors.tenant.context import TenantContext
from kms_actors.actors.tenant.sealed import sealed_key
from kms_actors.actors.tenant.store import Look
from kms_actors.actors.tenant.unsealing import Unsealing
from kms_actors.errors import KmsError, Sealed
from kms_actors.keyring.keyring import Keyring
from kms_actors.secret import SecretBytes
from kms_actors.store.api import Body, Reads, Transaction
from kms_actors.store.keyspace import TenantKeys

T = TypeVar("T")

#: Below a scope: the seal, and the keyring wrapped by the key that the shares give, here called the root key.
SEAL: Final = "seal"
WRAPPED: Final = "keyring"


class Scope(Protocol):
    """An unsealed scope. Its records are sealed by its keyring."""

    @property
    def name(self) -> str:
        """The cluster's namespace, or a vault id."""

    @property
    def keyring(self) -> Keyring:
        """Raises Sealed."""

    def now(self) -> int:
        """Nanoseconds since 1970."""

    def key(self, *parts: Any) -> bytes:
        """Return where a record lies."""

    async def read(self, look: Look[T]) -> T: ...

    async def change(self, body: Body[T]) -> T: ...

    async def root_key(self, tr: Reads) -> SecretBytes:
        """Return the key that wraps the keyring; raises Sealed."""

    async def encryptions(self, tr: Reads, version: int) -> int:
        """Return how many records a version has sealed, as far as they are counted."""

    def keep_rotated(self, tr: Transaction, before: Keyring, after: Keyring, root_key: SecretBytes) -> None:
        """Write what goes with a new version of the keyring."""

    def keep_root_key(self, tr: Transaction, keyring: Keyring, root_key: SecretBytes) -> None:
        """Keep the key that wraps `keyring` from now on."""

    def root_key_replaced(self, root_key: SecretBytes) -> None:
        """Act upon it, once that is committed."""

    async def look_at(self, tr: Transaction, time: int | None) -> None:
        """Have it looked at by then whether the keyring is to be rotated."""

    def renew(self) -> Awaitable[None]:
        """Have this process know what was changed of the keyring and the seal; others hear of it by the log."""


async def renew(scope: Scope) -> None:
    """Have this process know what a ceremony has committed.

    Where it cannot now, since the store does not answer, or the scope was sealed a moment ago, it hears of it by the
    log as others do. The answer has what nobody gets a second time, such as new shares.
    """
    with contextlib.suppress(KmsError):
        await scope.renew()


class TenantScope:
    """Of an unsealed vault; `epoch` is the one that it was unsealed in."""

    def __init__(
        self, context: TenantContext, unsealing: Unsealing, epoch: int, renew: Callable[[], Awaitable[None]]
    ) -> None:
        self._context = context
        self._unsealing = unsealing
        self._epoch = epoch
        self._renew = renew

    @property
    def name(self) -> str:
        return self._context.vault_id

    @property
    def number(self) -> int:
        """The tenant's integer."""
        return self._context.keys.number

    @property
    def keys(self) -> TenantKeys:
        """Where the vault's records lie."""
        return self._context.keys

    @property
    def keyring(self) -> Keyring:
        return self._context.keyring

    def renew(self) -> Awaitable[None]:
        return self._renew()

    def now(self) -> int:
        return self._context.clock()

    def key(self, *parts: Any) -> bytes:
        return self._context.keys.key(*parts)

    def count(self, tr: Transaction, kind: str, number: int) -> None:
        """Count what a transaction makes of what the vault has."""
        self._context.tallies.count(tr, kind, number)

    async def read(self, look: Look[T]) -> T:
        return await self._context.store.read(look)

    async def change(self, body: Body[T]) -> T:
        return await self._context.store.change(body, mount=None, of_grounds=True)

    async def root_key(self, tr: Reads) -> SecretBytes:
        found = await self._unsealing.root_key(tr, self._context.keys, self._epoch)
        if found is None:
            raise Sealed
        return found

    async def encryptions(self, tr: Reads, version: int) -> int:
        counted = int.from_bytes(await tr.get(sealed_key(self._context.keys, version)) or b"", "little")
        here = self._context.store.uncounted if version == self.keyring.active_version else 0
        return counted + here

    def keep_rotated(self, tr: Transaction, before: Keyring, after: Keyring, root_key: SecretBytes) -> None:
        self._context.record(tr, TENANT, "")

    def keep_root_key(self, tr: Transaction, keyring: Keyring, root_key: SecretBytes) -> None:
        """Keep it for all nodes; where each is unsealed for itself, the others are sealed by this."""
        keys = self._context.keys
        if self._unsealing.shared:
            self._unsealing.keep_root_key(tr, keys, self._epoch, root_key)
        else:
            tr.add(keys.key("epoch"), 1)
        self._context.record(tr, TENANT, "")

    def root_key_replaced(self, root_key: SecretBytes) -> None:
        if not self._unsealing.shared:
            self._unsealing.keep_root_key_here(self._context.keys, self._epoch + 1, root_key)

    async def look_at(self, tr: Transaction, time: int | None) -> None:
        key = self.key(KEYRING)
        if time is None:
            tr.clear(key)
        else:
            tr.set(key, encode_time(time))
            await look_by(tr, self._context.keys, time, self.now())
