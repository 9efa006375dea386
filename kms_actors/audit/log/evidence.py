"""What is known of each line of one log, when some are not as they were.

A line's fingerprint is in the control line that follows it, signed; its leaf is in the line after it. So a line is
`good` if a signature or a good successor vouches for it, and else, where the control line that would tell is gone, if
its neighbours fit it and the next checkpoint's root is that of all lines.
"""

from __future__ import annotations

from binascii import a2b_base64, b2a_base64
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from kms_actors.audit.log import lines
from kms_actors.audit.log.checkpoints import Checkpoint
from kms_actors.audit.log.findings import Anchor
from kms_actors.audit.log.lines import FINGERPRINT, NOTHING, Former, Statement
from kms_actors.audit.log.notes import Verifier
from kms_actors.audit.log.verifying import Read


class Record(msgspec.Struct, frozen=True):
    """A line that says it is of the log; `place` counts the lines of all files."""

    place: int
    file: str
    number: int
    index: int
    prev: bytes  # base64
    head: bytes  # base64 of its leaf
    said: Statement | None
    control: bool  # says that it is a control line
    whole: bool  # it is one, and signed as a whole

    @property
    def fingerprint(self) -> bytes:
        return a2b_base64(self.head)[:FINGERPRINT]


def record(place: int, each: Read, verifier: Verifier) -> Record:
    """Return what is kept of a line that was parsed."""
    line = each.line
    assert line is not None
    said = None if line.control is None else lines.statement(line, verifier)
    whole = said is not None and lines.is_whole(each.entry, line, verifier)
    head = b2a_base64(line.leaf, newline=False)
    control = line.control is not None
    return Record(place, each.file, each.number, line.index, line.prev, head, said, control, whole)


class Evidence:
    """What the records of a log, and what is known of it from elsewhere, prove."""

    def __init__(
        self, records: Iterable[Record], elsewhere: Sequence[Anchor | Former], checkpoints: Iterable[Checkpoint]
    ) -> None:
        self.by_index: Final[dict[int, list[Record]]] = defaultdict(list)
        for each in records:
            self.by_index[each.index].append(each)
        self._fingerprints: dict[int, bytes] = {}
        self._heads: dict[int, bytes] = {}
        #: Lines for which two different ones are signed, or known elsewhere.
        self.doubled: set[int] = set()
        self.statements: dict[int, Statement] = {}
        self._roots: dict[int, bytes] = {}
        for checkpoint in checkpoints:
            self._tell_root(checkpoint)
        self._heed_signed()
        for known in elsewhere:
            self._tell_head(known.lines - 1, known.head.encode())
        self.good: dict[int, list[Record]] = {}  # copies of a line, if there are several
        self._trust_backwards()
        self._signed = frozenset(self.good)
        self._trust_neighbours()
        #: Lines of which one is not what the next checkpoint's root says, first and last.
        self.doubtful: list[tuple[int, int]] = []
        #: Lines that fit each other, and no checkpoint says more.
        self.unproven: list[tuple[int, int]] = []
        self._check_roots()

    @property
    def known(self) -> bool:
        """Whether anything vouches for this log at all."""
        return bool(self.statements or self._heads)

    @property
    def begin(self) -> int:
        """The first line that is known of."""
        return min((*self._fingerprints, *self.statements, *self.good), default=0)

    @property
    def end(self) -> int:
        """How many lines the log is known to have had."""
        return 1 + max((*self._fingerprints, *self._heads, *self.good), default=-1)

    def head(self, index: int) -> bytes | None:
        """Return the base64 of a line's leaf, if it is known."""
        if index < 0:
            return NOTHING
        good = self.good.get(index)
        return good[0].head if good else self._heads.get(index)

    def _heed_signed(self) -> None:
        for copies in self.by_index.values():
            for each in copies:
                said = each.said
                if said is None:
                    continue
                first = self.statements.setdefault(each.index, said)
                if first.tree != said.tree:
                    self.doubled.add(each.index)
                self._tell_root(said.checkpoint)
                for index, fingerprint in enumerate(said.fingerprints, said.since):
                    if self._fingerprints.setdefault(index, fingerprint) != fingerprint:
                        self.doubled.add(index)
                if each.whole:
                    self._tell_head(each.index - 1, each.prev)

    def _tell_root(self, checkpoint: Checkpoint) -> None:
        if self._roots.setdefault(checkpoint.size, checkpoint.root) != checkpoint.root:
            self.doubled.add(checkpoint.size - 1)

    def _tell_head(self, index: int, head: bytes) -> None:
        if index >= 0 and self._heads.setdefault(index, head) != head:
            self.doubled.add(index)

    def _trust_backwards(self) -> None:
        for index in sorted(self.by_index, reverse=True):
            copies = [each for each in self.by_index[index] if self._vouched(each)]
            if copies:
                self.good[index] = copies
                for each in copies:
                    if index:
                        self._heads.setdefault(index - 1, each.prev)

    def _vouched(self, each: Record) -> bool:
        return (
            each.whole
            or self._heads.get(each.index) == each.head
            or self._fingerprints.get(each.index) == each.fingerprint
        )

    def _untold(self, index: int) -> bool:
        return index not in self._fingerprints and index not in self._heads

    def _trust_neighbours(self) -> None:
        for index in sorted(self.by_index):
            if index in self.good or not self._untold(index):
                continue
            for each in self.by_index[index]:
                if not each.control and self._fits(each):
                    self.good[index] = [copy for copy in self.by_index[index] if copy.head == each.head]
                    break

    def _fits(self, each: Record) -> bool:
        """Tell whether a line is probably the true one: which of two that do not fit each other is not is a guess."""
        before, after = self.head(each.index - 1), self.by_index.get(each.index + 1, ())
        if before is not None and each.prev != before:
            return False
        if not after or any(self._follows(later, each) for later in after):
            return True
        return before is not None and not any(self._is_followed(later) for later in after)

    def _is_followed(self, each: Record) -> bool:
        return any(self._follows(later, each) for later in self.by_index.get(each.index + 1, ()))

    @staticmethod
    def _follows(later: Record, each: Record) -> bool:
        return later.prev == each.head

    def _check_roots(self) -> None:
        """Compare lines for which only their neighbours vouch with the next root that is signed."""
        guessed = sorted(self.good.keys() - self._signed)
        ends = sorted(self._roots)
        while guessed:
            end = next((size for size in ends if size > guessed[0]), None)
            region = [index for index in guessed if end is None or index < end]
            guessed = guessed[len(region) :]
            whole = None if end is None else self._has_root(region[0], end)
            if whole is None:
                self.unproven.append((region[0], region[-1]))
            elif not whole:
                self.doubtful.append((region[0], region[-1]))

    def _has_root(self, first: int, end: int) -> bool | None:
        """Tell whether the first `end` lines have the root that is signed; None where some are not known."""
        start = max((index for index in self.statements if index <= first), default=None)
        if start is None:
            return None
        tree = self.statements[start].tree.copy()
        for index in range(start, end):
            head = self.head(index)
            if head is None:
                return None
            tree.append(a2b_base64(head))
        return tree.root() == self._roots[end]
