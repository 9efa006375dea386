"""A log that is being written: gives lines their places, and signs checkpoints. No I/O."""

from __future__ import annotations

import secrets
from binascii import b2a_base64
from collections.abc import Sequence
from hashlib import sha256
from typing import Final, NamedTuple

from kms_actors.audit.log import lines
from kms_actors.audit.log.checkpoints import Checkpoint
from kms_actors.audit.log.lines import FINGERPRINT, NOTHING, Former, Torn
from kms_actors.audit.log.notes import Signer
from kms_actors.audit.log.tree import CompactRange

#: Bytes of a log's id, which is hex in its lines.
_ID_BYTES: Final = 8


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


class Log:
    """One log, from `state` on. `prefix` begins each of its own lines, as the device begins all others."""

    def __init__(self, log_id: str, signer: Signer, state: State = BLANK, prefix: bytes = b"") -> None:
        self.id: Final = log_id
        self.signer: Final = signer
        self._encoded_id = log_id.encode()
        self._prefix = prefix
        self._tree, self._head = state.tree.copy(), state.head
        self._fingerprints = list(state.fingerprints)  # of lines since the last control line, itself included

    @property
    def size(self) -> int:
        """How many lines the log has."""
        return self._tree.size

    @property
    def unsigned(self) -> int:
        """How many lines no checkpoint holds, the last control line among them."""
        return len(self._fingerprints)

    @property
    def state(self) -> State:
        return State(self._tree.copy(), self._head, tuple(self._fingerprints))

    @property
    def leaf(self) -> str:
        """The last line's leaf, in base64."""
        return self._head.decode()

    def add(self, line: bytes) -> bytes:
        """Return a device's line (a JSON object and a newline) as it is to be written."""
        return self._take(lines.placed(line, self._encoded_id, self._tree.size, self._head))

    def checkpoint(self, cause: str, now: str, former: Sequence[Former] = (), torn: Sequence[Torn] = ()) -> bytes:
        """Return a control line with a signed checkpoint of all lines so far. `now` is told as in other lines."""
        if cause in lines.OPENINGS:
            self._fingerprints = []  # what stands in another file is told there
        said = lines.control_text(
            cause,
            since=self._tree.size - len(self._fingerprints),
            fingerprints=self._fingerprints,
            roots=self._tree.roots,
            checkpoint=self.note(),
            former=former,
            torn=torn,
        )
        line = b'%b{"time":"%b","type":"checkpoint"}\n' % (self._prefix, now.encode())
        sign = self.signer.sign
        entry = lines.signed(line, self._encoded_id, self._tree.size, self._head, text=said, sign=sign)
        self._fingerprints = []
        return self._take(entry)

    def note(self) -> str:
        """Return a signed checkpoint of all lines so far."""
        return Checkpoint(self.signer.verifier.name, self._tree.size, self._tree.root()).sign(self.signer)

    def go_back(self, state: State) -> None:
        """Forget what was added since the log was in this state."""
        self._tree, self._head, self._fingerprints = state.tree.copy(), state.head, list(state.fingerprints)

    def _take(self, entry: bytes) -> bytes:
        leaf = sha256(b"\0" + entry).digest()
        self._tree.append(leaf)
        self._head = b2a_base64(leaf, newline=False)
        self._fingerprints.append(leaf[:FINGERPRINT])
        return entry + b"\n"
