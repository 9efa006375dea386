"""A cluster of FoundationDB that a test has had is the next one's, empty, unless it was harmed."""

from __future__ import annotations

from typing import cast

import pytest

from tests.support import fdb_cluster
from tests.support.fdb_cluster import FdbCluster, lent_cluster


class Cluster:
    """Counts what is done to it."""

    def __init__(self) -> None:
        self.harmed, self.cleared = False, 0

    def clear(self) -> None:
        self.cleared += 1

    def kill(self) -> None:
        self.harmed = True


@pytest.fixture(autouse=True)
def started(monkeypatch: pytest.MonkeyPatch) -> list[Cluster]:
    """Return all that were started."""
    found: list[Cluster] = []

    def start() -> FdbCluster:
        found.append(Cluster())
        return cast("FdbCluster", found[-1])

    monkeypatch.setattr(fdb_cluster, "_idle", [])
    monkeypatch.setattr(fdb_cluster, "_started", start)
    return found


def test_it_is_lent_again_when_it_was_emptied(started: list[Cluster]) -> None:
    for number in (1, 2):
        with lent_cluster():
            assert started[0].cleared == number - 1
    assert [each.cleared for each in started] == [2]


def test_two_at_a_time_are_two(started: list[Cluster]) -> None:
    with lent_cluster() as one, lent_cluster() as other:
        assert one is not other
    assert len(started) == 2


def test_one_that_was_harmed_is_not_lent_again(started: list[Cluster]) -> None:
    with lent_cluster() as cluster:
        cluster.kill()
    with lent_cluster():
        assert not started[1].harmed
    assert [each.cleared for each in started] == [0, 1]


def test_nor_is_one_whose_test_failed(started: list[Cluster]) -> None:
    with pytest.raises(ZeroDivisionError), lent_cluster():
        raise ZeroDivisionError
    assert started[0].harmed
    assert fdb_cluster._idle == []
