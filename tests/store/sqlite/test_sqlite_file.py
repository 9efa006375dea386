"""The SQLite engine's file: where and how it is made, and which files are refused."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import stat
from pathlib import Path

import pytest

from kms_actors.errors import FormatError, StoreUnavailable
from kms_actors.store.sqlite import file as sqlite_file
from kms_actors.store.sqlite.engine import SqliteStore
from tests.store.access import get, put
from tests.store.engines import Place
from tests.store.processes import write_until_killed
from tests.store.sqlite_files import locked, opened


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "kms.db"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def test_the_file_and_its_directory_are_private(tmp_path: Path) -> None:
    path = tmp_path / "new" / "kms.db"
    async with opened(path) as store:
        await put(store, (b"key", b"value"))
        assert mode(path.parent) == 0o700
        assert {file.name: mode(file) for file in path.parent.iterdir()} == {
            "kms.db": 0o600,
            "kms.db-wal": 0o600,
            "kms.db-shm": 0o600,
        }


async def test_closing_leaves_one_file(path: Path) -> None:
    async with opened(path) as store:
        await put(store, (b"key", b"value"))
        assert await get(store, b"key") == b"value"
    assert [file.name for file in path.parent.iterdir()] == ["kms.db"]


@pytest.mark.parametrize("name", ["a b?c#d%41.db", ":memory:", "file:x.db", "é.db"])
async def test_any_file_name_will_do(tmp_path: Path, name: str) -> None:
    async with opened(tmp_path / name) as store:
        await put(store, (b"key", b"value"))
    assert (tmp_path / name).stat().st_size > 0


async def test_a_relative_path_is_from_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    async with opened(Path("kms.db")) as store:
        await put(store, (b"key", b"value"))
    assert (tmp_path / "kms.db").exists()


def _foreign(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE theirs (secret)")


def _marked(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA application_id = 7")


UNUSABLE = {
    "is a directory": lambda path: path.mkdir(),
    "file is not a database": lambda path: path.write_bytes(b"canary" * 1000),
    "the database of another program": _foreign,
    "the database of another program ": _marked,
}


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def _damage(path: Path) -> None:
    """Overwrite all but the first page."""
    pages = path.read_bytes()
    path.write_bytes(pages[:4096].ljust(len(pages), b"\xff"))


@pytest.mark.parametrize("reason", UNUSABLE)
async def test_an_unusable_file_is_refused_in_one_line_and_left_as_it_is(path: Path, reason: str) -> None:
    UNUSABLE[reason](path)
    before = _content(path)
    with pytest.raises(StoreUnavailable) as raised:
        await SqliteStore.open(path)
    assert str(raised.value) == f"store path {path}: {reason.strip()}"
    assert before == _content(path)


async def test_a_directory_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    path = tmp_path / "file" / "sub" / "kms.db"
    with pytest.raises(StoreUnavailable, match="Not a directory") as raised:
        await SqliteStore.open(path)
    assert str(path) in str(raised.value)


async def test_a_file_of_a_newer_layout_is_refused(path: Path) -> None:
    async with opened(path):
        pass
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {sqlite_file.LAYOUT + 1}")
    with pytest.raises(FormatError, match="newer program"):
        await SqliteStore.open(path)


async def test_many_may_open_a_new_file_at_once(path: Path) -> None:
    stores = await asyncio.gather(*(SqliteStore.open(path) for _ in range(12)))
    await put(stores[0], (b"key", b"value"))
    assert [await get(store, b"key") for store in stores] == [b"value"] * 12
    await asyncio.gather(*(store.close() for store in stores))


async def test_opening_gives_up_on_a_locked_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_file, "LOCK_SECONDS", 0.05)
    with locked(path), pytest.raises(StoreUnavailable, match="database is locked"):
        await SqliteStore.open(path)


async def test_commits_are_synced_to_a_write_ahead_log(path: Path) -> None:
    async with opened(path) as store:
        for pragma, value in (("synchronous", 2), ("journal_mode", "wal")):
            assert store._writer._connection.execute(f"PRAGMA {pragma}").fetchone() == (value,)


async def test_a_killed_process_leaves_a_sound_file(tmp_path: Path) -> None:
    place = Place("sqlite", str(tmp_path / "kms.db"))
    await write_until_killed(place, first=0)
    with contextlib.closing(sqlite3.connect(place.location)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


async def test_a_damaged_file_is_named_so(path: Path) -> None:
    async with opened(path) as store:
        await put(store, *((b"%d" % number, bytes(1000)) for number in range(100)))
    _damage(path)
    async with opened(path) as store:
        with pytest.raises(FormatError, match="damaged"):
            await get(store, b"7")
