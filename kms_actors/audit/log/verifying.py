"""Logs verified as their files are read: line by line, each log by itself, with no more memory than its checkpoints.

What is not as it should be is only noticed here; `diagnosing` then says what was done to which line.
"""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from kms_actors.audit.log import lines
from kms_actors.audit.log.findings import Anchor, LogReport, Report, Trust
from kms_actors.audit.log.lines import FINGERPRINT, MOST_UNSIGNED, NOTHING, Former, Line, Statement, Torn
from kms_actors.audit.log.notes import Verifier
from kms_actors.audit.log.tree import CompactRange


class Read(NamedTuple):
    """A line as it stands in a file."""

    file: str
    number: int  # from 1
    entry: bytes  # without the newline
    line: Line | None
    complete: bool  # it ends in a newline


def read(files: Iterable[tuple[str, Iterable[bytes]]]) -> Iterator[Read]:
    """Return the lines of files, the oldest first.

    Half a line at the end of a file that another one follows is left out: a killed process leaves it, and nobody
    names it any more where the file was moved away before the next start. If it was a line, the next one of its log
    shows that.
    """
    half: Read | None = None
    for name, content in files:
        half = None
        for number, raw in enumerate(content, 1):
            complete = raw.endswith(b"\n")
            entry = raw[:-1] if complete else raw
            found = Read(name, number, entry, lines.parse(entry), complete)
            if complete or found.line is not None:
                yield found
            else:
                half = found
    if half is not None:
        yield half


class Follower:
    """One log, followed from the first of its lines that is there."""

    def __init__(self, verifier: Verifier) -> None:
        self.verifier: Final = verifier
        self.first = 0
        self.tree = CompactRange()
        self.head = NOTHING
        self.heads: dict[int, bytes] = {}  # of control lines, by the number of lines up to each
        self.statement: Statement | None = None  # the last one
        self.former: list[Former] = []
        self.torn: list[Torn] = []
        self.sound = True
        self.wanted: Collection[int] = ()  # further numbers of lines to keep heads of
        self._fingerprints: list[bytes] = []

    def take(self, entry: bytes, line: Line) -> None:
        """Go on with a line; once something is wrong, the log is not `sound` any more."""
        if self.sound:
            self.sound = self._follows(entry, line)

    def _follows(self, entry: bytes, line: Line) -> bool:
        said = None
        if line.control is not None:
            said = lines.statement(line, self.verifier)
            if said is None or not lines.is_whole(entry, line, self.verifier) or not self._takes(said, line):
                return False
        elif self.statement is None or len(self._fingerprints) > MOST_UNSIGNED:
            return False
        if line.index != self.tree.size or line.prev != self.head:
            return False
        if said is not None:
            self.statement, self._fingerprints = said, []
            self.former += said.former
            self.torn += said.torn
        self.tree.append(line.leaf)
        self.head = b2a_base64(line.leaf, newline=False)
        self._fingerprints.append(line.leaf[:FINGERPRINT])
        if said is not None or self.tree.size in self.wanted:
            self.heads[self.tree.size] = self.head
        return True

    def _takes(self, said: Statement, line: Line) -> bool:
        if self.statement is None:  # the first line that is there
            self.first, self.tree, self.head = line.index, said.tree.copy(), line.prev
            return said.cause == (lines.CONTINUE if line.index else lines.BEGIN)
        told = [] if said.cause in lines.OPENINGS else self._fingerprints
        return said.tree == self.tree and said.fingerprints == told

    def agrees_with(self, anchor: Anchor | Former) -> bool:
        """Tell whether the log has the line that an anchor tells; one before what is there cannot be told."""
        return anchor.lines <= self.first or self.heads.get(anchor.lines) == anchor.head.encode()

    def report(self) -> LogReport:
        said = self.statement
        closed = said is not None and said.cause in (lines.CLOSE, lines.ROTATE) and said.index + 1 == self.tree.size
        verifier, size = self.verifier, self.tree.size
        return LogReport(
            verifier.name.rpartition("/")[2],
            verifier.name,
            str(verifier),
            self.first,
            size,
            said.index if said else 0,
            closed,
        )


class Verified(NamedTuple):
    """What was seen in one pass; `strays` are lines of no log."""

    followers: dict[str, Follower]
    strays: list[Read]
    lines: int

    @property
    def torn(self) -> list[Torn]:
        return [each for follower in self.followers.values() for each in follower.torn]

    @property
    def former(self) -> list[Former]:
        return [each for follower in self.followers.values() for each in follower.former]

    def sound(self, told: Sequence[Anchor | Former]) -> set[str]:
        """Return the logs with which nothing is wrong, nor with what is told of them."""
        known = self.followers
        wrong = {each.log for each in told if each.log in known and not known[each.log].agrees_with(each)}
        return {log for log, follower in known.items() if follower.sound} - wrong


def follow(reads: Iterable[Read], trust: Trust, receipts: Sequence[Former] = ()) -> Verified:
    """Follow all logs of some files; the leaves of lines that receipts are of are kept, as those of control lines."""
    followers: dict[str, Follower] = {}
    strays: list[Read] = []
    count = 0
    for each in reads:
        count += 1
        if each.line is None or not each.complete:
            strays.append(each)
            continue
        follower = followers.get(each.line.log)
        if follower is None:
            follower = followers[each.line.log] = Follower(trust.verifier(each.line.log))
            follower.wanted = {receipt.lines for receipt in receipts if receipt.log == each.line.log}
        follower.take(each.entry, each.line)
    return Verified(followers, strays, count)


def is_sound(verified: Verified, anchors: Sequence[Anchor | Former]) -> bool:
    """Tell whether nothing is wrong with what was seen, and with what anchors tell of these logs."""
    followers, told = verified.followers, [*anchors, *verified.former]
    known = {*((each.length, each.sha256) for each in verified.torn)}
    return (
        bool(followers)
        and len(verified.sound(told)) == len(followers)
        and all(_is_torn(stray, known) for stray in verified.strays)
        and all(each.log in followers for each in anchors)
    )


def _is_torn(stray: Read, known: set[tuple[int, str]]) -> bool:
    torn = Torn.of(stray.entry)
    return (torn.length, torn.sha256) in known


def report_of(verified: Verified, anchors: Sequence[Anchor]) -> Report:
    """Return what was seen of each log; findings are for others to add."""
    reports = [follower.report() for follower in verified.followers.values()]
    told = {anchor.log: anchor.lines for anchor in anchors}
    for report in reports:
        report.anchored = told.get(report.log)
    return Report(reports, [], verified.lines)
