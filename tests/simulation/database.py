"""A database in memory with the semantics of FoundationDB.

Every commit has a version of its own, and versions follow the time, about a million a second. A transaction reads at
one version, and is committed only if nothing that it has read was written since. Versions older than five seconds are
forgotten: reads at them fail (1007), and so do commits. It judges by the keys that were read, not by their values.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import deque
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from kms_actors.store.api import STAMP_LENGTH
from kms_actors.store.foundationdb.attempts import NOT_COMMITTED, TOO_OLD
from kms_actors.store.foundationdb.native import Failure
from kms_actors.store.writes import Add, Clear, ClearRange, Mutation, Set, SetVersionstamped, plus

#: Versions in a second, and for how many of them snapshots are kept.
VERSIONS: Final = 1_000_000
KEPT: Final = 5 * VERSIONS

#: Versions at which a key was written, in order, and what it was from then on.
_History = tuple[list[int], list[bytes | None]]


class Range(NamedTuple):
    """Keys with begin <= key < end."""

    begin: bytes
    end: bytes


class Read(NamedTuple):
    """What a transaction has read, and would have to read the same again."""

    keys: frozenset[bytes]
    ranges: tuple[Range, ...]


class Snapshot(NamedTuple):
    """What a transaction reads: a version, of one run of versions. `Database.move` begins another."""

    run: int
    version: int


class _Commit(NamedTuple):
    version: int
    keys: frozenset[bytes]
    ranges: tuple[Range, ...]


class Database:
    """`now` gives seconds. Reads and commits happen at once: what takes time is the network."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._begun = VERSIONS
        self.version = VERSIONS
        self._run = 0
        self._entries: dict[bytes, _History] = {}
        self._keys: list[bytes] = []  # of them, in order
        self._commits: deque[_Commit] = deque()
        self.listeners: list[tuple[object, Callable[[set[bytes]], None]]] = []
        self.committed = 0

    def jump(self, versions: int) -> None:
        """Let versions go on by so many at once, as after a recovery: all transactions under way are too old."""
        self._begun += versions

    def move(self) -> None:
        """Go on as another cluster to which everything was copied: its versions are far lower."""
        self._run += 1
        self._begun = VERSIONS - int(self._now() * VERSIONS)
        self.version = VERSIONS
        self._commits.clear()
        self._entries = {key: ([0], [value]) for key, value in sorted(self.latest().items())}
        self._keys = list(self._entries)
        for _, listener in list(self.listeners):
            listener(set(self._entries))

    def read_version(self) -> int:
        """Return the version that a transaction reads at which begins now."""
        self.version = max(self.version, self._begun + int(self._now() * VERSIONS))
        return self.version

    def snapshot(self) -> Snapshot:
        """Return what a transaction reads that begins now."""
        return Snapshot(self._run, self.read_version())

    def get(self, key: bytes, at: Snapshot) -> bytes | None:
        """Return the value at `key` as of a snapshot; raises `Failure` 1007."""
        self._check(at)
        history = self._entries.get(key)
        return None if history is None else _at(history, at.version)

    def entries(self, begin: bytes, end: bytes, at: Snapshot, *, reverse: bool) -> Iterator[tuple[bytes, bytes]]:
        """Give the entries of a range as of a snapshot, in order; raises `Failure` 1007."""
        self._check(at)
        keys = self._between(begin, end)
        for key in reversed(keys) if reverse else keys:
            value = _at(self._entries[key], at.version)
            if value is not None:
                yield key, value

    def commit(self, at: Snapshot, read: Read, log: list[Mutation]) -> int:
        """Apply what a transaction wrote that read so much of a snapshot; raises `Failure`."""
        self._check(at)
        for commit in reversed(self._commits):
            if commit.version <= at.version:
                break
            if _meet(commit, read):
                raise Failure(NOT_COMMITTED)
        new = max(self.read_version(), self.version + 1)
        self.version = new
        self._apply(new, log)
        self.committed += 1
        return new

    def forget(self, owner: object) -> None:
        """Tell a process that has ended of no change any more."""
        self.listeners = [(whose, told) for whose, told in self.listeners if whose is not owner]

    def latest(self) -> dict[bytes, bytes]:
        """Return all there is."""
        values = ((key, history[1][-1]) for key, history in self._entries.items())
        return {key: value for key, value in values if value is not None}

    def _between(self, begin: bytes, end: bytes) -> list[bytes]:
        return self._keys[bisect_left(self._keys, begin) : bisect_left(self._keys, end)]

    def _check(self, at: Snapshot) -> None:
        if at.run != self._run or at.version < self.read_version() - KEPT:
            raise Failure(TOO_OLD)

    def _apply(self, version: int, log: list[Mutation]) -> None:
        keys: set[bytes] = set()
        ranges: list[Range] = []
        stamp = version.to_bytes(8, "big") + bytes(STAMP_LENGTH - 8)
        for mutation in log:
            match mutation:
                case Set(key, value):
                    self._write(version, key, value, keys)
                case Clear(key):
                    self._write(version, key, None, keys)
                case ClearRange(begin, end):
                    ranges.append(Range(begin, end))
                    for key in self._between(begin, end):
                        if self._entries[key][1][-1] is not None:
                            self._write(version, key, None, keys)
                case Add(key, delta):
                    history = self._entries.get(key)
                    self._write(version, key, plus(history[1][-1] if history else None, delta), keys)
                case SetVersionstamped(prefix, suffix, value):
                    self._write(version, prefix + stamp + suffix, value, keys)
        self._commits.append(_Commit(version, frozenset(keys), tuple(ranges)))
        while self._commits[0].version < version - KEPT:
            self._commits.popleft()
        for _, listener in list(self.listeners):
            listener(keys)

    def _write(self, version: int, key: bytes, value: bytes | None, keys: set[bytes]) -> None:
        keys.add(key)
        history = self._entries.get(key)
        if history is None:
            if value is not None:
                self._entries[key] = ([version], [value])
                insort(self._keys, key)
            return
        versions, values = history
        if versions[-1] == version:
            values[-1] = value
        else:
            versions.append(version)
            values.append(value)
        forgotten = bisect_right(versions, version - KEPT) - 1
        if forgotten > 0:
            del versions[:forgotten], values[:forgotten]


def _at(history: _History, version: int) -> bytes | None:
    versions, values = history
    place = bisect_right(versions, version) - 1
    return values[place] if place >= 0 else None


def _meet(commit: _Commit, read: Read) -> bool:
    keys, ranges = read
    if not commit.keys.isdisjoint(keys):
        return True
    if any(begin <= key < end for begin, end in commit.ranges for key in keys):
        return True
    for begin, end in ranges:
        if any(begin <= key < end for key in commit.keys):
            return True
        if any(cleared.begin < end and begin < cleared.end for cleared in commit.ranges):
            return True
    return False
