"""How many records a vault's keyring has sealed under its active version: counted beside the changes that seal them.

(`sealed`, version)   a counter, added to blindly

What a process has sealed is added to the counter a few hundred at a time, in a transaction that is made anyway. So a
vault that goes to sleep loses count of as many. What a transaction that ran again sealed in vain counts, too.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Final

from kms_actors.errors import KmsError
from kms_actors.keyring.keyring import Keyring
from kms_actors.store.api import Store, Transaction
from kms_actors.store.keyspace import TenantKeys

#: Records that are added to the counter together.
TOGETHER: Final = 256
#: Additions between two looks at the counter.
_LOOK_EVERY: Final = 64


def sealed_key(keys: TenantKeys, version: int) -> bytes:
    """Return where it is counted what a version has sealed."""
    return keys.key("sealed", version)


class SealedRecords:
    """Of one unsealed tenant."""

    def __init__(self, store: Store, keys: TenantKeys, keyring: Keyring, tell: Callable[[int], None]) -> None:
        """`tell` is told now and then how many there are, all processes together."""
        self._store = store
        self._keys = keys
        self._keyring = keyring
        self._tell = tell
        self._version = keyring.active_version
        self._counted = keyring.sealed
        self._additions = 0

    @property
    def uncounted(self) -> int:
        """Those that are not in the counter yet."""
        self._follow()
        return self._keyring.sealed - self._counted

    def take(self) -> int:
        """Return how many are to be added now; 0 while they are few. They are the caller's to add, or give back."""
        number = self.uncounted
        if number < TOGETHER:
            return 0
        self._counted += number
        return number

    def give_back(self, number: int) -> None:
        """Count again what could not be added."""
        self._counted -= number

    def add(self, tr: Transaction, number: int) -> None:
        """Let a transaction add what was taken."""
        tr.add(sealed_key(self._keys, self._version), number)

    async def added(self) -> None:
        """Look at the counter now and then; what goes wrong concerns no request."""
        self._additions += 1
        if self._additions % _LOOK_EVERY != 1:
            return
        key = sealed_key(self._keys, self._version)
        with contextlib.suppress(KmsError):
            count = await self._store.run(lambda tr: tr.get(key))
            self._tell(int.from_bytes(count or b"", "little"))

    def _follow(self) -> None:
        """Begin anew with a version that has become the active one."""
        if self._keyring.active_version != self._version:
            self._version, self._counted = self._keyring.active_version, 0
