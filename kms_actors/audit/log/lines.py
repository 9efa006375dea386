"""The form of a log's lines: what a device wrote, and behind it where the line stands.

    {…,"proof":{"log":"9f86d081884c7d65","index":7,"prev":"…"}}

A line is an entry of the log, without its newline: its hash is a leaf. `prev` is the leaf of the line before, so each
line vouches for all before it. Control lines carry signed checkpoints of all lines before them, and six bytes of each
leaf since the last one, so that a change is told to the line. They are signed twice: what they state (`seal`), which
holds wherever it is found, and the whole line.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Final

import msgspec

from kms_actors.audit.log import base64, checkpoints
from kms_actors.audit.log.checkpoints import Checkpoint
from kms_actors.audit.log.notes import Verifier
from kms_actors.audit.log.tree import HASH_LENGTH, CompactRange, leaf_hash
from kms_actors.errors import InvalidRequest

#: Bytes of a leaf's hash that a control line names it by.
FINGERPRINT: Final = 6
#: What stands as `prev` in a log's first line.
NOTHING: Final = base64.encode(bytes(HASH_LENGTH)).encode()

# Why a control line was written.
BEGIN: Final = "begin"  # the log's first line
CONTINUE: Final = "continue"  # the log's first line in another file
RESUME: Final = "resume"  # another process goes on, in the same file
INTERVAL: Final = "interval"  # so many lines, or so much time
ROTATE: Final = "rotate"  # the last line in a file that was moved away
CLOSE: Final = "close"  # the device was closed
OPENINGS: Final = (BEGIN, CONTINUE)

_MARK: Final = b',"proof":{"log":"'
_PROOF: Final = re.compile(
    rb',"proof":\{"log":"([0-9a-f]{16})","index":(0|[1-9][0-9]{0,17}),"prev":"([A-Za-z0-9+/]{43}=)"'
    rb'(?:,"control":(\{.*\}),"signature":"([A-Za-z0-9+/]{86}==)")?\}\}'
)
_SEAL_MARK: Final = b',"seal":"'
_SIGNATURE_MARK: Final = b',"signature":"'
_SIGNATURE_LENGTH: Final = 64
#: Before what is signed; no note can begin so.
_OF_STATEMENT: Final = b"clever-kms audit statement\0"
_OF_LINE: Final = b"clever-kms audit line\0"

#: Lines of a log that may follow each other without a control line.
MOST_UNSIGNED: Final = 512


class Former(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A log that could not be gone on from: how many lines of it are known, and the last one's leaf."""

    log: str
    lines: int
    head: str  # base64


class Torn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a writer that failed left of a line, which is no line: its bytes and their SHA-256."""

    length: int
    sha256: str  # hex

    @classmethod
    def of(cls, fragment: bytes) -> Torn:
        return cls(len(fragment), sha256(fragment).hexdigest())


class Control(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a control line says."""

    cause: str
    since: int  # the line that `leaves` begins with
    leaves: str  # base64 of their fingerprints, up to the line before this one
    range: tuple[str, ...]  # base64; the compact range of all lines before this one
    former: tuple[Former, ...]
    torn: tuple[Torn, ...]
    checkpoint: str  # a signed note
    seal: str  # base64 of a signature

    def fingerprints(self) -> list[bytes]:
        """Return the fingerprints; raises InvalidRequest."""
        raw = base64.decode(self.leaves)
        return [raw[place : place + FINGERPRINT] for place in range(0, len(raw), FINGERPRINT)]

    def tree(self, size: int) -> CompactRange:
        """Return the compact range; raises InvalidRequest."""
        return CompactRange(size, (base64.decode(root, HASH_LENGTH) for root in self.range))


class Line(msgspec.Struct, frozen=True):
    """A line as it was read: what it says of its place, and its leaf."""

    log: str
    index: int
    prev: bytes  # base64, as it stands
    leaf: bytes
    control: bytes | None  # JSON, not looked at yet
    signature: bytes | None  # base64, of control lines


