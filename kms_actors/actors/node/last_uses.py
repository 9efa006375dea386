"""When vaults were last used, noted now and then: no request pays for it.

What is told of a vault is at most `NOTED_EVERY` seconds too early, but for what a node that was killed had not noted.
Work of the cluster's schedule is a use, too.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from functools import partial
from typing import Final, Protocol

from kms_actors.actors.tenant.standing import USED, put
from kms_actors.errors import KmsError
from kms_actors.store.api import Priority, Store, Transaction
from kms_actors.store.keyspace import TenantKeys
from kms_actors.tenancy.records import Used

#: Seconds from one note of a vault to the next.
NOTED_EVERY: Final = 600.0
#: Vaults that one transaction notes.
_TOGETHER: Final = 50


class Noted(Protocol):
    """A vault that is awake; times are of a steady clock."""

    last_used: float
    noted: float

    @property
    def number(self) -> int:
        """Its integer, 0 before initialisation."""


class LastUses:
    """What a process notes. `clock` gives nanoseconds since 1970."""

    def __init__(self, store: Store, clock: Callable[[], int]) -> None:
        self._store = store
        self._clock = clock

    async def note(self, vaults: Iterable[Noted], now: float) -> None:
        """Note those that were used and not noted for long; `now` is of the steady clock."""
        due = [each for each in vaults if each.number and each.last_used > each.noted and _is_due(each, now)]
        for start in range(0, len(due), _TOGETHER):
            some = due[start : start + _TOGETHER]
            with contextlib.suppress(KmsError):  # noted another time
                wall = self._clock() / 1e9
                times = [(each.number, wall - (now - each.last_used)) for each in some]
                await self._store.run(partial(_write, times=times), priority=Priority.BATCH)
                for each in some:
                    each.noted = now


def _is_due(vault: Noted, now: float) -> bool:
    return not vault.noted or now - vault.noted >= NOTED_EVERY


async def _write(tr: Transaction, times: list[tuple[int, float]]) -> None:
    places = [TenantKeys(number) for number, _ in times]
    headers = await tr.get_many([keys.key("header") for keys in places])
    for keys, header, (_, at) in zip(places, headers, times, strict=True):
        if header is not None:  # nothing is left of a vault that is gone
            put(tr, keys, USED, Used(at))
