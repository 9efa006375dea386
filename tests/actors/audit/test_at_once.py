"""What devices do on the loop itself: only what is short, on a local disk, and was prompt before; and as safely."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import pytest

from kms_actors.actors.audit import writing
from kms_actors.actors.audit.appending import AppendFile
from kms_actors.actors.audit.proven_file import ProvenFile, Settings
from kms_actors.actors.audit.sinks import promptness
from kms_actors.actors.audit.sinks.file import FileSink
from kms_actors.actors.audit.sinks.promptness import FEW, LONGEST, PAUSE, SHORT, SLOW, Promptness, is_local
from kms_actors.actors.audit.writing import Counts, Writer
from kms_actors.audit.log.verification import verify
from kms_actors.audit.sink import SinkFailed
from tests.actors.audit.test_disk import HeldDisk
from tests.support.audit_book import MemoryBook

LINE = b'{"time":"t","type":"request"}\n'
MOUNTS = r"""
22 1 8:1 / / rw - ext4 /dev/sda1 rw
23 22 0:40 / /far rw - nfs4 server:/x rw
24 23 8:2 / /far/near rw shared:1 - xfs /dev/sdb rw
25 22 8:3 / /with\040space rw - ext4 /dev/sdc rw
26 22 0:41 / /with\040space rw - fuse.sshfs other rw
"""


def one(line: bytes) -> list[bytes]:
    return [line]


class AtOnceSink:
    """Writes at once, fails, or cannot."""

    def __init__(self) -> None:
        self.now: list[list[bytes]] = []
        self.later: list[list[bytes]] = []
        self.can = True
        self.failure: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()

    def write_at_once(self, lines: Sequence[bytes]) -> bool:
        if self.failure is not None:
            raise self.failure
        if self.can:
            self.now.append(list(lines))
        return self.can

    async def write(self, lines: Sequence[bytes]) -> None:
        await self.gate.wait()
        self.later.append(list(lines))

    async def reopen(self) -> None: ...

    async def close(self) -> None: ...


@pytest.fixture
async def sink() -> AtOnceSink:
    return AtOnceSink()


@pytest.fixture
async def writer(sink: AtOnceSink) -> Writer[bytes]:
    return Writer(sink, "vault", "file/", Counts(), one)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as made:
        yield made


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(promptness, "is_local", lambda _: True)
    return tmp_path / "audit.log"


@pytest.fixture
def book() -> MemoryBook:
    return MemoryBook()


def proven(path: Path, book: MemoryBook, pool: ThreadPoolExecutor, *, strict: bool = False) -> ProvenFile:
    return ProvenFile(Settings(path, 0o600, "node-1", strict, checkpoint_seconds=60.0), book, pool)


def content(path: Path) -> bytes:
    return path.read_bytes()


def remove(path: Path) -> None:
    path.unlink()


def findings(path: Path, book: MemoryBook) -> list[object]:
    def files() -> list[tuple[str, Sequence[bytes]]]:
        return [(path.name, path.read_bytes().splitlines(keepends=True))]

    return [*verify(files, book.trust, book.told).findings]


# The writer.


async def test_who_is_in_haste_has_all_that_waits_written_without_a_wait(
    writer: Writer[bytes], sink: AtOnceSink
) -> None:
    first, second = writer.put(b"1\n"), writer.put(b"2\n")
    writer.hasten()
    assert (first.done(), second.result()) == (True, True)
    assert sink.now == [[b"1\n", b"2\n"]]
    await asyncio.sleep(0)
    assert sink.later == []


async def test_what_nobody_hastens_is_one_write_of_the_turn(writer: Writer[bytes], sink: AtOnceSink) -> None:
    assert all(await asyncio.gather(writer.put(b"1\n"), writer.put(b"2\n")))
    assert (sink.now, sink.later) == ([[b"1\n", b"2\n"]], [])


async def test_what_cannot_be_at_once_is_written_later_once(writer: Writer[bytes], sink: AtOnceSink) -> None:
    sink.can = False
    written = writer.put(b"1\n")
    writer.hasten()
    assert not written.done()
    assert await written
    assert (sink.now, sink.later) == ([], [[b"1\n"]])


async def test_nothing_overtakes_a_write_that_is_under_way(writer: Writer[bytes], sink: AtOnceSink) -> None:
    sink.can = False
    sink.gate.clear()
    first = writer.put(b"1\n")
    await asyncio.sleep(0.01)
    sink.can = True
    second = writer.put(b"2\n")
    writer.hasten()
    assert not second.done()
    sink.gate.set()
    assert await first
    assert await second
    assert (sink.now, sink.later) == ([[b"2\n"]], [[b"1\n"]])


@pytest.mark.parametrize("failure", [SinkFailed("full"), RuntimeError("a defect")])
async def test_a_failure_at_once_is_told_and_the_next_line_is_tried(sink: AtOnceSink, failure: Exception) -> None:
    counts = Counts()
    writer = Writer(sink, "vault", "file/", counts, one)
    sink.failure = failure
    refused = writer.put(b"1\n")
    writer.hasten()
    assert refused.result() is False
    sink.failure = None
    assert await writer.put(b"2\n")
    assert (counts.lines, counts.failures, sink.now) == (1, 1, [[b"2\n"]])


# What is prompt.


@pytest.mark.parametrize(
    ("path", "local"),
    [
        ("/var/a.log", True),
        ("/far/a.log", False),
        ("/farther/a.log", True),
        ("/far/near/a.log", True),
        ("/with space/a.log", False),  # the later mount covers the one before it
    ],
)
def test_only_disks_of_the_machine_are_local(tmp_path: Path, path: str, local: bool) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(MOUNTS.lstrip())
    assert is_local(Path(path), mounts) is local


def test_what_cannot_be_found_out_is_not_local(tmp_path: Path) -> None:
    assert not is_local(tmp_path, tmp_path / "absent")


def test_after_a_slow_write_threads_write_for_longer_each_time(path: Path) -> None:
    now, waited = 0.0, 0
    found = Promptness(lambda: now, lambda: waited)
    assert not found.allows([LINE])  # nothing is open
    path.touch()
    with path.open("rb") as file:
        found.opened(path, file.fileno())
    assert found.allows([LINE])

    def slow(waits: int = 1) -> None:
        nonlocal now, waited
        begun = found.begin()
        now += SLOW * 1.01
        waited += waits
        found.end(begun)

    slow(0)  # for want of a processor
    assert found.allows([LINE])

    for seconds in (PAUSE, 2 * PAUSE, 4 * PAUSE):
        slow()
        now += seconds * 0.9
        assert not found.allows([LINE])
        now += seconds * 0.2
        assert found.allows([LINE])
    for _ in range(20):
        slow()  # in threads
    now += LONGEST * 0.9
    assert not found.allows([LINE])
    now += LONGEST * 1.2  # and none is slow any more
    assert found.allows([LINE])
    slow()
    now += PAUSE * 1.1
    assert found.allows([LINE])
    assert not found.allows([LINE] * (FEW + 1))
    assert not found.allows([b"x" * (SHORT + 1)])


async def test_what_is_no_file_of_a_disk_is_never_written_on_the_loop(path: Path) -> None:
    found = Promptness()
    reading, writing = os.pipe()
    try:
        found.opened(path, writing)
        assert not found.allows([LINE])
    finally:
        os.close(reading)
        os.close(writing)


# Files.


async def test_a_plain_file_takes_lines_at_once_once_it_is_open(path: Path, pool: ThreadPoolExecutor) -> None:
    file = FileSink(path, 0o600, pool, most=3 * len(LINE))
    assert not file.write_at_once([LINE])
    await file.write([LINE])
    assert file.write_at_once([LINE, LINE])
    with pytest.raises(SinkFailed, match="as large"):
        file.write_at_once([LINE])
    assert content(path) == LINE * 3
    remove(path)
    assert not file.write_at_once([LINE])
    await file.write([LINE])
    assert file.write_at_once([LINE])
    assert content(path) == LINE * 2
    await file.close()
    assert not file.write_at_once([LINE])


async def test_a_disk_that_is_slow_once_holds_the_loop_once(
    path: Path, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = FileSink(path, 0o600, pool)
    await file.write([LINE])
    with monkeypatch.context() as patched:
        patched.setattr(promptness, "SLOW", -1.0)
        patched.setattr(file._promptness, "_waits", count().__next__)
        assert file.write_at_once([LINE])
    assert not file.write_at_once([LINE])
    await file.close()


async def test_a_log_takes_lines_at_once_among_others_and_proves_them(
    path: Path, book: MemoryBook, pool: ThreadPoolExecutor
) -> None:
    file = proven(path, book, pool)
    assert not file.write_at_once([LINE])
    await file.write([LINE])
    for number in range(600):  # more than a checkpoint may be behind
        assert file.write_at_once([LINE])
        if number % 100 == 0:
            await file.write([LINE, LINE])
    await file.close()
    assert content(path).count(b'"type":"request"') == 613
    assert findings(path, book) == []


async def test_a_strict_log_takes_lines_at_once_which_are_done_once_they_are_on_the_disk(
    path: Path, book: MemoryBook, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is written while one sync is under way shares the next."""
    file = proven(path, book, pool, strict=True)
    await file.write([LINE])
    sync, sizes, gate = os.fdatasync, [], threading.Event()

    def synced(number: int) -> None:
        sizes.append(path.stat().st_size)
        gate.wait(10)
        sync(number)

    monkeypatch.setattr(os, "fdatasync", synced)
    first = [file.write_at_once([LINE]) for _ in range(3)]
    while not sizes:  # noqa: ASYNC110 - a thread tells it
        await asyncio.sleep(0.001)
    then = [file.write_at_once([LINE]) for _ in range(4)]
    await asyncio.sleep(0.01)
    outcomes = [each for each in (*first, *then) if not isinstance(each, bool)]
    assert [each.done() for each in outcomes] == [False] * 7
    gate.set()
    assert await asyncio.gather(*outcomes) == [None] * 7
    assert len(sizes) == 2
    assert content(path).count(b'"type":"request"') == 8
    monkeypatch.undo()
    await file.close()
    assert findings(path, book) == []


