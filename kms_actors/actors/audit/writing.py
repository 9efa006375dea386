"""What is to be written to a device, gathered: all lines of one turn of the loop are one write, at most.

What the sink can do at once is done with no task, nor a wait: `hasten` is for who would wait for it next.
While a write is under way, lines gather for the next. A write that takes too long counts as failed, and so does all
that comes until it has ended after all: a device that hangs costs each request its patience once, and no memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, Generic, TypeVar

from kms_actors import request_context
from kms_actors.audit.receipts import GivesReceipts, Ticket
from kms_actors.audit.sink import Sink, SinkFailed, Synced, WritesAtOnce
from kms_actors.observe.bounded import BoundedLog

T = TypeVar("T")

#: Seconds that a write may take.
PATIENCE: Final = 5.0
#: Bytes that may wait for a write.
MOST_WAITING: Final = 64 << 20

_log: Final = BoundedLog("kms_actors.audit")


class Counts:
    """What all devices of a process did since its start."""

    def __init__(self) -> None:
        self.lines = 0  # written
        self.failures = 0  # lines that a device did not take


class Writer(Generic[T]):
    """The way to one sink. `scope` and `name` are what logs call the device.

    Lines are made at the end of a turn, together: that takes less than one by one amidst requests. `make` returns the
    lines of what was put; none where they cannot be made, which who has put it is told otherwise. It raises nothing.
    """

    def __init__(
        self, sink: Sink, scope: str, name: str, counts: Counts, make: Callable[[T], Sequence[bytes]]
    ) -> None:
        self._sink = sink
        self._at_once = sink.write_at_once if isinstance(sink, WritesAtOnce) else None
        self._scope = scope
        self._name = name
        self._counts = counts
        self._make = make
        self._loop = asyncio.get_running_loop()
        self._put: list[tuple[T, Ticket | None]] = []  # of which no lines are made yet
        self._lines: list[bytes] = []
        self._tickets: dict[int, Ticket] = {}  # of these, by their places
        self._bytes = 0
        self._next: asyncio.Future[bool] | None = None  # of what waits
        self._called = False  # to begin, in this turn of the loop
        self._working: asyncio.Task[None] | None = None
        self._stuck = False
        self._reopening: asyncio.Future[None] | None = None
        self.closed = False  # once nothing is written here any more

    def put(self, each: T, ticket: Ticket | None = None) -> asyncio.Future[bool]:
        """Have lines written; the future tells whether they were. A ticket has a receipt of the first by then."""
        if self._stuck or self.closed or self._bytes > MOST_WAITING:
            self._counts.failures += 1
            refused: asyncio.Future[bool] = self._loop.create_future()
            refused.set_result(False)
            return refused
        self._put.append((each, ticket))
        if self._next is None:
            self._next = self._loop.create_future()
        if not self._called:
            self._called = True
            self._loop.call_soon(self._begin_gathered)
        return self._next

    def hasten(self) -> None:
        """Write what waits now, if the sink can do so without a wait: what `put` returned then is done."""
        if self._working is None:
            self._write_at_once()

    def _write_at_once(self) -> None:
        if self._put:
            self._make_lines()
        done = self._next
        if done is None or self._at_once is None or self._reopening or self._tickets:
            return
        count = len(self._lines)
        try:
            written = self._at_once(self._lines) if count else True
        except SinkFailed as failed:
            self._failed(str(failed), done, count)
        except Exception as error:  # noqa: BLE001 - as below
            self._failed(type(error).__name__, done, count)
        else:
            if written is False:
                return
            if written is True:
                self._counts.lines += count
                done.set_result(True)
            else:
                self._await(written, done, count)
        self._lines, self._bytes, self._next = [], 0, None

    def _await(self, synced: Synced, done: asyncio.Future[bool], lines: int) -> None:
        """Tell what becomes of lines once that is known."""
        patience = self._loop.call_later(PATIENCE, self._give_up, done, lines)

        def tell(synced: Synced) -> None:
            patience.cancel()
            self._stuck = False
            failed = synced.result()
            if failed is not None:
                self._failed(str(failed), done, lines)
            elif not done.done():
                self._counts.lines += lines
                done.set_result(True)

        synced.add_done_callback(tell)

    def _make_lines(self) -> None:
        """Make the lines of what was put."""
        put, self._put = self._put, []
        make, lines, before = self._make, self._lines, len(self._lines)
        for each, ticket in put:
            made = make(each)
            if not made:
                self._counts.failures += 1
            elif ticket is not None and isinstance(self._sink, GivesReceipts):
                self._tickets[len(lines)] = ticket
            lines += made
        self._bytes += sum(map(len, lines[before:] if before else lines))

    async def reopen(self) -> None:
        """Have the sink opened anew, between two writes."""
        if self.closed:
            return
        if self._reopening is None:
            self._reopening = self._loop.create_future()
            self._begin()
        await asyncio.shield(self._reopening)

    async def close(self) -> None:
        """Write what waits, and let go of the sink."""
        self._begin()
        self.closed = True
        working = self._working
        if working is not None and not self._stuck:
            await asyncio.wait([working], timeout=PATIENCE)
        await self._sink.close()

    def _begin_gathered(self) -> None:
        self._called = False
        if self._put:
            self._make_lines()
        self._begin()

    def _begin(self) -> None:
        self.hasten()
        if self._working is None and (self._next is not None or self._reopening is not None):
            # For all who wait, and none of their requests.
            self._working = self._loop.create_task(self._work(), context=request_context.apart())

    async def _work(self) -> None:
        try:
            while self._next is not None or self._reopening is not None:
                if self._reopening is not None:
                    await self._reopen(self._reopening)
                self._write_at_once()
                if self._next is not None:
                    await self._write(self._next)
        finally:
            self._working = None

    async def _write(self, done: asyncio.Future[bool]) -> None:
        lines, self._lines, self._bytes, self._next = self._lines, [], 0, None
        tickets, self._tickets = self._tickets, {}
        patience = self._loop.call_later(PATIENCE, self._give_up, done, len(lines))
        written = False
        try:
            if tickets and isinstance(self._sink, GivesReceipts):
                for place, receipt in (await self._sink.write_for(lines, tickets)).items():
                    tickets[place].receipt = receipt
            else:
                await self._sink.write(lines)
            written = True
        except SinkFailed as failed:
            self._failed(str(failed), done, len(lines))
        except Exception as error:  # noqa: BLE001 - of whatever kind, who waits is told, and the next write is tried
            self._failed(type(error).__name__, done, len(lines))
        finally:
            patience.cancel()
            self._stuck = False
            if not done.done():
                done.set_result(written)
        if written:
            self._counts.lines += len(lines)

    def _give_up(self, done: asyncio.Future[bool], lines: int) -> None:
        """Let nobody wait any longer for a write that does not end, nor for those behind it."""
        self._stuck = True
        self._failed(f"a write takes longer than {PATIENCE:.0f} seconds", done, lines)
        if self._put:
            self._make_lines()
        behind, self._next = self._next, None
        if behind is not None:
            self._failed("a write before it does not end", behind, len(self._lines))
        self._lines, self._bytes, self._tickets = [], 0, {}

    def _failed(self, reason: str, done: asyncio.Future[bool], lines: int) -> None:
        if done.done():
            return  # given up before, and counted then
        done.set_result(False)
        self._counts.failures += lines
        _log.warning("audit device failed", self._scope, scope=self._scope, device=self._name, reason=reason)

    async def _reopen(self, asked: asyncio.Future[None]) -> None:
        self._reopening = None
        try:
            await self._sink.reopen()
        except SinkFailed as failed:
            _log.warning(
                "audit device not reopened", self._scope, scope=self._scope, device=self._name, reason=str(failed)
            )
        finally:
            asked.set_result(None)


#: Tells whether a line was written.
Outcome = asyncio.Future[bool]
