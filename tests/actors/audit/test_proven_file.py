"""What a device writes is proven: over restarts, crashes and rotations, by several processes, and when disks fail."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kms_actors.actors.audit.lag import MOST_LAG, MOST_UNSYNCED, Lag
from kms_actors.actors.audit.proven_file import ProvenFile, Settings
from kms_actors.audit.log import base64, proofs
from kms_actors.audit.log.anchors import StoredAnchor, Writer
from kms_actors.audit.log.findings import Kind, Report
from kms_actors.audit.log.notes import Verifier
from kms_actors.audit.log.tree import leaf_hash
from kms_actors.audit.log.verification import verify
from kms_actors.audit.log.writing import Log
from kms_actors.audit.sink import SinkFailed
from tests.support.audit_book import MemoryBook

Make = Callable[..., ProvenFile]


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as made:
        yield made


@pytest.fixture
def book() -> MemoryBook:
    return MemoryBook()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "audit.log"


@pytest.fixture
def make(path: Path, book: MemoryBook, pool: ThreadPoolExecutor) -> Make:
    def made(
        *, strict: bool = True, most: int | None = None, seconds: float = 60.0, prefix: bytes = b""
    ) -> ProvenFile:
        settings = Settings(path, 0o600, "node-1", strict, prefix=prefix, most=most, checkpoint_seconds=seconds)
        return ProvenFile(settings, book, pool)

    return made


def some(count: int, begin: int = 0) -> list[bytes]:
    return [b'{"time":"t","type":"request","number":%d}\n' % number for number in range(begin, begin + count)]


def report(book: MemoryBook, *paths: Path, anchored: bool = True) -> Report:
    def files() -> list[tuple[str, Sequence[bytes]]]:
        return [(path.name, path.read_bytes().splitlines(keepends=True)) for path in paths]

    return verify(files, book.trust, book.told if anchored else [])


def numbers(*paths: Path) -> list[int]:
    """Return the numbers of the device's lines, in order."""
    found = []
    for path in paths:
        for line in path.read_bytes().splitlines():
            _, mark, rest = line.partition(b'"number":')
            if mark:
                found.append(int(rest.partition(b",")[0]))
    return found


async def abandon(file: ProvenFile) -> None:
    """End as a process does that is killed: nothing more is written, and locks are gone."""
    if file._due is not None:
        file._due.cancel()
        file._due = None
    file._shut()


def content(path: Path) -> bytes:
    return path.read_bytes()