async def test_a_strict_log_whose_disk_fails_says_so_of_all_that_waits_and_goes_on(
    path: Path, book: MemoryBook, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, counts = proven(path, book, pool, strict=True), Counts()
    writer = Writer(file, "vault", "file/", counts, one)
    assert await writer.put(LINE)

    def failing(_: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fdatasync", failing)
        outcomes = []
        for _ in range(3):
            outcomes.append(writer.put(LINE))
            writer.hasten()
        assert not any(await asyncio.gather(*outcomes))
    assert await writer.put(LINE)
    await writer.close()
    assert (counts.lines, counts.failures) == (2, 3)
    assert findings(path, book) == []


async def test_a_disk_that_hangs_behind_lines_that_were_taken_costs_its_patience_once(
    path: Path, book: MemoryBook, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "PATIENCE", 0.05)
    file = proven(path, book, pool, strict=True)
    await file.write([LINE])
    writer = Writer(file, "vault", "file/", Counts(), one)
    gate, sync = threading.Event(), os.fdatasync
    with monkeypatch.context() as patched:
        patched.setattr(os, "fdatasync", lambda number: (gate.wait(10), sync(number))[1])
        hanging = writer.put(LINE)
        writer.hasten()
        assert not await hanging
        refused = writer.put(LINE)
        assert refused.done()
        assert not refused.result()
        gate.set()
        while not await writer.put(LINE):  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0.01)
    await writer.close()
    assert findings(path, book) == []


async def test_the_loop_waits_for_no_other_process(path: Path, book: MemoryBook, pool: ThreadPoolExecutor) -> None:
    file = proven(path, book, pool)
    await file.write([LINE])
    other = AppendFile(path, None, make_folder=False)
    with other._writing():
        assert not file.write_at_once([LINE])
    assert file.write_at_once([LINE])
    with path.open("ab") as torn:
        torn.write(b'{"time":"t","ty')  # by one that was killed
    assert not file.write_at_once([LINE])
    await file.write([LINE])
    assert file.write_at_once([LINE])
    other.close()
    await file.close()
    assert content(path).count(b'"type":"request"') == 4
    assert [each for each in findings(path, book) if "torn" not in str(each).lower()] == []


async def test_what_is_written_in_part_at_once_is_cut_off(
    path: Path, book: MemoryBook, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = proven(path, book, pool)
    await file.write([LINE])
    write = os.write
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", lambda number, data: write(number, data[: len(data) // 2]))
        with pytest.raises(SinkFailed, match="room"):
            file.write_at_once([LINE])
    assert file.write_at_once([LINE])
    await file.close()
    assert content(path).count(b'"type":"request"') == 2
    assert findings(path, book) == []


async def test_a_log_whose_file_was_removed_is_left_to_a_wait(
    path: Path, book: MemoryBook, pool: ThreadPoolExecutor
) -> None:
    file = proven(path, book, pool)
    await file.write([LINE])
    remove(path)
    assert not file.write_at_once([LINE])
    await file.write([LINE])
    assert content(path).count(b'"type":"request"') == 1
    await file.close()


async def waiting(sink: ProvenFile) -> tuple[HeldDisk, list[asyncio.Future[SinkFailed | None]]]:
    """Have two lines wait for a disk that does nothing until it is told: one is being synced, and one comes next."""
    for _ in range(FEW + 2):
        await sink.write([LINE])
    held = HeldDisk()
    assert sink._open is not None
    sink._open.syncs._disk = held
    asked = []
    for _ in range(2):
        written = sink.write_at_once([LINE])
        assert isinstance(written, asyncio.Future)
        asked.append(written)
        await asyncio.sleep(0.01)
    assert asked[0] is not asked[1]
    return held, asked


async def release(held: HeldDisk, asked: list[asyncio.Future[SinkFailed | None]]) -> None:
    """Have the disk do what it was asked for, and find that both lines are there."""
    for number in range(2):  # each asks for the disk once
        while len(held.asked) <= number and not asked[1].done():  # noqa: ASYNC110 - a thread goes on meanwhile
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        if not asked[1].done():
            held.asked[number](None)
    assert await asyncio.gather(*asked) == [None, None]


async def test_lines_of_a_file_that_is_removed_while_they_wait_for_the_disk_are_there(
    path: Path, book: MemoryBook, pool: ThreadPoolExecutor
) -> None:
    """As where a log was moved away, and who moved it removes it: nothing that it was asked meanwhile is refused."""
    sink = proven(path, book, pool, strict=True)
    held, asked = await waiting(sink)
    remove(path)
    third = asyncio.create_task(sink.write([LINE]))
    async with asyncio.timeout(10):
        await release(held, asked)
        await third
    assert LINE.strip()[:-1] in content(path)
    await sink.close()


async def test_lines_of_a_log_that_is_anchored_elsewhere_reach_the_disk_before_it_is_let_go(
    path: Path, book: MemoryBook, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a rotation, where another process has begun the log anew: what waits for the disk is not refused."""
    sink = proven(path, book, pool, strict=True)
    held, asked = await waiting(sink)
    opened = sink._open
    assert opened is not None

    async def elsewhere(*_: object) -> bool:
        return False

    monkeypatch.setattr(book, "advance", elsewhere)
    sink._newest = (sink._writer.anchor(opened.log, opened.log.note(), 0, closed=False), None)
    anchoring = asyncio.create_task(sink._anchor())
    async with asyncio.timeout(10):
        await release(held, asked)
        await anchoring
    assert opened.file.closed
    monkeypatch.undo()
    await sink.write([LINE])
    await sink.close()
