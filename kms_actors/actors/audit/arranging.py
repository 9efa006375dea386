"""What is written of a device's lines: each with its place in the log, checkpoints among them, and receipts."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from kms_actors.audit.log import base64, lines
from kms_actors.audit.log.lines import MOST_UNSIGNED
from kms_actors.audit.log.proofs import Proof
from kms_actors.audit.log.tree import Tree, leaf_hash
from kms_actors.audit.log.writing import BLANK, Log
from kms_actors.audit.receipts import Receipt


def arranged(
    log: Log, written: Sequence[bytes], wanted: Collection[int], now: Callable[[], str], *, signed: bool
) -> tuple[bytes, dict[int, Receipt]]:
    """Return the bytes to write, and receipts of the lines at places that are `wanted`, with proofs if `signed`."""
    entries: list[bytes] = []
    begin, rest = log.tree if wanted else BLANK.tree, written
    places: list[int] = []
    while rest:
        if log.unsigned >= MOST_UNSIGNED:
            entries.append(log.checkpoint(lines.INTERVAL, now())[:-1])
        part = rest[: MOST_UNSIGNED - log.unsigned]
        places += range(len(entries), len(entries) + len(part))
        entries += log.add_all(part)
        rest = rest[len(part) :]
    receipts: dict[int, Receipt] = {}
    if wanted:
        tree, note = Tree(begin, map(leaf_hash, entries)), ""
        if signed:
            note = log.note()
            entries.append(log.checkpoint(lines.INTERVAL, now())[:-1])
        receipts = {each: _receipt(log, tree, begin.size + places[each], note) for each in wanted}
    entries.append(b"")
    return b"\n".join(entries), receipts


def _receipt(log: Log, tree: Tree, index: int, note: str) -> Receipt:
    proof = Proof(index, tuple(tree.inclusion(index, tree.size)), note).text() if note else ""
    return Receipt(log.id, index, base64.encode(tree.leaf(index)), str(log.signer.verifier), proof)
