"""Merkle trees over the lines of a log, hashed as RFC 6962 says (section 2.1), with SHA-256.

`CompactRange` is all that has to be kept to add leaves: the roots of the full subtrees on the left edge, one for each
bit of the size. `Tree` keeps all nodes, for proofs; it may begin where a compact range ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Final

from kms_actors.errors import InvalidRequest

HASH_LENGTH: Final = 32
#: The root of a tree without leaves.
EMPTY: Final = sha256(b"").digest()


def leaf_hash(entry: bytes) -> bytes:
    """Return the hash of an entry: MTH({d(0)}) of RFC 6962."""
    return sha256(b"\0" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of a node above two others."""
    return sha256(b"\1" + left + right).digest()


class CompactRange:
    """The left edge of a tree of `size` leaves: the roots of its full subtrees, from the largest."""

    __slots__ = ("_roots", "size")

    def __init__(self, size: int = 0, roots: Iterable[bytes] = ()) -> None:
        """Raise InvalidRequest where there are not as many roots as a tree of this size has."""
        self.size = size
        self._roots = list(roots)
        if size < 0 or len(self._roots) != size.bit_count() or any(len(root) != HASH_LENGTH for root in self._roots):
            raise InvalidRequest("a compact range has not the hashes of its size")

    @property
    def roots(self) -> tuple[bytes, ...]:
        return tuple(self._roots)

    def append(self, leaf: bytes) -> None:
        """Add a leaf's hash; each leaf costs one hash of a node in the mean."""
        size, roots = self.size, self._roots
        while size & 1:
            leaf = sha256(b"\1" + roots.pop() + leaf).digest()
            size >>= 1
        roots.append(leaf)
        self.size += 1

    def extend(self, leaves: Sequence[bytes]) -> None:
        """Add many, level by level: as `append` of each."""
        size, roots, nodes = self.size, self._roots, list(leaves)
        edge: list[bytes] = []  # from the smallest
        while nodes:
            if size & 1:
                nodes.insert(0, roots.pop())
            if len(nodes) & 1:
                edge.append(nodes.pop())
            nodes = [
                sha256(b"\1" + left + right).digest() for left, right in zip(nodes[::2], nodes[1::2], strict=True)
            ]
            size >>= 1
        roots += edge[::-1]
        self.size += len(leaves)

    def root(self) -> bytes:
        """Return the root hash of the tree."""
        if not self._roots:
            return EMPTY
        root = self._roots[-1]
        for left in reversed(self._roots[:-1]):
            root = node_hash(left, root)
        return root

    def copy(self) -> CompactRange:
        """Return another that grows by itself."""
        made = CompactRange.__new__(CompactRange)  # with each write: what is checked of others is true of this one
        made.size, made._roots = self.size, self._roots.copy()  # noqa: SLF001 - its own class
        return made

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CompactRange) and (self.size, self._roots) == (other.size, other._roots)

    __hash__ = None  # type: ignore[assignment]  # it changes


