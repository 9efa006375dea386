"""The database of the simulation has the semantics that the product's engine counts on."""

from __future__ import annotations

import pytest

from kms_actors.store.foundationdb.attempts import NOT_COMMITTED, TOO_OLD
from kms_actors.store.foundationdb.native import Failure
from kms_actors.store.writes import Add, Clear, ClearRange, Set, SetVersionstamped
from tests.simulation.database import VERSIONS, Database, Range, Read

NOTHING = Read(frozenset(), ())


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def database(clock: Clock) -> Database:
    return Database(clock)


def write(database: Database, key: bytes, value: bytes) -> int:
    return database.commit(database.read_version(), NOTHING, [Set(key, value)])


def test_a_snapshot_stays_as_it_was(database: Database) -> None:
    first = write(database, b"a", b"1")
    second = write(database, b"a", b"2")
    database.commit(second, NOTHING, [Clear(b"a")])
    assert [database.get(b"a", version) for version in (first - 1, first, second, second + 1)] == [
        None,
        b"1",
        b"2",
        None,
    ]
    assert list(database.entries(b"a", b"b", second, reverse=False)) == [(b"a", b"2")]


def test_a_key_that_was_read_and_written_since_is_a_conflict(database: Database) -> None:
    version = database.read_version()
    write(database, b"a", b"1")
    with pytest.raises(Failure) as caught:
        database.commit(version, Read(frozenset([b"a"]), ()), [Set(b"b", b"")])
    assert caught.value.code == NOT_COMMITTED
    database.commit(version, Read(frozenset([b"c"]), ()), [Set(b"b", b"")])


@pytest.mark.parametrize("log", [[Set(b"b", b"")], [ClearRange(b"", b"bb")], [Add(b"b", 1)]])
def test_a_range_that_was_read_and_written_since_is_a_conflict(database: Database, log: list[Set]) -> None:
    version = database.read_version()
    database.commit(version, NOTHING, list(log))
    with pytest.raises(Failure):
        database.commit(version, Read(frozenset(), (Range(b"b", b"c"),)), [Set(b"x", b"")])
    with pytest.raises(Failure):
        database.commit(version, Read(frozenset([b"b"]), ()), [Set(b"x", b"")])


def test_versions_are_kept_for_five_seconds(database: Database, clock: Clock) -> None:
    version = write(database, b"a", b"1")
    clock.now = 4.9
    assert database.get(b"a", version) == b"1"
    clock.now = 5.1
    with pytest.raises(Failure) as caught:
        database.get(b"a", version)
    assert caught.value.code == TOO_OLD


def test_a_jump_of_versions_ends_what_is_under_way(database: Database) -> None:
    version = database.read_version()
    database.jump(100 * VERSIONS)
    with pytest.raises(Failure):
        database.commit(version, NOTHING, [Set(b"a", b"")])
    assert database.read_version() >= version + 100 * VERSIONS


def test_versionstamps_are_those_of_commits(database: Database) -> None:
    version = database.commit(database.read_version(), NOTHING, [SetVersionstamped(b"p", b"s", b"v")])
    assert database.latest() == {b"p" + version.to_bytes(8, "big") + bytes(2) + b"s": b"v"}


def test_a_move_keeps_all_data_and_no_version(database: Database, clock: Clock) -> None:
    clock.now = 60.0
    before = write(database, b"a", b"1")
    write(database, b"gone", b"1")
    database.commit(database.read_version(), NOTHING, [Clear(b"gone")])
    database.move()
    assert database.read_version() < before
    assert database.latest() == {b"a": b"1"}
    clock.now = 200.0
    assert database.get(b"gone", database.read_version()) is None
