"""Syncs, by the system's own workers and by threads: each is told of its own, in order or not, and of what failed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from errno import EAGAIN, EBADF, EINVAL
from pathlib import Path
from typing import NamedTuple

import pytest

from kms_actors.actors.audit.appending import AppendFile, Uncertain
from kms_actors.actors.audit.group import Group
from kms_actors.actors.audit.sinks import disk
from kms_actors.actors.audit.sinks.disk import AnyDisk, Disk, Queue, ThreadedDisk


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as made:
        yield made


@pytest.fixture(params=["queue", "threads"])
async def synced_by(request: pytest.FixtureRequest, pool: ThreadPoolExecutor) -> Disk:
    if request.param == "threads":
        return ThreadedDisk(pool)
    try:
        return Queue()
    except OSError as error:
        pytest.skip(f"the system has no asynchronous I/O for us ({error})")


class Opened(NamedTuple):
    number: int


async def outcome(synced_by: Disk, file: int) -> OSError | None:
    told: asyncio.Future[OSError | None] = asyncio.get_running_loop().create_future()
    synced_by.sync(Opened(file), told.set_result)
    return await asyncio.wait_for(told, 10)


async def test_many_files_are_synced_at_once(synced_by: Disk, tmp_path: Path) -> None:
    files = [os.open(tmp_path / str(number), os.O_RDWR | os.O_CREAT) for number in range(20)]
    for file in files:
        os.write(file, b"x")
    assert await asyncio.gather(*(outcome(synced_by, file) for file in files)) == [None] * 20
    for file in files:
        os.close(file)
    synced_by.close()


async def test_what_fails_is_told(synced_by: Disk, tmp_path: Path) -> None:
    file = os.open(tmp_path / "x", os.O_RDWR | os.O_CREAT)
    os.close(file)
    failed = await outcome(synced_by, file)
    assert failed is not None
    assert failed.errno == EBADF
    reader, writer = os.pipe()
    failed = await outcome(synced_by, writer)  # which is no file of a disk
    assert failed is not None
    assert failed.errno == EINVAL
    failed = await outcome(synced_by, -1)
    assert failed is not None
    assert failed.errno == EBADF
    for each in (reader, writer):
        os.close(each)
    synced_by.close()


async def test_without_the_systems_workers_there_are_threads(
    pool: ThreadPoolExecutor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none() -> Queue:
        raise OSError(EAGAIN, "too many")

    monkeypatch.setattr(disk, "Queue", none)
    made = AnyDisk(pool)
    file = os.open(tmp_path / "x", os.O_RDWR | os.O_CREAT)
    assert await outcome(made, file) is None
    assert isinstance(made._disk, ThreadedDisk)
    os.close(file)
    made.close()


async def test_more_than_the_system_takes_wait(synced_by: Disk, tmp_path: Path) -> None:
    file = os.open(tmp_path / "x", os.O_RDWR | os.O_CREAT)
    assert await asyncio.gather(*(outcome(synced_by, file) for _ in range(3 * disk.MOST))) == [None] * (3 * disk.MOST)
    os.close(file)
    synced_by.close()


class HeldDisk:
    """Syncs when it is told to."""

    def __init__(self) -> None:
        self.asked: list[disk.Then] = []

    def sync(self, file: disk.Opened, then: disk.Then) -> None:
        self.asked.append(then)

    def close(self) -> None: ...


async def test_one_sync_is_under_way_and_what_waits_shares_the_next(tmp_path: Path) -> None:
    held, failed = HeldDisk(), list[AppendFile]()
    file = AppendFile(tmp_path / "x", None, make_folder=False)
    group = Group(file, held, failed.append)
    first = [group.sync(), group.sync()]
    await asyncio.sleep(0)
    then = [group.sync() for _ in range(3)]
    await asyncio.sleep(0.01)
    assert len(held.asked) == 1
    held.asked[0](None)
    assert await asyncio.gather(*first) == [None, None]
    await asyncio.sleep(0.01)
    assert [each.done() for each in then] == [False] * 3
    held.asked[1](OSError(5, "x"))
    assert [type(each) for each in await asyncio.gather(*then)] == [Uncertain] * 3
    assert failed == [file]
    await asyncio.sleep(0.01)
    assert len(held.asked) == 2


async def test_of_a_file_that_was_closed_nothing_is_known(tmp_path: Path) -> None:
    held = HeldDisk()
    file = AppendFile(tmp_path / "x", None, make_folder=False)
    group = Group(file, held, lambda _: None)
    waiting = group.sync()
    file.close()
    assert isinstance(await waiting, Uncertain)
    assert held.asked == []
