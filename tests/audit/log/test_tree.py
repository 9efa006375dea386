"""Trees and proofs, by the vectors of Certificate Transparency and by what holds of all trees."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kms_actors.audit.log.tree import EMPTY, CompactRange, Tree, consistent, included, leaf_hash
from kms_actors.errors import InvalidRequest

# Of github.com/transparency-dev/merkle, proof/verify_test.go.
ENTRIES = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
#: By index and size.
PATHS = {
    (0, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (5, 8): [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 3): ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"],
    (1, 5): [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
}
#: By sizes.
CONSISTENCY = {
    (1, 1): [],
    (1, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (6, 8): [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 5): [
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
    (6, 7): [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "b08693ec2e721597130641e8211e7eedccb4c26413963eee6c1e2ed16ffb1a5f",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
}
LEAVES = [leaf_hash(bytes.fromhex(entry)) for entry in ENTRIES]

sizes = st.integers(1, 300)


def tree_of(size: int) -> Tree:
    return Tree(None, (leaf_hash(b"%d" % number) for number in range(size)))


def test_published_roots() -> None:
    tree, edge = Tree(), CompactRange()
    assert tree.root().hex() == edge.root().hex() == EMPTY.hex()
    for leaf, root in zip(LEAVES, ROOTS, strict=True):
        tree.append(leaf)
        edge.append(leaf)
        assert tree.root().hex() == edge.root().hex() == root


@pytest.mark.parametrize(("place", "path"), PATHS.items())
def test_published_inclusion_proofs(place: tuple[int, int], path: list[str]) -> None:
    index, size = place
    made = Tree(None, LEAVES).inclusion(index, size)
    assert [node.hex() for node in made] == path
    root = included(LEAVES[index], index, size, made)
    assert root is not None
    assert root.hex() == ROOTS[size - 1]


@pytest.mark.parametrize(("place", "proof"), CONSISTENCY.items())
def test_published_consistency_proofs(place: tuple[int, int], proof: list[str]) -> None:
    old, new = place
    made = Tree(None, LEAVES).consistency(old, new)
    assert [node.hex() for node in made] == proof
    assert consistent(old, new, bytes.fromhex(ROOTS[old - 1]), bytes.fromhex(ROOTS[new - 1]), made)


@given(sizes, st.data())
def test_every_leaf_is_proven_and_nothing_else(size: int, data: st.DataObject) -> None:
    tree = tree_of(size)
    index = data.draw(st.integers(0, size - 1))
    path = tree.inclusion(index, size)
    root = tree.root(size)
    assert included(tree.leaf(index), index, size, path) == root
    assert included(leaf_hash(b"another"), index, size, path) != root
    other = data.draw(st.integers(0, size + 2).filter(lambda number: number != index))
    assert included(tree.leaf(index), other, size, path) != root
    assert included(tree.leaf(index), index, size, [*path, root]) != root
    if path:
        place = data.draw(st.integers(0, len(path) - 1))
        assert included(tree.leaf(index), index, size, path[:place] + path[place + 1 :]) != root
        assert included(tree.leaf(index), index, size, [*path[:place], EMPTY, *path[place + 1 :]]) != root


@given(sizes, st.data())
def test_every_older_tree_is_consistent_and_no_other(size: int, data: st.DataObject) -> None:
    tree = tree_of(size)
    old = data.draw(st.integers(0, size))
    proof = tree.consistency(old, size)
    assert consistent(old, size, tree.root(old), tree.root(), proof)
    assert not consistent(old, size, leaf_hash(b"another"), tree.root(), proof)
    if 0 < old < size:
        assert not consistent(old, size, tree.root(old), leaf_hash(b"another"), proof)
        assert not consistent(old, size, tree.root(old), tree.root(), [*proof, EMPTY])
        assert not consistent(old, size, tree.root(old), tree.root(), proof[:-1])
    assert not consistent(size + 1, size, tree.root(), tree.root(), [])


@given(st.integers(0, 200), st.integers(0, 200), st.data())
def test_a_tree_that_begins_at_an_edge_proves_what_follows(before: int, after: int, data: st.DataObject) -> None:
    whole = tree_of(before + after)
    edge = CompactRange()
    for number in range(before):
        edge.append(whole.leaf(number))
    part = Tree(CompactRange(edge.size, edge.roots), [whole.leaf(before + number) for number in range(after)])
    size = data.draw(st.integers(before, before + after))
    assert part.root(size) == whole.root(size)
    assert part.consistency(before, size) == whole.consistency(before, size)
    if size > before:
        index = data.draw(st.integers(before, size - 1))
        assert part.inclusion(index, size) == whole.inclusion(index, size)
    if before:
        with pytest.raises(InvalidRequest):
            part.inclusion(before - 1, before + after)


@pytest.mark.parametrize(("size", "roots"), [(1, []), (2, [EMPTY, EMPTY]), (1, [b"short"]), (-1, [EMPTY])])
def test_an_edge_with_hashes_of_another_size_is_refused(size: int, roots: list[bytes]) -> None:
    with pytest.raises(InvalidRequest):
        CompactRange(size, roots)


@given(st.integers(0, 40), st.lists(st.integers(0, 20), max_size=4))
def test_many_leaves_added_together_are_as_many_added_one_by_one(before: int, parts: list[int]) -> None:
    leaves = [leaf_hash(b"%d" % number) for number in range(before + sum(parts))]
    one, together = CompactRange(), CompactRange()
    for leaf in leaves[:before]:
        one.append(leaf)
        together.append(leaf)
    for part in parts:
        begin = one.size
        for leaf in leaves[begin : begin + part]:
            one.append(leaf)
        together.extend(leaves[begin : begin + part])
        assert (together.size, together.roots, together.root()) == (one.size, one.roots, one.root())
