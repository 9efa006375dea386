"""How one node hears what another has changed.

A writer appends a Change to the log and bumps the log's head in the transaction that makes the change. Each process
holds one watch on the head, and reads the log after any completion of it, or when a while has passed without one: a
watch is a hint, never what correctness rests on. What a process serves from memory, it serves only while the log was
read to its end within the lease; a process cut off from the store stops by itself.

Records: (`log`, versionstamp) Change; (`log-head`,) a counter; (`log-trimmed`,) the last versionstamp that was
trimmed: a reader that finds the log trimmed past its place takes everything as changed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

import msgspec
import structlog

from kms_actors import clock
from kms_actors.errors import KmsError
from kms_actors.store import keyspace
from kms_actors.store.api import VERSIONSTAMP_LENGTH, Store, Transaction

LOG: Final = keyspace.pack("log")
HEAD: Final = keyspace.pack("log-head")
TRIMMED: Final = keyspace.pack("log-trimmed")

#: Entries read in one transaction.
_PAGE: Final = 500
#: Seconds an entry is kept: far longer than any reader is late that still serves.
_KEPT: Final = 600.0
_TRIM_EVERY: Final = 60.0

_log = structlog.get_logger(__name__)


#: Areas of a tenant. A change of TENANT is one of its own records: seal, mounts, revocations.
TENANT: Final = "tenant"
TOKEN: Final = "token"  # noqa: S105 - a name, not a token
TRANSIT: Final = "transit"

#: Stands in `Change.vault_id` for the cluster's own records.
CLUSTER: Final = ""


class Change(msgspec.Struct, frozen=True, array_like=True):
    """What changed: an area of a tenant, and within it a name."""

    vault_id: str  # or CLUSTER
    area: str
    name: str
    time: float  # seconds since 1970


_recorded: ContextVar[list[Change] | None] = ContextVar("recorded", default=None)


def record(tr: Transaction, change: Change) -> None:
    """Add `change` to the log of a transaction that makes it."""
    tr.set_versionstamped(LOG, b"", msgspec.msgpack.encode(change))
    tr.add(HEAD, 1)
    recorded = _recorded.get()
    if recorded is not None:
        recorded.append(change)


@contextmanager
def recording() -> Iterator[list[Change]]:
    """Give the list of what is recorded within, also by attempts of a transaction that came to nothing."""
    recorded: list[Change] = []
    token = _recorded.set(recorded)
    try:
        yield recorded
    finally:
        _recorded.reset(token)


#: Told each change in commit order, own ones too; None means that anything may have changed. A future is done once
#: nothing older is served; whoever gave it must see to that at once when it is cancelled.
Deliver = Callable[[Change | None], asyncio.Future[None] | None]


class ChangeFeed:
    """Reads the log as it grows. `fresh` tells whether memory may be served from; `elapsed` measures the lease."""

    def __init__(
        self, store: Store, deliver: Deliver, lease_seconds: float, elapsed: clock.Clock = clock.elapsed
    ) -> None:
        self._store = store
        self._deliver = deliver
        self._lease = lease_seconds
        self._elapsed = elapsed
        self._position = b""
        self._confirmed = float("-inf")
        self._next_trim = time.monotonic() + _TRIM_EVERY
        self._reader: asyncio.Task[None] | None = None
        self._reading = asyncio.Lock()
        self._applying: set[asyncio.Future[None]] = set()

    @property
    def fresh(self) -> bool:
        """True while the log was read to its end within the lease."""
        return self._elapsed() - self._confirmed < self._lease

    @property
    def age(self) -> float:
        """Seconds since the log was last known to be read to its end."""
        return self._elapsed() - self._confirmed

    async def start(self) -> None:
        """Begin at the log's end: what is loaded from now on is newer than all before it."""
        started = self._elapsed()
        last = await self._store.run(lambda tr: tr.get_range(LOG, keyspace.after(LOG), limit=1, reverse=True))
        self._position = last[0][0][len(LOG) :] if last else b"\x00" * VERSIONSTAMP_LENGTH
        self._confirmed = started
        self._reader = asyncio.create_task(self._read())

    async def catch_up(self) -> None:
        """Return once all that was committed before this call has its effect here."""
        async with self._reading:
            await self._catch_up()

    async def stop(self) -> None:
        """End reading."""
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)

    async def _read(self) -> None:
        while True:
            try:
                changed = await self._store.watch(HEAD)
                await self.catch_up()
                await self._trim()
                await self._wait(changed)
            except KmsError as error:
                _log.warning("change log cannot be read", error=type(error).__name__, lease_age=round(self.age, 1))
                await asyncio.sleep(self._lease / 8)

    async def _wait(self, changed: asyncio.Future[None]) -> None:
        """Wait for the watch, but never so long that the lease comes near its end."""
        await asyncio.wait([changed], timeout=self._lease / 4)
        if not changed.done():
            changed.cancel()
        elif not changed.cancelled():
            changed.exception()  # an error is a hint as good as a change

    async def _catch_up(self) -> None:
        while True:
            started = self._elapsed()
            trimmed, entries = await self._store.run(self._page)
            if trimmed > self._position:
                await self._move_past(trimmed)
                continue
            for key, value in entries:
                self._position = key[len(LOG) :]
                self._tell(msgspec.msgpack.decode(value, type=Change))
            if len(entries) < _PAGE:
                await self._let_apply()
                self._confirmed = started
                return

    def _tell(self, change: Change) -> None:
        applied = self._deliver(change)
        if applied is not None:
            self._applying.add(applied)
            applied.add_done_callback(self._applying.discard)

    async def _let_apply(self) -> None:
        """Wait until nothing older than what was told is served: only then may the lease begin anew."""
        if self._applying:
            _, late = await asyncio.wait(self._applying, timeout=self._lease / 4)
            for applied in late:
                applied.cancel()
            await asyncio.sleep(0)  # until those who gave them know

    async def _move_past(self, trimmed: bytes) -> None:
        """Take everything as changed; raises, and stays, where that could not be acted upon."""
        applied = self._deliver(None)
        if applied is not None:
            await applied
        self._position = trimmed

    async def _page(self, tr: Transaction) -> tuple[bytes, list[tuple[bytes, bytes]]]:
        """Return the place up to which the log is trimmed, and the next entries."""
        trimmed, entries = await asyncio.gather(
            tr.get(TRIMMED), tr.get_range(LOG + self._position + b"\x00", keyspace.after(LOG), limit=_PAGE)
        )
        return trimmed or b"", entries

    async def _trim(self) -> None:
        if time.monotonic() < self._next_trim:
            return
        self._next_trim = time.monotonic() + _TRIM_EVERY
        horizon = time.time() - _KEPT

        async def body(tr: Transaction) -> None:
            entries = await tr.get_range(LOG, keyspace.after(LOG), limit=_PAGE)
            old = [key for key, value in entries if msgspec.msgpack.decode(value, type=Change).time < horizon]
            if old:
                tr.clear_range(old[0], old[-1] + b"\x00")
                tr.set(TRIMMED, old[-1][len(LOG) :])

        await self._store.run(body)