def parse(entry: bytes) -> Line | None:
    """Return what a line, without its newline, says of its place; None if it says nothing."""
    place = entry.rfind(_MARK)
    found = _PROOF.fullmatch(entry, place) if place >= 0 else None
    if found is None:
        return None
    log, index, prev, control, signature = found.groups()
    return Line(log.decode(), int(index), prev, leaf_hash(entry), control, signature)


def placed(line: bytes, log: bytes, index: int, prev: bytes, control: bytes = b"") -> bytes:
    """Return the entry for a line of a device, a JSON object and a newline."""
    return b'%b%b%d,"prev":"%b"%b}}' % (line[:-2], before_index(log), index, prev, control)


def before_index(log: bytes) -> bytes:
    """Return what stands before the number of each line of a log."""
    return b',"proof":{"log":"%b","index":' % log


class Statement(msgspec.Struct, frozen=True):
    """What a control line states, checked: it is signed, and all of it fits together."""

    index: int
    cause: str
    since: int
    fingerprints: list[bytes]
    tree: CompactRange
    checkpoint: Checkpoint
    note: str  # which the checkpoint is signed in
    former: tuple[Former, ...]
    torn: tuple[Torn, ...]


def statement(line: Line, verifier: Verifier) -> Statement | None:
    """Return what a control line states; None where it is not what the log's key signed."""
    text = line.control or b""
    try:
        control = msgspec.json.decode(text, type=Control)
        sealed = text[: text.rfind(_SEAL_MARK)]
        if text != sealed + _ending(_SEAL_MARK, control.seal.encode()) + b"}":
            return None
        seal = base64.decode(control.seal, _SIGNATURE_LENGTH)
        if not verifier.verify(sealed_part(line.log.encode(), line.index, sealed), seal):
            return None
        checkpoint = checkpoints.opened(control.checkpoint, verifier)
        tree, fingerprints = control.tree(line.index), control.fingerprints()
    except (InvalidRequest, msgspec.DecodeError, UnicodeDecodeError):
        return None
    if checkpoint != (verifier.name, line.index, tree.root()) or control.since + len(fingerprints) != line.index:
        return None
    return Statement(
        line.index,
        control.cause,
        control.since,
        fingerprints,
        tree,
        checkpoint,
        control.checkpoint,
        control.former,
        control.torn,
    )


def is_whole(entry: bytes, line: Line, verifier: Verifier) -> bool:
    """Tell whether all of a control line is as the log's key signed it."""
    try:
        signature = base64.decode((line.signature or b"").decode(), _SIGNATURE_LENGTH)
    except InvalidRequest:
        return False
    return verifier.verify(_OF_LINE + entry[: entry.rfind(_SIGNATURE_MARK)], signature)


def control_text(
    cause: str,
    *,
    since: int,
    fingerprints: Sequence[bytes],
    roots: Sequence[bytes],
    checkpoint: str,
    former: Sequence[Former] = (),
    torn: Sequence[Torn] = (),
) -> bytes:
    """Return what a control line states, up to its seal."""
    text = msgspec.json.encode(
        {
            "cause": cause,
            "since": since,
            "leaves": base64.encode(b"".join(fingerprints)),
            "range": [base64.encode(root) for root in roots],
            "former": former,
            "torn": torn,
            "checkpoint": checkpoint,
        }
    )
    return text[:-1]


def signed(line: bytes, log: bytes, index: int, prev: bytes, *, text: bytes, sign: Callable[[bytes], bytes]) -> bytes:
    """Return the entry of a control line that states `text`, signed."""
    seal = base64.encode(sign(sealed_part(log, index, text))).encode()
    control = b',"control":%b%b}' % (text, _ending(_SEAL_MARK, seal))
    entry = placed(line, log, index, prev, control)[:-2]
    return entry + _ending(_SIGNATURE_MARK, base64.encode(sign(_OF_LINE + entry)).encode()) + b"}}"


def sealed_part(log: bytes, index: int, text: bytes) -> bytes:
    """Return what is signed of a statement."""
    return b"%b%b\0%d\0%b" % (_OF_STATEMENT, log, index, text)


def _ending(mark: bytes, signature: bytes) -> bytes:
    return b'%b%b"' % (mark, signature)
