"""The database of the simulation has the semantics that the product's engine counts on."""

from __future__ import annotations

import pytest

from kms_actors.store.foundationdb.attempts import NOT_COMMITTED, TOO_OLD
from kms_actors.store.foundationdb.native import Failure
from kms_actors.store.writes import Add, Clear, ClearRange, Set, SetVersionstamped
from tests.simulation.database import VERSIONS, Database, Range, Read, Snapshot

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


def write(database: Database, key: bytes, value: bytes) -> Snapshot:
    database.commit(database.snapshot(), NOTHING, [Set(key, value)])
    return database.snapshot()


def test_a_snapshot_stays_as_it_was(database: Database) -> None:
    before = database.snapshot()
    first = write(database, b"a", b"1")
    second = write(database, b"a", b"2")
    database.commit(second, NOTHING, [Clear(b"a")])
    moments = (before, first, second, database.snapshot())
    assert [database.get(b"a", moment) for moment in moments] == [None, b"1", b"2", None]
    assert list(database.entries(b"a", b"b", second, reverse=False)) == [(b"a", b"2")]


def test_a_key_that_was_read_and_written_since_is_a_conflict(database: Database) -> None:
    before = database.snapshot()
    write(database, b"a", b"1")
    with pytest.raises(Failure) as caught:
        database.commit(before, Read(frozenset([b"a"]), ()), [Set(b"b", b"")])
    assert caught.value.code == NOT_COMMITTED
    database.commit(before, Read(frozenset([b"c"]), ()), [Set(b"b", b"")])


@pytest.mark.parametrize("log", [[Set(b"b", b"")], [ClearRange(b"", b"bb")], [Add(b"b", 1)]])
def test_a_range_that_was_read_and_written_since_is_a_conflict(database: Database, log: list[Set]) -> None:
    before = database.snapshot()
    database.commit(before, NOTHING, list(log))
    with pytest.raises(Failure):
        database.commit(before, Read(frozenset(), (Range(b"b", b"c"),)), [Set(b"x", b"")])
    with pytest.raises(Failure):
        database.commit(before, Read(frozenset([b"b"]), ()), [Set(b"x", b"")])


def test_versions_are_kept_for_five_seconds(database: Database, clock: Clock) -> None:
    written = write(database, b"a", b"1")
    clock.now = 4.9
    assert database.get(b"a", written) == b"1"
    clock.now = 5.1
    with pytest.raises(Failure) as caught:
        database.get(b"a", written)
    assert caught.value.code == TOO_OLD


def test_a_jump_of_versions_ends_what_is_under_way(database: Database) -> None:
    before = database.snapshot()
    database.jump(100 * VERSIONS)
    with pytest.raises(Failure):
        database.commit(before, NOTHING, [Set(b"a", b"")])
    assert database.read_version() >= before.version + 100 * VERSIONS


def test_versionstamps_are_those_of_commits(database: Database) -> None:
    version = database.commit(database.snapshot(), NOTHING, [SetVersionstamped(b"p", b"s", b"v")])
    assert database.latest() == {b"p" + version.to_bytes(8, "big") + bytes(2) + b"s": b"v"}


def test_a_move_keeps_all_data_and_no_version(database: Database, clock: Clock) -> None:
    clock.now = 60.0
    before = write(database, b"a", b"1")
    write(database, b"gone", b"1")
    database.commit(database.snapshot(), NOTHING, [Clear(b"gone")])
    database.move()
    assert database.read_version() < before.version
    with pytest.raises(Failure):
        database.commit(before, NOTHING, [Set(b"a", b"2")])
    assert database.latest() == {b"a": b"1"}
    clock.now = 200.0
    assert database.get(b"gone", database.snapshot()) is None