def put(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def keep(path: Path, count: int) -> None:
    """Cut off what comes after so many lines."""
    put(path, b"".join(content(path).splitlines(keepends=True)[:count]))


def move(path: Path, target: Path) -> None:
    path.rename(target)


def remove(path: Path) -> None:
    path.unlink()


def elsewhere(book: MemoryBook, log: str) -> StoredAnchor:
    """Return what another process would have anchored, had it gone on with the same log."""
    other = Log(log, book.signer(log), book.kept[log].state)
    other.add(some(1, 99)[0])
    note = other.note()
    other.checkpoint("interval", "t")
    return Writer("other", "node-1", "elsewhere").anchor(other, note, 0)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110  # what it looks at tells nobody
            await asyncio.sleep(0.005)


async def test_lines_are_placed_and_the_closed_log_is_sound(make: Make, book: MemoryBook, path: Path) -> None:
    file = make(prefix=b"@cee: ")
    receipts = await file.write_for([b"@cee: " + line for line in some(3)], {0, 2})
    await file.close()
    found = report(book, path)
    assert found.findings == []
    (log,) = found.logs
    assert log.closed
    assert log.lines == log.anchored == 6  # with begin, the receipts' checkpoint, and end
    assert all(line.startswith(b"@cee: {") for line in content(path).splitlines())
    leaves = [base64.encode(leaf_hash(line)) for line in content(path).splitlines()]
    written = content(path).splitlines()
    for place, receipt in receipts.items():
        assert (receipt.log, receipt.index, receipt.leaf) == (log.log, 1 + place, leaves[1 + place])
        verifier = Verifier.parse(receipt.key)
        assert proofs.parse(receipt.proof).check(written[1 + place], verifier).size == 4


async def test_receipts_are_of_lines_among_many_and_without_proofs_where_nothing_is_on_the_disk_yet(
    make: Make, book: MemoryBook, path: Path
) -> None:
    strict = make()
    receipts = await strict.write_for(some(1500), {0, 700, 1499})
    await strict.close()
    written = content(path).splitlines()
    for place, receipt in receipts.items():
        assert b'"number":%d,' % place in written[receipt.index]
        proofs.parse(receipt.proof).check(written[receipt.index], Verifier.parse(receipt.key))
    lagged = make(strict=False)
    (receipt,) = (await lagged.write_for(some(1), {0})).values()
    await lagged.close()
    assert receipt.proof == ""
    assert receipt.leaf == base64.encode(leaf_hash(content(path).splitlines()[receipt.index]))
    assert report(book, path).findings == []


async def test_a_log_goes_on_after_a_restart(make: Make, book: MemoryBook, path: Path) -> None:
    for turn in range(4):
        file = make()
        await file.write(some(2, 2 * turn))
        await file.close()
    found = report(book, path)
    assert found.findings == []
    assert len(found.logs) == 1
    assert numbers(path) == list(range(8))


async def test_a_log_goes_on_after_a_crash_and_what_had_no_checkpoint_gets_one(
    make: Make, book: MemoryBook, path: Path
) -> None:
    file = make()
    await file.write(some(5))
    await abandon(file)
    (unsigned,) = report(book, path).logs
    assert (unsigned.signed, unsigned.lines) == (0, 6)
    file = make()
    await file.write(some(1, 5))
    await file.close()
    found = report(book, path)
    assert found.findings == []
    assert len(found.logs) == 1
    assert numbers(path) == list(range(6))


@pytest.mark.parametrize("left", [b'{"time":"t","ty', b"x", b'{"half":1}'])
async def test_a_line_that_a_crash_tore_is_told_and_nothing_is_written_behind_it(
    make: Make, book: MemoryBook, path: Path, left: bytes
) -> None:
    file = make()
    await file.write(some(2))
    await abandon(file)
    with path.open("ab") as end:
        end.write(left)
    assert [each.kind for each in report(book, path).findings] == [Kind.CUT]
    file = make()
    await file.write(some(2, 2))
    await file.close()
    assert report(book, path).findings == []
    assert content(path).splitlines()[3] == left
    put(path, content(path).replace(left + b"\n", left + b".\n"))
    assert [each.kind for each in report(book, path).findings] == [Kind.ADDED]


async def test_what_a_crash_tore_is_told_with_the_first_line_after_it(
    make: Make, book: MemoryBook, path: Path
) -> None:
    """Told with a later one, it would be told by nobody where that process is killed, too."""
    file = make()
    await file.write(some(2))
    await abandon(file)
    for left in (b'{"time":"t","ty', b'{"time":"u",\n{"time":"u","type":"check', b'{"half":1}'):
        with path.open("ab") as end:
            end.write(left)
        file = make()
        await file.write(some(1, 2))
        await abandon(file)
        assert report(book, path).findings == []


async def test_half_a_line_at_the_end_of_a_file_that_was_moved_away_is_no_finding(
    make: Make, book: MemoryBook, path: Path
) -> None:
    """Nobody opens that file any more. What was a line is missed by the next one of its log, or by its anchor."""
    file, old = make(), path.with_suffix(".1")
    await file.write(some(2))
    await abandon(file)
    with path.open("ab") as end:
        end.write(b'{"time":"t","ty')
    move(path, old)
    file = make()
    await file.write(some(2, 2))
    await file.close()
    assert report(book, old, path).findings == []
    assert [each.kind for each in report(book, path, old).findings if each.file == old.name] == [Kind.CUT]


async def test_a_line_that_lacks_its_newline_alone_is_a_line(make: Make, book: MemoryBook, path: Path) -> None:
    file = make()
    await file.write(some(2))
    await abandon(file)
    put(path, content(path)[:-1])
    file = make()
    await file.write(some(1, 2))
    await file.close()
    assert report(book, path).findings == []
    assert numbers(path) == [0, 1, 2]


async def test_a_file_that_was_moved_away_is_continued_in_a_new_one(make: Make, book: MemoryBook, path: Path) -> None:
    file, old = make(), path.with_suffix(".1")
    await file.write(some(3))
    move(path, old)
    await file.write(some(1, 3))
    await file.reopen()
    await file.write(some(2, 4))
    await file.reopen()  # nothing was moved
    await file.close()
    assert numbers(old) == [0, 1, 2, 3]
    assert numbers(path) == [4, 5]
    assert report(book, old, path).findings == []
    (later,) = report(book, path).logs
    assert later.first == 6  # with begin and end
    assert report(book, path).findings == []
    kinds = {each.kind for each in report(book, old).findings}
    assert kinds == {Kind.CUT}  # by the anchor: there is more


async def test_a_file_that_was_moved_away_while_nobody_wrote_is_continued(
    make: Make, book: MemoryBook, path: Path
) -> None:
    file, old = make(), path.with_suffix(".1")
    await file.write(some(3))
    await file.close()
    move(path, old)
    file = make()
    await file.write(some(3, 3))
    await file.close()
    found = report(book, old, path)
    assert found.findings == []
    assert len(found.logs) == 1


async def test_a_crash_before_the_file_is_moved_away_begins_another_log_which_names_the_first(
    make: Make, book: MemoryBook, path: Path
) -> None:
    file, old = make(seconds=0.01), path.with_suffix(".1")
    await file.write(some(3))
    await until(lambda: any(anchor.lines == 5 for anchor in book.kept.values()))
    await file.write(some(1, 3))
    await abandon(file)
    move(path, old)
    file = make()
    await file.write(some(1, 4))
    await file.close()
    assert report(book, old, path).findings == []
    assert len(report(book, old, path).logs) == 2
    keep(old, 3)
    for anchored in (True, False):
        found = report(book, old, path, anchored=anchored).findings
        assert [(each.first, each.last) for each in found if each.kind is Kind.CUT] == [(3, 4)]
        assert {each.kind for each in found} == {Kind.CUT, Kind.UNPROVEN}


async def test_an_end_that_was_cut_off_before_a_restart_stays_known(make: Make, book: MemoryBook, path: Path) -> None:
    file = make()
    await file.write(some(5))
    await file.close()
    keep(path, 4)
    file = make()
    await file.write(some(1, 5))
    await file.close()
    found = report(book, path).findings
    assert [(each.kind, each.first, each.last) for each in found if each.kind is Kind.CUT] == [(Kind.CUT, 4, 6)]
    assert len(report(book, path).logs) == 2


async def test_several_processes_write_to_one_file_and_take_over_from_each_other(
    make: Make, book: MemoryBook, path: Path
) -> None:
    for turn in range(3):
        files = [make() for _ in range(3)]
        for number in range(4):
            await asyncio.gather(*(file.write(some(2, number)) for file in files))
        for file in files[:-1]:
            await file.close()
        if turn == 1:
            await abandon(files[-1])
        else:
            await files[-1].close()
    found = report(book, path)
    assert found.findings == []
    assert len(found.logs) == 3
    assert len(numbers(path)) == 72


@pytest.mark.parametrize("strict", [True, False])
async def test_lines_are_held_by_a_checkpoint_and_an_anchor_soon(
    make: Make, book: MemoryBook, path: Path, *, strict: bool
) -> None:
    file = make(strict=strict, seconds=0.05)
    await file.write(some(1))
    await until(lambda: [anchor.lines for anchor in book.kept.values()] == [3])
    await asyncio.sleep(0.2)
    assert [anchor.lines for anchor in book.kept.values()] == [3]  # nothing more, while there is nothing more to hold
    assert report(book, path).logs[0].signed == 2
    await file.close()


async def test_many_lines_at_once_have_checkpoints_among_them(make: Make, book: MemoryBook, path: Path) -> None:
    file = make()
    await file.write(some(2000))
    await abandon(file)
    found = report(book, path)
    assert found.findings == []
    assert found.logs[0].signed > 1500
    assert numbers(path) == list(range(2000))


async def test_while_the_store_is_away_lines_are_written_and_anchored_later(
    make: Make, book: MemoryBook, path: Path
) -> None:
    file = make(seconds=0.02)
    await file.write(some(1))
    await until(lambda: [anchor.lines for anchor in book.kept.values()] == [3])
    book.down = True
    await file.write(some(1, 1))
    await asyncio.sleep(0.1)
    book.down = False
    assert [anchor.lines for anchor in book.kept.values()] == [3]
    await file.write(some(1, 2))
    await until(lambda: [anchor.lines for anchor in book.kept.values()] == [7])
    await file.close()
    assert report(book, path).findings == []


async def test_without_the_store_no_log_begins(make: Make, book: MemoryBook, path: Path) -> None:
    book.down = True
    file = make()
    with pytest.raises(SinkFailed, match="anchors"):
        await file.write(some(1))
    book.down = False
    await file.write(some(1))
    await file.close()
    assert report(book, path).findings == []


async def test_an_anchor_that_is_another_ends_the_log_and_nothing_is_lost(
    make: Make, book: MemoryBook, path: Path
) -> None:
    file = make(seconds=0.02)
    await file.write(some(1))
    await until(lambda: len(book.kept) == 1)
    (log,) = book.kept
    await until(lambda: book.kept[log].lines == 3)
    book.kept[log] = elsewhere(book, log)
    await file.write(some(1, 1))
    await until(lambda: file._open is None)
    await file.write(some(1, 2))
    await file.close()
    assert numbers(path) == [0, 1, 2]
    assert len({each.log for each in report(book, path, anchored=False).logs}) == 2
    assert Kind.FORKED in {each.kind for each in report(book, path).findings}


async def test_a_full_file_fails_and_goes_on_once_it_was_moved_away(make: Make, book: MemoryBook, path: Path) -> None:
    file = make(most=4000)
    await file.write(some(1))
    with pytest.raises(SinkFailed, match="rotate"):
        await file.write(some(100, 1))
    assert numbers(path) == [0]
    await file.write(some(1, 1))
    move(path, path.with_suffix(".1"))
    await file.reopen()
    await file.write(some(1, 2))
    await file.close()
    assert report(book, path.with_suffix(".1"), path).findings == []


async def test_what_is_written_in_part_is_cut_off(
    make: Make, book: MemoryBook, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = make()
    await file.write(some(1))
    write = os.write

    def short(number: int, data: bytes) -> int:
        return write(number, data[: len(data) // 2])

    monkeypatch.setattr(os, "write", short)
    with pytest.raises(SinkFailed, match="room"):
        await file.write(some(3, 1))
    monkeypatch.setattr(os, "write", write)
    await file.write(some(2, 1))
    await file.close()
    assert numbers(path) == [0, 1, 2]
    assert report(book, path).findings == []


async def test_after_a_sync_that_failed_the_end_of_the_file_is_read_again(
    make: Make, book: MemoryBook, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = make()
    await file.write(some(1))

    def failing(_: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fdatasync", failing)
        with pytest.raises(SinkFailed):
            await file.write(some(1, 1))
    await file.write(some(1, 2))
    await file.close()
    assert numbers(path) == [0, 1, 2]
    assert report(book, path).findings == []


async def test_a_file_that_was_removed_is_made_anew_and_its_lines_are_missed(
    make: Make, book: MemoryBook, path: Path
) -> None:
    file = make()
    await file.write(some(1))
    remove(path)
    await file.write(some(1, 1))
    await file.close()
    found = report(book, path)
    assert numbers(path) == [1]
    assert found.logs[0].first > 0


async def test_without_its_folder_nothing_is_written(make: Make, path: Path) -> None:
    file = make()
    await file.write(some(1))
    move(path.parent, path.parent.with_name("moved"))
    with pytest.raises(SinkFailed):
        await file.reopen()
    await file.close()


def test_lagged_is_ahead_of_the_disk_by_so_many_bytes_and_seconds() -> None:
    now = 0.0
    lag = Lag(lambda: now)
    first = lag.written(MOST_UNSYNCED - 10)
    assert not lag.too_far(9)
    assert lag.too_far(10)
    now = 0.5
    second = lag.written(5)
    now = MOST_LAG
    assert lag.too_far(0)
    lag.synced(first)
    assert lag.too_far(0)  # that sync began at 0.0, and what came behind it may be as old
    lag.synced(second)
    now = 100.0
    assert not lag.too_far(10)  # there is nothing that waits
    lag.written(1)
    assert not lag.too_far(10)
    now = 100.0 + MOST_LAG
    assert lag.too_far(0)


async def test_lagged_waits_for_the_disk_where_that_is_behind(
    make: Make, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    sync = os.fdatasync

    def counted(number: int) -> None:
        synced.append(path.stat().st_size)
        sync(number)

    monkeypatch.setattr(os, "fdatasync", counted)
    file = make(strict=False)
    await file.write(some(1))
    await until(lambda: len(synced) == 1)  # before the first anchor
    written = 0
    while len(synced) == 1:
        await file.write([b'{"a":"%b"}\n' % (b"x" * 100_000)] * 4)
        written += 400_000
    assert MOST_UNSYNCED <= written + 10_000 < MOST_UNSYNCED + 500_000
    assert synced[1] >= written  # in that write, not after it
    await file.close()
