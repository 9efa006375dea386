"""Checkpoints (https://c2sp.org/tlog-checkpoint): a log's size and root hash, in a signed note."""

from __future__ import annotations

from typing import NamedTuple

from kms_actors.audit.log import base64, notes
from kms_actors.audit.log.notes import Signer, Verifier
from kms_actors.audit.log.tree import HASH_LENGTH
from kms_actors.errors import InvalidRequest


class Checkpoint(NamedTuple):
    """What a log was when somebody signed it."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """Return the text that is signed."""
        return f"{self.origin}\n{self.size}\n{base64.encode(self.root)}\n"

    def sign(self, signer: Signer) -> str:
        """Return the signed note."""
        return signer.note(self.text())


def parse(text: str) -> Checkpoint:
    """Return the checkpoint of a note's text, whatever lines follow it; raises InvalidRequest."""
    lines = text.split("\n")
    if len(lines) < 4 or lines.pop() or not all(lines):
        raise InvalidRequest("not a checkpoint")
    origin, size = lines[:2]
    if not (size.isascii() and size.isdecimal()) or len(size) > 19 or str(int(size)) != size:
        raise InvalidRequest("not a checkpoint: its size is no number")
    return Checkpoint(origin, int(size), base64.decode(lines[2], HASH_LENGTH))


def opened(note: str, verifier: Verifier) -> Checkpoint:
    """Return the checkpoint of a note that `verifier` signed, and whose origin is its name; raises InvalidRequest."""
    found = notes.parse(note)
    if not verifier.signed(found):
        raise InvalidRequest("a checkpoint is not signed by the log's key")
    checkpoint = parse(found.text)
    if checkpoint.origin != verifier.name:
        raise InvalidRequest("a checkpoint is of another log than its signature")
    return checkpoint
