"""Paths of rules, and which rule speaks for a path.

An exact rule wins. Of the others, first the one whose first `+` or final `*` comes later; then one without a final
`*`; then the one with fewer `+` segments; then the longer; then the one that sorts last. Source: Vault's page
"Policies", Priority matching; the reference, which counts bytes and takes the first `+` wherever it is.

What a look-up costs does not grow with the number of rules: prefixes are found by bisection, and segments by a walk
down a tree that has a branch for each segment and one for `+`.
"""

from __future__ import annotations

import enum
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping
from typing import Final, Generic, NamedTuple, TypeVar

#: What no path may hold.
FORBIDDEN: Final = "+*"

#: Below these are names that are one in capitals and without. Requests are compared by one spelling: so are rules.
ONE_SPELLING: Final = (
    "identity/entity/name/",
    "identity/group/name/",
    "sys/policies/acl/",
    "sys/policies/detailed/acl/",
    "sys/policy/",
)

T = TypeVar("T")
Priority = tuple[int, bool, int, int, bytes]


class Kind(enum.IntEnum):
    """How a rule's path is compared."""

    EXACT = 0
    PREFIX = 1  # `secret/*`
    SEGMENTS = 2  # `secret/+/app`, with or without a final `*`


class Place(NamedTuple):
    """What a rule's path means. `key` is the path, for a prefix without its `*`."""

    kind: Kind
    key: str


def place_of(path: str) -> Place:
    """Return the place of a rule's path, which has no leading slash."""
    for beginning in ONE_SPELLING:
        if path.startswith(beginning):
            path = beginning + path.removeprefix(beginning).lower()
    if path == "+" or "/+" in path or path.startswith("+/"):
        return Place(Kind.SEGMENTS, path)
    if path.endswith("*"):
        return Place(Kind.PREFIX, path[:-1])
    return Place(Kind.EXACT, path)


class Prefixes(Generic[T]):
    """Finds the longest of many prefixes that a path has."""

    __slots__ = ("_keys", "_outer", "_values")

    def __init__(self, entries: Mapping[str, T]) -> None:
        self._keys: Final = sorted(entries)
        self._values: Final = [entries[key] for key in self._keys]
        self._outer: Final = list(_outer(self._keys))

    def longest(self, path: str) -> T | None:
        """Return the value of the longest prefix of `path`.

        The last key that does not sort after the path either is a prefix of it, or lies below all that are.
        """
        keys, index = self._keys, bisect_right(self._keys, path) - 1
        while index >= 0:
            if path.startswith(keys[index]):
                return self._values[index]
            index = self._outer[index]
        return None

    def below(self, path: str) -> Iterator[T]:
        """Give the values of prefixes that begin with `path`."""
        return _below(self._keys, self._values, path)


class Sorted(Generic[T]):
    """Gives the values of keys that begin with a path."""

    __slots__ = ("_keys", "_values")

    def __init__(self, entries: Mapping[str, T]) -> None:
        self._keys: Final = sorted(entries)
        self._values: Final = [entries[key] for key in self._keys]

    def below(self, path: str) -> Iterator[T]:
        """Give the values of keys that begin with `path`."""
        return _below(self._keys, self._values, path)


def _below(keys: list[str], values: list[T], path: str) -> Iterator[T]:
    index = bisect_left(keys, path)
    while index < len(keys) and keys[index].startswith(path):
        yield values[index]
        index += 1


def _outer(keys: list[str]) -> Iterator[int]:
    """Give, for each of sorted keys, the index of the longest other key that is a prefix of it, or -1."""
    open_keys: list[int] = []
    for index, key in enumerate(keys):
        while open_keys and not key.startswith(keys[open_keys[-1]]):
            open_keys.pop()
        yield open_keys[-1] if open_keys else -1
        open_keys.append(index)


class _Branch(Generic[T]):
    """The rules whose first segments led here. `globs` are those that end in `*`, by what stands before it."""

    __slots__ = ("any", "by_name", "globs", "here", "prefixes")

    def __init__(self) -> None:
        self.by_name: dict[str, _Branch[T]] = {}
        self.any: _Branch[T] | None = None
        self.here: tuple[Priority, T] | None = None
        self.globs: dict[str, tuple[Priority, T]] | None = None
        self.prefixes: Prefixes[tuple[Priority, T]] | None = None

    def into(self, segment: str) -> _Branch[T]:
        if segment == "+":
            if self.any is None:
                self.any = _Branch()
            return self.any
        return self.by_name.setdefault(segment, _Branch())

    def longest(self, segment: str) -> tuple[Priority, T] | None:
        """Return the longest of the rules that end in `*` here and whose last segment `segment` begins with."""
        if self.globs is None:
            return None
        if self.prefixes is None:
            self.prefixes = Prefixes(self.globs)
        return self.prefixes.longest(segment)


class Segments(Generic[T]):
    """Finds the first in order of those rules with a `+` segment that a path fits."""

    __slots__ = ("_root",)

    def __init__(self) -> None:
        self._root: Final[_Branch[T]] = _Branch()

    def add(self, path: str, value: T) -> None:
        """Take in a rule; all are taken in before any is looked for."""
        glob = path.endswith("*")
        *segments, last = path.removesuffix("*").split("/")
        branch = self._root
        for segment in segments:
            branch = branch.into(segment)
        found = _priority(path), value
        if not glob:
            branch.into(last).here = found
            return
        if branch.globs is None:
            branch.globs = {}
        branch.globs[last] = found

    def first(self, path: str) -> tuple[Priority, T] | None:
        """Return the rule of the highest priority that `path` fits, and its priority."""
        parts = path.split("/")
        best: tuple[Priority, T] | None = None
        waiting: list[tuple[_Branch[T], int]] = [(self._root, 0)]
        while waiting:
            branch, depth = waiting.pop()
            if depth == len(parts):
                found = branch.here
            else:
                part = parts[depth]
                next_branch = branch.by_name.get(part)
                if next_branch is not None:
                    waiting.append((next_branch, depth + 1))
                if branch.any is not None:
                    waiting.append((branch.any, depth + 1))
                found = branch.longest(part)
            if found is not None and (best is None or found[0] > best[0]):
                best = found
        return best

    def reaching(self, path: str) -> Iterator[T]:
        """Give the rules that some path at or below `path` could fit."""
        parts = path.removesuffix("/").split("/")
        waiting: list[tuple[_Branch[T], int]] = [(self._root, 0)]
        while waiting:
            branch, depth = waiting.pop()
            inside = depth >= len(parts)
            if inside and branch.here is not None:
                yield branch.here[1]
            for tail, (_, value) in (branch.globs or {}).items():
                if inside or parts[depth].startswith(tail):
                    yield value
            if branch.any is not None:
                waiting.append((branch.any, depth + 1))
            if inside:
                waiting += ((inner, depth + 1) for inner in branch.by_name.values())
            elif parts[depth] in branch.by_name:
                waiting.append((branch.by_name[parts[depth]], depth + 1))


def _priority(path: str) -> Priority:
    """Return the priority of a path with a `+`."""
    raw = path.encode()
    before = raw.removesuffix(b"*")
    wildcards = sum(segment == b"+" for segment in before.split(b"/"))
    return raw.index(b"+"), raw == before, -wildcards, len(before), before


def prefix_priority(prefix: str) -> Priority:
    """Return the priority of a prefix among rules with a `+`."""
    raw = prefix.encode()
    return len(raw), False, 0, len(raw), raw
