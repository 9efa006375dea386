"""What is kept of each log in the store, and which log a process goes on with when it opens a file.

Nobody who can write to the file alone can bring an anchor back, so it tells where a log must not end. It also holds
what another process needs to go on with a log in another file: the edge of its tree.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from kms_actors.audit.log import lines
from kms_actors.audit.log.findings import Anchor
from kms_actors.audit.log.lines import Former
from kms_actors.audit.log.recovering import Found
from kms_actors.audit.log.tree import CompactRange
from kms_actors.audit.log.writing import BLANK, Log, State

FORMAT: Final = 1
#: Logs that a new one names as ended.
MOST_FORMER: Final = 32


class StoredAnchor(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A log after one of its control lines: `lines` lines, the last of which has the leaf `head`.

    `owner` is the process that writes it, `node` and `file` are where. `closed`: that was this process's last line.
    """

    log: str
    lines: int
    head: str  # base64
    checkpoint: str  # a signed note, of all lines before the last
    roots: tuple[bytes, ...]  # the compact range of all lines
    owner: str
    node: str
    file: str
    time: int  # nanoseconds since 1970
    closed: bool = False
    format: int = FORMAT

    @property
    def state(self) -> State:
        """What is needed to write the next line in another file."""
        return State(CompactRange(self.lines, self.roots), self.head.encode())

    @property
    def told(self) -> Anchor:
        """What others are told of it."""
        return Anchor(self.log, self.lines, self.head, self.checkpoint)

    @property
    def former(self) -> Former:
        """What a new log says of it."""
        return Former(self.log, self.lines, self.head)


class Writer(NamedTuple):
    """Who writes logs: a process by a random name, on a node, to a file."""

    owner: str
    node: str
    file: str

    def anchor(self, log: Log, checkpoint: str, now: int, *, closed: bool = False) -> StoredAnchor:
        """Return the anchor of a log whose last line is the control line with this checkpoint."""
        return StoredAnchor(
            log=log.id,
            lines=log.size,
            head=log.leaf,
            checkpoint=checkpoint,
            roots=log.tree.roots,
            owner=self.owner,
            node=self.node,
            file=self.file,
            time=now,
            closed=closed,
        )


class Choice(NamedTuple):
    """A log to go on with, and why its first line is written; `former` are logs that nobody can go on with."""

    log: str | None  # None: a new one
    state: State
    cause: str
    before: StoredAnchor | None = None
    former: tuple[Former, ...] = ()


def choose(
    found: Mapping[str, Found], held: Collection[str], anchors: Sequence[StoredAnchor], writer: Writer
) -> Choice:
    """Return the log to go on with, of those `found` at the file's end that no process writes; `held` are the others.

    It must go on where its anchor says at least. One that is not in the file must have been closed, since what else
    it has is elsewhere. A new one tells where others ended, as far as that is known.
    """
    known = {anchor.log: anchor for anchor in anchors}
    usable = [log for log, at_end in found.items() if _goes_on(at_end, known.get(log))]
    if usable:
        log = max(usable, key=lambda each: found[each].state.lines)
        return Choice(log, found[log].state, lines.RESUME, known.get(log))
    here = [each for each in anchors if (each.node, each.file) == writer[1:] and each.log not in held]
    closed = [each for each in here if each.closed and each.log not in found]
    if closed:
        anchor = max(closed, key=lambda each: each.time)
        return Choice(anchor.log, anchor.state, lines.CONTINUE, anchor)
    latest = sorted(here, key=lambda each: each.time)[-MOST_FORMER:]
    return Choice(None, BLANK, lines.BEGIN, None, tuple(each.former for each in latest))


def _goes_on(found: Found, anchor: StoredAnchor | None) -> bool:
    if not found.sound:
        return False
    if anchor is None:
        return True
    if anchor.lines > found.state.lines:
        return False
    head = found.heads.get(anchor.lines)
    return anchor.lines < found.first if head is None else head == anchor.head
