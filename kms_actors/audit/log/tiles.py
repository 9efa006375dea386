"""A log as files (https://c2sp.org/tlog-tiles): hashes in tiles of 256, entries in bundles of as many."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from kms_actors.audit.log.tree import Tree

WIDTH: Final = 256
_HEIGHT: Final = 8
#: An entry has its length before it, in two bytes.
LONGEST_ENTRY: Final = (1 << 16) - 1

ENTRIES: Final = "entries"


class Tile(NamedTuple):
    """A tile of a level, or with the level `entries` a bundle; of `width` hashes or entries."""

    level: int | str
    number: int
    width: int

    @property
    def path(self) -> str:
        """Return where it is found below a log's prefix."""
        groups = [f"{self.number % 1000:03}"]
        rest = self.number // 1000
        while rest:
            groups.insert(0, f"x{rest % 1000:03}")
            rest //= 1000
        partial = "" if self.width == WIDTH else f".p/{self.width}"
        return f"tile/{self.level}/{'/'.join(groups)}{partial}"


def tiles(size: int) -> Iterator[Tile]:
    """Return all tiles of hashes of a tree of that size."""
    level = 0
    while size:
        yield from _row(level, size)
        level, size = level + 1, size // WIDTH


def bundles(size: int) -> Iterator[Tile]:
    """Return all bundles of entries of a tree of that size."""
    return _row(ENTRIES, size)


def tile_content(tree: Tree, tile: Tile) -> bytes:
    """Return the hashes of a tile; all of the tree has to be known."""
    assert isinstance(tile.level, int)
    begin = tile.number * WIDTH
    return b"".join(tree.node(tile.level * _HEIGHT, number) for number in range(begin, begin + tile.width))


def bundle_content(entries: Sequence[bytes]) -> bytes | None:
    """Return a bundle of entries; None where one is longer than a bundle can hold."""
    if any(len(entry) > LONGEST_ENTRY for entry in entries):
        return None
    return b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)


def _row(level: int | str, size: int) -> Iterator[Tile]:
    full, rest = divmod(size, WIDTH)
    for number in range(full):
        yield Tile(level, number, WIDTH)
    if rest:
        yield Tile(level, full, rest)
