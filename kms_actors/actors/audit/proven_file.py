"""A file whose lines prove themselves: each process writes a log of its own into it, and signs how far that is.

`strict`: a write is done when its lines are on the disk; all that wait together share one sync, and what comes
meanwhile the next. `lagged`: when they are the system's.
They are to be on the disk `CHECKPOINT_SECONDS` later; where `MOST_UNSYNCED` bytes are not, or any for `MOST_LAG`
seconds, writes wait for it: a machine that fails loses no more, a process that ends none. In any case a checkpoint
follows, and, once it is on the disk, the log's anchor in the store.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Executor
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

from kms_actors import request_context
from kms_actors.actors.audit.appending import AppendFile, Gone, Uncertain
from kms_actors.actors.audit.arranging import arranged
from kms_actors.actors.audit.book import Book
from kms_actors.actors.audit.group import Group
from kms_actors.actors.audit.lag import CatchingUp, Lag
from kms_actors.actors.audit.sinks.disk import Disk, ThreadedDisk
from kms_actors.actors.audit.sinks.promptness import SHORT, Promptness, is_short
from kms_actors.audit.log import anchors, lines
from kms_actors.audit.log.anchors import Choice, StoredAnchor
from kms_actors.audit.log.recovering import Found
from kms_actors.audit.log.writing import Log, new_id
from kms_actors.audit.receipts import Receipt
from kms_actors.audit.sink import SinkFailed, Synced
from kms_actors.errors import KmsError
from kms_actors.observe.bounded import BoundedLog
from kms_actors.system_errors import in_words

T = TypeVar("T")

#: Seconds until lines are held by a checkpoint, if the disk keeps up.
CHECKPOINT_SECONDS: Final = 0.5
#: Seconds that a device which is closed may take to anchor its log.
_CLOSE_SECONDS: Final = 2.0
_SECOND: Final = 10**9

_log: Final = BoundedLog("kms_actors.audit")


class Settings(NamedTuple):
    """What is the same for all that is done with one file. `most` bytes may be in it."""

    path: Path
    mode: int | None
    node: str
    strict: bool
    prefix: bytes = b""
    most: int | None = None
    checkpoint_seconds: float = CHECKPOINT_SECONDS


class _Open(NamedTuple):
    file: AppendFile
    log: Log
    syncs: Group


class ProvenFile:
    """The log of one device that this process writes. See `Sink`."""

    def __init__(
        self,
        settings: Settings,
        book: Book,
        pool: Executor,
        disk: Disk | None = None,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        """`clock` gives nanoseconds since 1970. The file is opened with the first line."""
        self._settings = settings
        self._book = book
        self._pool = pool
        self._disk = ThreadedDisk(pool) if disk is None else disk
        self._clock = clock
        self._writer = anchors.Writer(secrets.token_hex(8), settings.node, str(settings.path))
        self._turn = asyncio.Lock()
        self._open: _Open | None = None
        self._begun = False  # once it was open: then its folder is there, or was removed by somebody
        self._lag = Lag()
        self._promptness = Promptness()
        self._anchored: StoredAnchor | None = None
        self._due: asyncio.TimerHandle | None = None
        self._working: set[asyncio.Task[None]] = set()
        self._anchoring = asyncio.Lock()
        self._newest: tuple[StoredAnchor, _Open | None] | None = None  # where it is to be synced before
        self._catching_up = CatchingUp()

    async def write(self, written: Sequence[bytes]) -> None:
        """See `Sink`."""
        await self.write_for(written, ())

    async def write_for(self, written: Sequence[bytes], wanted: Collection[int]) -> dict[int, Receipt]:
        """See `GivesReceipts`: with proofs, if `strict`, for which a checkpoint is written behind the lines."""
        async with self._turn:
            try:
                receipts = await self._write(written, wanted)
            except Gone:  # as if it had been moved away, only that nothing can be written to it any more
                await self._move()
                receipts = await self._write(written, wanted)
            except Uncertain:
                self._shut()
                raise
            self._remind()
        return receipts

    async def reopen(self) -> None:
        """See `Sink`."""
        async with self._turn:
            if self._open is not None:
                await self._move()

    async def close(self) -> None:
        """See `Sink`."""
        if self._due is not None:
            self._due.cancel()
        try:
            async with asyncio.timeout(_CLOSE_SECONDS), self._turn:
                if self._open is not None:
                    await self._control(lines.CLOSE)
        except (SinkFailed, TimeoutError) as error:
            self._complain("audit log not closed", error)
        self._shut()
        working = [*self._working]
        if working:
            await asyncio.wait(working, timeout=_CLOSE_SECONDS)

    # Lines.

    async def _write(self, written: Sequence[bytes], wanted: Collection[int]) -> dict[int, Receipt]:
        file, log, syncs = self._open or await self._begin()
        before = log.mark()
        arrange = partial(arranged, log, written, wanted, self._now, signed=self._settings.strict)
        data, receipts = arrange() if is_short(written) else await self._run(arrange)
        sync = self._settings.strict or self._lag.too_far(len(data))
        reached = self._lag.written(len(data))
        try:
            await self._run(partial(self._append, file, data))
        except Uncertain:
            raise
        except SinkFailed:
            log.go_back(before)
            raise
        if sync:
            await self._sync(syncs)
            self._lag.synced(reached)
        return receipts

    def write_at_once(self, written: Sequence[bytes]) -> bool | Synced:
        """See `WritesAtOnce`: where nothing is to be on the disk before, and no other process writes just now."""
        opened, strict = self._open, self._settings.strict
        if opened is None or self._turn.locked() or not self._promptness.allows(written):
            return False
        if not strict and self._lag.too_far(SHORT):
            return False
        file, log, syncs = opened
        before, done = log.mark(), False
        data, _ = arranged(log, written, (), self._now, signed=strict)
        begun = self._promptness.begin()
        try:
            done = file.append_at_once(data)
        except Gone:
            pass  # `write` makes it anew
        except Uncertain:
            self._shut()
            raise
        finally:
            self._promptness.end(begun)
            if not done:
                log.go_back(before)
        if not done:
            return False
        self._lag.written(len(data))
        self._remind()
        if strict:
            return syncs.sync()
        self._catching_up.look(self._lag, syncs)
        return True

    def _append(self, file: AppendFile, data: bytes) -> None:
        begun = self._promptness.begin()
        file.append(data)
        self._promptness.end(begun)

    async def _sync(self, syncs: Group) -> None:
        """Return once all that was written is on the disk. Raises Uncertain."""
        failed = await asyncio.shield(syncs.sync())
        if failed is not None:
            raise failed

    def _unsynced(self, file: AppendFile) -> None:
        if self._open is not None and self._open.file is file:
            self._shut()

    async def _control(self, cause: str, choice: Choice | None = None) -> None:
        """Write a control line, and have it anchored once it is on the disk."""
        assert self._open is not None
        file, log, syncs = self._open
        before, torn = log.mark(), tuple(file.torn)
        note = log.note()
        line = log.checkpoint(cause, self._now(), choice.former if choice else (), torn)
        reached = self._lag.written(len(line))
        last = cause in (lines.CLOSE, lines.ROTATE)
        sync = last or self._settings.strict
        try:
            await self._run(partial(file.append, line, control=True))
        except Uncertain:
            raise
        except SinkFailed:
            log.go_back(before)
            raise
        file.torn = file.torn[len(torn) :]
        opened = self._open
        if sync:
            await self._sync(syncs)
            self._lag.synced(reached)
        anchor = self._writer.anchor(log, note, self._clock(), closed=last)
        self._newest = anchor, None if sync else opened
        self._spawn(self._anchor())

    def _remind(self) -> None:
        """Have a checkpoint written soon, if there are lines that no checkpoint holds."""
        if self._due is None and self._open is not None and self._open.log.unsigned > 1:
            loop = asyncio.get_running_loop()
            seconds, apart = self._settings.checkpoint_seconds, request_context.apart()
            self._due = loop.call_later(seconds, lambda: self._spawn(self._checkpoint()), context=apart)

    async def _checkpoint(self) -> None:
        async with self._turn:
            self._due = None
            if self._open is None:
                return
            try:
                await self._control(lines.INTERVAL)
            except Gone:
                return  # the next line is written to another file
            except SinkFailed as failed:
                self._complain("audit log has no checkpoint", failed)
                if isinstance(failed, Uncertain):
                    self._shut()
                self._remind()

    # Files.

    async def _begin(self) -> _Open:
        """Open the file, and go on with a log in it that nobody writes, or begin one."""
        book = self._book
        trust = await self._run(lambda: book.trust)
        known = await self._known_anchors()
        file = await self._run(self._open_file)
        try:
            decide = partial(self._choose, file, known)
            choice = await self._run(partial(file.recover, trust.verifier, decide))
            log_id = choice.log or new_id()
            if choice.log is None:
                await self._run(partial(file.claim, log_id))
            signer = await self._run(partial(book.signer, log_id))
        except OSError as error:
            file.close()
            raise SinkFailed(in_words(error)) from None
        except BaseException:
            file.close()
            raise
        log = Log(log_id, signer, choice.state, self._settings.prefix)
        self._open = _Open(file, log, Group(file, self._disk, self._unsynced))
        self._anchored = choice.before
        try:
            await self._control(choice.cause, choice)
        except BaseException:
            self._shut()
            raise
        return self._open

    def _choose(self, file: AppendFile, known: list[StoredAnchor], found: dict[str, Found]) -> Choice:
        """Choose among the logs that no other process writes, and have that one."""
        held = {log for log in {*found, *(anchor.log for anchor in known)} if not file.claim(log)}
        free = {log: each for log, each in found.items() if log not in held}
        choice = anchors.choose(free, held, known, self._writer)
        for log in {*found, *(anchor.log for anchor in known)} - held - {choice.log}:
            file.release(log)
        return choice

    async def _move(self) -> None:
        """Go on in the file that has the name now."""
        assert self._open is not None
        before, log, syncs = self._open
        fresh = await self._run(self._open_file)
        try:
            if await self._run(partial(fresh.is_same, before)):
                fresh.close()
                return
            claimed = await self._run(partial(fresh.claim, log.id))
        except BaseException:
            fresh.close()
            raise
        if not claimed:
            fresh.close()
            raise SinkFailed("another process writes the same log")
        try:
            await self._control(lines.ROTATE)
        except Gone:
            pass
        except SinkFailed as failed:
            self._complain("audit log not ended in the file that was moved", failed)
        await syncs.ended()  # of lines that went to the file before it was removed: their requests are still answered
        before.close()
        self._open = _Open(fresh, log, Group(fresh, self._disk, self._unsynced))
        try:
            await self._control(lines.CONTINUE)
        except SinkFailed:
            self._shut()
            raise

    def _open_file(self) -> AppendFile:
        settings = self._settings
        try:
            file = AppendFile(settings.path, settings.mode, make_folder=not self._begun, most=settings.most)
        except OSError as error:
            raise SinkFailed(in_words(error)) from None
        self._begun = True
        self._promptness.opened(settings.path, file.number)
        return file

    def _shut(self) -> None:
        """Let go of the file; whoever writes next reads its end again."""
        opened, self._open = self._open, None
        self._lag = Lag()
        if opened is not None:
            opened.file.close()

    # The store.

    async def _known_anchors(self) -> list[StoredAnchor]:
        try:
            return await self._book.anchors()
        except KmsError as error:
            raise SinkFailed(f"the anchors of the log cannot be read: {error}") from None

    async def _anchor(self) -> None:
        """Put the newest anchor into the store; one at a time."""
        async with self._anchoring:
            newest, self._newest = self._newest, None
            if newest is None:
                return
            anchor, unsynced = newest
            if unsynced is not None and not await self._synced(unsynced):
                return
            before = self._anchored if self._anchored is None or self._anchored.log == anchor.log else None
            try:
                moved = await self._book.advance(before, anchor)
            except KmsError as error:  # the next checkpoint's anchor says all that this one says
                self._complain("audit log not anchored", error)
                return
            if moved:
                self._anchored = anchor
                return
        async with self._turn:
            self._complain("audit log is anchored elsewhere", SinkFailed("the store knows another end of this log"))
            if self._open is not None:
                await self._open.syncs.ended()  # the lines are whole, and their requests are still answered
            self._shut()

    async def _synced(self, opened: _Open) -> bool:
        lag, reached = self._lag, self._lag.written()
        try:
            await self._sync(opened.syncs)
        except SinkFailed as failed:
            if not opened.file.closed or self._open is None:  # else it was synced with a later control line
                self._complain("audit log is not on the disk", failed)
            return False
        lag.synced(reached)
        return True

    # Odds and ends.

    def _now(self) -> str:
        seconds, rest = divmod(self._clock(), _SECOND)
        return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{rest:09}Z"

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work, context=request_context.apart())
        self._working.add(task)
        task.add_done_callback(self._working.discard)

    def _complain(self, event: str, error: Exception) -> None:
        reason = str(error) or type(error).__name__
        _log.warning(event, self._writer.file, file=os.fspath(self._settings.path.name), reason=reason)
