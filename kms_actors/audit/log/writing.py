"""A log that is being written: gives lines their places, and signs checkpoints. No I/O."""

from __future__ import annotations

import secrets
from binascii import b2a_base64
from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Final, NamedTuple

from kms_actors.audit.log import lines
from kms_actors.audit.log.checkpoints import Checkpoint
from kms_actors.audit.log.lines import FINGERPRINT, NOTHING, Former, Torn
from kms_actors.audit.log.notes import Signer
from kms_actors.audit.log.tree import CompactRange, leaf_hash

#: Bytes of a log's id, which is hex in its lines.
_ID_BYTES: Final = 8
#: Returns the hash of a leaf, begun: cheaper than to begin it.
_begun: Final = sha256(b"\0").copy


def new_id() -> str:
    """Return an id that no other log has."""
    return secrets.token_hex(_ID_BYTES)


class State(NamedTuple):
    """What has to be known to write the next line of a log."""

    tree: CompactRange
    head: bytes  # base64 of the last line's leaf
    fingerprints: tuple[bytes, ...] = ()  # of the last lines, which no control line has named yet

    @property
    def lines(self) -> int:
        return self.tree.size


BLANK: Final = State(CompactRange(), NOTHING)


class Mark(NamedTuple):
    """What a log was at some time, for who may have to go back there."""

    tree: CompactRange
    head: bytes
    size: int
    since: list[bytes]
    unsigned: int
    folded: int


class Log:
    """One log, from `state` on. `prefix` begins each of its own lines, as the device begins all others."""

    def __init__(self, log_id: str, signer: Signer, state: State = BLANK, prefix: bytes = b"") -> None:
        self.id: Final = log_id
        self.signer: Final = signer
        self._encoded_id = log_id.encode()
        self._prefix = prefix
        self._tree, self._head, self._size = state.tree, state.head, state.lines  # the tree is never changed in place
        #: Leaves, or what they are named by, of lines since the last control line, itself included; and how many of
        #: these the tree has. The rest is added where somebody wants to see it.
        self._since = list(state.fingerprints)
        self._folded = len(self._since)

    @property
    def size(self) -> int:
        """How many lines the log has."""
        return self._size

    @property
    def unsigned(self) -> int:
        """How many lines no checkpoint holds, the last control line among them."""
        return len(self._since)

    @property
    def tree(self) -> CompactRange:
        """That of all lines; to be looked at only."""
        if self._folded < len(self._since):
            self._tree = self._tree.copy()
            self._tree.extend(self._since[self._folded :])
            self._folded = len(self._since)
        return self._tree

    @property
    def state(self) -> State:
        return State(self.tree.copy(), self._head, tuple(self._fingerprints()))

    @property
    def leaf(self) -> str:
        """The last line's leaf, in base64."""
        return self._head.decode()

    def add(self, line: bytes) -> bytes:
        """Return a device's line (a JSON object and a newline) as it is to be written."""
        return self.add_all((line,))[0] + b"\n"

    def add_all(self, written: Iterable[bytes]) -> list[bytes]:
        """As `add`, of many lines; those that are returned have no newline."""
        place, size, head, since = lines.before_index(self._encoded_id), self._size, self._head, self._since
        entries = []
        for line in written:
            entry = b'%b%b%d,"prev":"%b"}}' % (line[:-2], place, size, head)
            hashed = _begun()
            hashed.update(entry)
            leaf = hashed.digest()
            head = b2a_base64(leaf, newline=False)
            since.append(leaf)
            entries.append(entry)
            size += 1
        self._size, self._head = size, head
        return entries

    def checkpoint(self, cause: str, now: str, former: Sequence[Former] = (), torn: Sequence[Torn] = ()) -> bytes:
        """Return a control line with a signed checkpoint of all lines so far. `now` is told as in other lines."""
        tree = self.tree
        fingerprints = [] if cause in lines.OPENINGS else self._fingerprints()  # else they are told in another file
        said = lines.control_text(
            cause,
            since=self._size - len(fingerprints),
            fingerprints=fingerprints,
            roots=tree.roots,
            checkpoint=self.note(),
            former=former,
            torn=torn,
        )
        line = b'%b{"time":"%b","type":"checkpoint"}\n' % (self._prefix, now.encode())
        sign = self.signer.sign
        entry = lines.signed(line, self._encoded_id, self._size, self._head, text=said, sign=sign)
        leaf = leaf_hash(entry)
        self._since, self._folded = [leaf], 0
        self._head, self._size = b2a_base64(leaf, newline=False), self._size + 1
        return entry + b"\n"

    def note(self) -> str:
        """Return a signed checkpoint of all lines so far."""
        return Checkpoint(self.signer.verifier.name, self._size, self.tree.root()).sign(self.signer)

    def mark(self) -> Mark:
        """Return what `go_back` wants."""
        return Mark(self._tree, self._head, self._size, self._since, len(self._since), self._folded)

    def go_back(self, mark: Mark) -> None:
        """Forget what was added since then."""
        self._tree, self._head, self._size, self._since, unsigned, self._folded = mark
        del self._since[unsigned:]

    def _fingerprints(self) -> list[bytes]:
        return [leaf[:FINGERPRINT] for leaf in self._since]
