"""What is taken out of verified logs for others to verify: a line's proof, two checkpoints' consistency, tiles."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from kms_actors.audit.log import tiles
from kms_actors.audit.log.findings import Trust
from kms_actors.audit.log.proofs import Proof
from kms_actors.audit.log.tiles import WIDTH
from kms_actors.audit.log.tree import Tree
from kms_actors.audit.log.verifying import Follower, Read
from kms_actors.errors import InvalidRequest


class Proven:
    """One log, followed up to the first checkpoint of at least `size` lines; None: up to its last one.

    Raises InvalidRequest where it does not come so far, or something is wrong before.
    """

    def __init__(self, reads: Iterable[Read], trust: Trust, log: str, size: int | None = None) -> None:
        follower = Follower(trust.verifier(log))
        tree: Tree | None = None
        self.note = ""
        self.signed = 0
        for each in reads:
            if each.line is None or each.line.log != log:
                continue
            before = follower.tree
            follower.take(each.entry, each.line)
            if not follower.sound:
                raise InvalidRequest(f"line {before.size} of the log is not as it was: see `kms-cli audit verify`")
            said = follower.statement
            assert said is not None
            if tree is None:
                tree = Tree(said.tree)
            if each.line.control is not None:
                self.note, self.signed = said.note, said.index
                if size is not None and size <= self.signed:
                    break
            tree.append(each.line.leaf)
        if tree is None or not self.note:
            raise InvalidRequest("no line of this log is here")
        if size is not None and self.signed < size:
            raise InvalidRequest("no checkpoint holds this line yet: there is one a second after it at most")
        self.tree = tree

    def proof(self, index: int) -> Proof:
        """Return the proof that line `index` is in the log; raises InvalidRequest."""
        return Proof(index, tuple(self.tree.inclusion(index, self.signed)), self.note)


def tiled(entries: Iterable[bytes], proven: Proven) -> Iterator[tuple[str, bytes | None]]:
    """Return the files of a log, by their paths: None for a bundle that would hold an entry too long for one.

    `entries` are those of the log, from its first on.
    """
    if proven.tree.begin:
        raise InvalidRequest("tiles are made of a whole log: give all its files, the oldest first")
    for tile in tiles.tiles(proven.signed):
        yield tile.path, tiles.tile_content(proven.tree, tile)
    source = iter(entries)
    for tile in tiles.bundles(proven.signed):
        assert tile.width <= WIDTH
        yield tile.path, tiles.bundle_content([next(source) for _ in range(tile.width)])
    yield "checkpoint", proven.note.encode()
