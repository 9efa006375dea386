"""What an unmounted mount has left is removed, a page a transaction: there may be a million secrets.

Who unmounts removes the record of the mount, so that it is gone everywhere, and leaves one of `Unmounting` in the
same transaction. Nothing is ever written again below the number: each change reads the record of its mount, and
numbers are not used twice. So whoever finds what is left may remove it, on whatever node, and end anywhere: the node
that unmounted goes on by itself, and the sweep of the cluster has somebody go on once that one was not heard of for a
while.

The last step sees in one transaction that nothing is left, and removes the record.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple

import msgspec
import pykka
import structlog
from msgspec.structs import replace

from kms_actors.actors.cluster.removing import MOST, next_size, remove_page
from kms_actors.actors.cluster.schedule import UNMOUNTING, look_now
from kms_actors.actors.tenant.context import TenantContext
from kms_actors.clock import elapsed
from kms_actors.errors import KmsError
from kms_actors.keyring import stored
from kms_actors.messages import Command
from kms_actors.mounts import Mount
from kms_actors.store.api import Priority, Reads, Transaction

#: Nanoseconds for which others leave a mount to the one that has removed a page of it.
CLAIM: Final = 5 * 10**9
#: Removed records of a mount from one line of the log to the next.
_TOLD_EVERY: Final = 100_000
#: Mounts that are gone on with at a time.
_TOGETHER: Final = 16

_SECOND: Final = 1e9

_log: Final = structlog.get_logger(__name__)


class EndMounts(Command, frozen=True):
    """Go on to remove what unmounted mounts have left. Answer: how many there are that nobody goes on with."""


class Unmounting(msgspec.Struct, frozen=True):
    """A mount that is gone, of which there are records; `removed` counts those that there are no more."""

    path: str
    type: str  # whose area they lie in
    begun: float  # seconds since 1970
    removed: int = 0
    worker: str = ""  # who goes on with it, until then
    until: int = 0  # nanoseconds since 1970
    format: int = stored.FORMAT

    def left_to(self, worker: str, now: int) -> bool:
        """Tell whether a worker may go on; a claim that lasts longer than any is one of a clock set since."""
        return self.worker in {"", worker} or not now < self.until <= now + CLAIM


class Unmounts:
    """What a process removes: of how many mounts now, and how many records there were since it began."""

    def __init__(self) -> None:
        self.mounts = 0
        self.records = 0


class Step(NamedTuple):
    """What a transaction has done: how many records it removed, and what is left; None at the end."""

    removed: int
    left: Unmounting | None


class Unmounter:
    """Removes what mounts of one vault have left."""

    def __init__(self, context: TenantContext, unmounts: Unmounts, clock: Callable[[], float] = elapsed) -> None:
        self._context = context
        self._unmounts = unmounts
        self._elapsed = clock
        self._worker = uuid.uuid4().hex
        self._under_way: set[int] = set()

    async def leave(self, tr: Transaction, gone: Mount) -> None:
        """Leave what lies below a mount to be removed, in the transaction that unmounts it."""
        now = self._context.clock()
        self._put(tr, gone.number, Unmounting(gone.path, gone.type, now / _SECOND, worker=self._worker, until=now))
        await look_now(tr, self._context.keys)

    async def begin(self, number: int) -> None:
        """Remove the first page of a mount, and go on apart from whoever waits for this."""
        with contextlib.suppress(KmsError):  # the sweep finds it
            step = await self._step(number, MOST, Priority.REQUEST)
            if step.left is not None:
                self._go_on(number)

    async def resume(self) -> int:
        """Go on with what nobody does; return how many mounts that are."""
        found = await self._context.store.read(self._found, priority=Priority.BATCH)
        for number in found:
            self._go_on(number)
        return len(found)

    async def _found(self, tr: Reads) -> list[int]:
        entries = await tr.get_range(*self._context.keys.span(UNMOUNTING), limit=_TOGETHER)
        now = self._context.clock()
        numbers = [int(self._context.keys.parts(key)[1]) for key, _ in entries]
        opened = [self._opened(key, record) for key, record in entries]
        return [
            number
            for number, each in zip(numbers, opened, strict=True)
            if number not in self._under_way and each.left_to(self._worker, now)
        ]

    def _go_on(self, number: int) -> None:
        with contextlib.suppress(pykka.ActorDeadError):  # the vault is put to sleep: the sweep wakes it
            self._under_way.add(number)
            self._context.spawn_apart(self._remove(number))

    async def _remove(self, number: int) -> None:
        vault, size = self._context.vault_id, MOST // 4
        self._unmounts.mounts += 1
        try:
            while True:
                await self._context.turns.turn(vault)
                began = self._elapsed()
                removed, left = await self._step(number, size, Priority.BATCH)
                if left is None:
                    return
                if left.removed // _TOLD_EVERY > (left.removed - removed) // _TOLD_EVERY:
                    _log.info("mount is being removed", vault=vault, mount=left.path, removed=left.removed)
                size = next_size(size, self._elapsed() - began, MOST)
        except KmsError as error:
            _log.warning("what a mount has left is removed later", vault=vault, error=type(error).__name__)
        finally:
            self._unmounts.mounts -= 1
            self._under_way.discard(number)

    async def _step(self, number: int, size: int, priority: Priority) -> Step:
        body = partial(self._page, number=number, size=size)
        step, gone = await self._context.store.change(body, mount=None, bearers=(), priority=priority)
        self._unmounts.records += step.removed
        if gone is not None:
            told = {"mount": gone.path, "removed": gone.removed, "seconds": round(self._now() - gone.begun, 3)}
            _log.info("mount removed", vault=self._context.vault_id, **told)
        return step

    async def _page(self, tr: Transaction, number: int, size: int) -> tuple[Step, Unmounting | None]:
        """Remove a page; return also what the mount was if that was its end. Another's is left alone."""
        keys, now = self._context.keys, self._context.clock()
        place = keys.key(UNMOUNTING, number)
        record = await tr.get(place)
        known = None if record is None else self._opened(place, record)
        if known is None or not known.left_to(self._worker, now):
            return Step(0, None), None
        # Rotations lie apart from the keys that they are of, and are noted as long as there are any.
        removed = await remove_page(tr, (keys.span(area, number) for area in ("due", known.type)), size)
        left = replace(known, removed=known.removed + removed, worker=self._worker, until=now + CLAIM)
        if removed == size:
            self._put(tr, number, left)
            return Step(removed, left), None
        tr.clear(place)
        return Step(removed, None), left

    def _opened(self, key: bytes, record: bytes) -> Unmounting:
        return decode(self._context.keyring.open(key, record))

    def _put(self, tr: Transaction, number: int, unmounting: Unmounting) -> None:
        key = self._context.keys.key(UNMOUNTING, number)
        tr.set(key, self._context.keyring.seal(key, stored.encode(unmounting)))

    def _now(self) -> float:
        return self._context.clock() / _SECOND


def decode(raw: bytes) -> Unmounting:
    """Return the record that was stored; FormatError if it is none, or of another format."""
    return stored.decode(raw, Unmounting, "record of an unmounted mount")
