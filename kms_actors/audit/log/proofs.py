"""Proofs in files (https://c2sp.org/tlog-proof): that an entry is in a log, to be verified offline."""

from __future__ import annotations

from typing import Final

import msgspec

from kms_actors.audit.log import base64, checkpoints
from kms_actors.audit.log.checkpoints import Checkpoint
from kms_actors.audit.log.notes import Verifier
from kms_actors.audit.log.tree import HASH_LENGTH, included, leaf_hash
from kms_actors.errors import InvalidRequest

_HEAD: Final = "c2sp.org/tlog-proof@v1"
_EXTRA: Final = "extra "
_INDEX: Final = "index "
_LONGEST_PATH: Final = 63


class Proof(msgspec.Struct, frozen=True):
    """Where an entry stands, the path to the root, and the signed checkpoint that has this root."""

    index: int
    path: tuple[bytes, ...]
    checkpoint: str  # a signed note

    def text(self) -> str:
        """Return the form of a file."""
        lines = [_HEAD, f"{_INDEX}{self.index}", *map(base64.encode, self.path), "", self.checkpoint]
        return "\n".join(lines)

    def check(self, entry: bytes, verifier: Verifier) -> Checkpoint:
        """Return the checkpoint of the log that holds `entry`; raises InvalidRequest where that is not proven."""
        checkpoint = checkpoints.opened(self.checkpoint, verifier)
        if included(leaf_hash(entry), self.index, checkpoint.size, self.path) != checkpoint.root:
            raise InvalidRequest("the proof does not lead from the line to the checkpoint")
        return checkpoint


def parse(text: str) -> Proof:
    """Return the proof of a file; raises InvalidRequest."""
    above, mark, checkpoint = text.partition("\n\n")
    lines = above.split("\n")
    if not mark or lines.pop(0) != _HEAD or not lines:
        raise InvalidRequest("not a proof of a log")
    if lines[0].startswith(_EXTRA):  # which proves nothing
        del lines[0]
    if not lines or len(lines) > _LONGEST_PATH + 1:
        raise InvalidRequest("not a proof of a log")
    number = lines.pop(0).removeprefix(_INDEX)
    if not (number.isascii() and number.isdecimal()) or len(number) > 19 or str(int(number)) != number:
        raise InvalidRequest("not a proof of a log: its index is no number")
    return Proof(int(number), tuple(base64.decode(line, HASH_LENGTH) for line in lines), checkpoint)