class Tree:
    """All nodes of a tree from leaf `begin` on, and what proofs need of those before it."""

    def __init__(self, start: CompactRange | None = None, leaves: Iterable[bytes] = ()) -> None:
        start = start or CompactRange()
        self.begin: Final = start.size
        self._levels: list[list[bytes]] = []
        self._firsts: list[int] = []  # the number of the first node that is kept of each level
        edge = list(start.roots)
        for level in range(start.size.bit_length()):
            held = start.size >> level & 1
            self._firsts.append((start.size >> level) - held)
            self._levels.append([edge.pop()] if held else [])
        self._size = start.size
        for leaf in leaves:
            self.append(leaf)

    @property
    def size(self) -> int:
        return self._size

    def append(self, leaf: bytes) -> None:
        """Add a leaf's hash."""
        place, level = self._size, 0
        self._size += 1
        while True:
            if level == len(self._levels):
                self._levels.append([])
                self._firsts.append(0)
            nodes = self._levels[level]
            nodes.append(leaf)
            if not place & 1:
                return
            leaf = node_hash(nodes[-2], leaf)
            place, level = place >> 1, level + 1

    def leaf(self, index: int) -> bytes:
        """Return a leaf's hash, from `begin` on."""
        return self._node(0, index)

    def node(self, level: int, number: int) -> bytes:
        """Return the hash of a full subtree of 2**level leaves. Raises InvalidRequest where it is not known."""
        return self._node(level, number)

    def root(self, size: int | None = None) -> bytes:
        """Return the root hash of the first `size` leaves, `begin` or more."""
        size = self._size if size is None else size
        self._check(size)
        return self._hash(0, size) if size else EMPTY

    def inclusion(self, index: int, size: int) -> list[bytes]:
        """Return the path of a leaf in the tree of `size` leaves, from its sibling up (RFC 6962, 2.1.1)."""
        self._check(size)
        if not self.begin <= index < size:
            raise InvalidRequest(f"there is no leaf {index} among {size}")
        return self._path(index, 0, size)

    def consistency(self, old: int, new: int) -> list[bytes]:
        """Return the proof that the tree of `new` leaves begins with that of `old` (RFC 6962, 2.1.2)."""
        self._check(old)
        self._check(new)
        if old > new:
            raise InvalidRequest("a tree is not consistent with a smaller one")
        return self._subproof(old, 0, new, whole=True) if 0 < old < new else []

    def _check(self, size: int) -> None:
        if not self.begin <= size <= self._size:
            raise InvalidRequest(f"a tree of {size} leaves is not within what is known, {self.begin} to {self._size}")

    def _node(self, level: int, number: int) -> bytes:
        place = number - self._firsts[level] if level < len(self._firsts) else -1
        if not 0 <= place < len(self._levels[level]):
            raise InvalidRequest("what comes before the first line that is known cannot be proven")
        return self._levels[level][place]

    def _hash(self, begin: int, end: int) -> bytes:
        """Return the hash of the leaves from `begin`, which a full subtree of at least that many begins at."""
        size = end - begin
        if size & size - 1 == 0:
            level = size.bit_length() - 1
            return self._node(level, begin >> level)
        middle = begin + _split(size)
        return node_hash(self._hash(begin, middle), self._hash(middle, end))

    def _path(self, index: int, begin: int, end: int) -> list[bytes]:
        if end - begin == 1:
            return []
        middle = begin + _split(end - begin)
        if index < middle:
            return [*self._path(index, begin, middle), self._hash(middle, end)]
        return [*self._path(index, middle, end), self._hash(begin, middle)]

    def _subproof(self, old: int, begin: int, end: int, *, whole: bool) -> list[bytes]:
        if old == end:
            return [] if whole else [self._hash(begin, end)]
        middle = begin + _split(end - begin)
        if old <= middle:
            return [*self._subproof(old, begin, middle, whole=whole), self._hash(middle, end)]
        return [*self._subproof(old, middle, end, whole=False), self._hash(begin, middle)]


def included(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes | None:
    """Return the root that a path leads to, or None where it is no path of that leaf (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size:
        return None
    last, root = size - 1, leaf
    for sibling in path:
        if last == 0:
            return None
        if index & 1 or index == last:
            root = node_hash(sibling, root)
            while not index & 1 and index:
                index, last = index >> 1, last >> 1
        else:
            root = node_hash(root, sibling)
        index, last = index >> 1, last >> 1
    return root if last == 0 else None


def consistent(old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """Tell whether the tree of `new` leaves begins with that of `old` (RFC 9162, 2.1.4.2)."""
    if not 0 <= old <= new:
        return False
    if old == new:
        return not proof and old_root == new_root
    if old == 0:
        return not proof and old_root == EMPTY
    if not proof:
        return False
    nodes = list(proof) if old & old - 1 else [old_root, *proof]
    place, last = old - 1, new - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    first = second = nodes[0]
    for node in nodes[1:]:
        if last == 0:
            return False
        if place & 1 or place == last:
            first, second = node_hash(node, first), node_hash(node, second)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            second = node_hash(second, node)
        place, last = place >> 1, last >> 1
    return last == 0 and first == old_root and second == new_root


def _split(size: int) -> int:
    """Return the largest power of two below `size`."""
    return 1 << (size - 1).bit_length() - 1
