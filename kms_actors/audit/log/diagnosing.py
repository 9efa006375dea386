"""What was done to logs: each line that was changed, removed, added or moved, forks, and ends that were cut off."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from kms_actors.audit.log import lines
from kms_actors.audit.log.evidence import Evidence, Record, record
from kms_actors.audit.log.findings import Anchor, Finding, Kind, Trust
from kms_actors.audit.log.lines import Former, Torn
from kms_actors.audit.log.verifying import Read, Verified
from kms_actors.errors import InvalidRequest


class _Stray(NamedTuple):
    """A line that is no line of any log; perhaps it was one."""

    place: int
    file: str
    number: int


_Somewhere = _Stray | Record


def diagnose(
    reads: Iterable[Read],
    verified: Verified,
    trust: Trust,
    anchors: Sequence[Anchor],
    receipts: Sequence[Former] = (),
) -> list[Finding]:
    """Return what was done, where something is wrong; raises InvalidRequest where nothing is of the trusted key."""
    records: dict[str, list[Record]] = defaultdict(list)
    strays: list[_Somewhere] = []
    torn = {(each.length, each.sha256) for each in verified.torn}
    told: list[Anchor | Former] = [*anchors, *receipts, *verified.former]
    sound = verified.sound(told)
    last: Read | None = None
    for place, each in enumerate(reads):
        last = each
        if each.line is not None and each.complete:
            if each.line.log not in sound:
                verifier = verified.followers[each.line.log].verifier
                records[each.line.log].append(record(place, each, verifier))
            continue
        fragment = Torn.of(each.entry)
        if (fragment.length, fragment.sha256) not in torn:
            strays.append(_Stray(place, each.file, each.number))
    findings: list[Finding] = []
    logs: list[_Diagnosis] = []
    named = {*records, *(each.log for each in anchors), *(each.log for each in receipts)}
    for log in named - sound:
        signed = [each.signed(trust) for each in anchors if each.log == log]
        evidence = Evidence(records[log], [each for each in told if each.log == log], signed)
        if evidence.known:
            logs.append(_Diagnosis(log, evidence))
        else:
            strays += records[log]
    if not logs and not sound:
        raise InvalidRequest("nothing here is signed by this key: is it the key of another vault, or node?")
    for diagnosis in logs:
        strays += diagnosis.sort_out()
    strays.sort(key=lambda stray: stray.place)
    for diagnosis in logs:
        findings += diagnosis.findings(strays)
    findings += _added(strays, last)
    return sorted(findings, key=lambda each: (each.file, each.line or 0, each.first or 0))


def _added(strays: Sequence[_Somewhere], last: Read | None) -> Iterator[Finding]:
    for stray in strays:
        if last is not None and not last.complete and (stray.file, stray.number) == (last.file, last.number):
            yield Finding(Kind.CUT, "the file ends within a line", file=stray.file, line=stray.number)
        else:
            text = "a line that is in no log"
            log, index = "", None
            if isinstance(stray, Record):
                index = stray.index
                text = f"a line that says it is line {index}, and is not"
            yield Finding(Kind.ADDED, text, log, index, index, stray.file, stray.number)


class _Diagnosis:
    """Of one log."""

    def __init__(self, log: str, evidence: Evidence) -> None:
        self._log: Final = log
        self.evidence: Final = evidence
        self._branches: list[list[Record]] = []
        self._changed: dict[int, Record] = {}
        self._copies: list[Record] = []
        self._moved: list[Record] = []

    def sort_out(self) -> list[Record]:
        """Find what the lines are that are not good; return those that are nothing of the log, as it seems."""
        self._sort_good()
        strays: list[Record] = []
        good = {each.place for copies in self.evidence.good.values() for each in copies}
        bad = sorted(
            (each for copies in self.evidence.by_index.values() for each in copies if each.place not in good),
            key=lambda each: (each.index, each.place),
        )
        for branch in self._chains(bad):
            if len(branch) > 1:
                self._branches.append(branch)
                continue
            (each,) = branch
            missing = each.index not in self.evidence.good and each.index not in self._changed
            if missing and each.index < self.evidence.end and self._stands_there(each):
                self._changed[each.index] = each
            else:
                strays.append(each)
        return strays

    def findings(self, strays: list[_Somewhere]) -> list[Finding]:
        """Return what was done to the log; lines of `strays` that were its own are taken out."""
        evidence = self.evidence
        found = [*self._forks()]
        forked = min((finding.first for finding in found if finding.first is not None), default=evidence.end)
        for first, last in evidence.doubtful:
            text = f"{_span(first, last)}, or one of them: the control line that would tell which is gone"
            found.append(self._finding(Kind.CHANGED, text, first, last, evidence.good[first][0]))
        changed = [each for each in self._changed.values() if each.index < forked]
        of_lines = (
            (Kind.CHANGED, "", changed),
            (Kind.ADDED, "a copy of ", self._copies),
            (Kind.MOVED, "", self._moved),
        )
        for kind, what, records in of_lines:
            found += (
                self._finding(kind, f"{what}line {each.index}", each.index, each.index, each) for each in records
            )
        found += self._missing(strays, forked)
        found += (
            self._finding(Kind.UNPROVEN, f"{_span(*region)}: no checkpoint tells what they were", *region, None)
            for region in evidence.unproven
            if found or region[1] - region[0] >= lines.MOST_UNSIGNED
        )
        found += self._beginning()
        return found

    def _sort_good(self) -> None:
        """Tell the lines that stand in order from copies and from those that were moved."""
        copies = sorted((each for good in self.evidence.good.values() for each in good), key=lambda each: each.place)
        in_order = _longest_increasing(copies)
        kept = {each.index for each in in_order}
        placed = {each.place for each in in_order}
        for each in copies:
            if each.place in placed:
                continue
            if each.index in kept:
                self._copies.append(each)
            else:
                kept.add(each.index)
                self._moved.append(each)

    @staticmethod
    def _chains(bad: Sequence[Record]) -> Iterator[list[Record]]:
        """Return lines that follow each other as lines of a log do."""
        after: dict[tuple[int, bytes], Record] = {(each.index, each.prev): each for each in reversed(bad)}
        taken: set[int] = set()
        for each in bad:
            chain: list[Record] = []
            link: Record | None = each
            while link is not None and link.place not in taken:
                taken.add(link.place)
                chain.append(link)
                link = after.get((link.index + 1, link.head))
            if chain:
                yield chain

    def _stands_there(self, each: Record) -> bool:
        """Tell whether a line stands between the neighbours of the line that it says it is."""
        before = self.evidence.good.get(each.index - 1)
        after = self.evidence.good.get(each.index + 1)
        return not (before and before[0].place > each.place) and not (after and after[-1].place < each.place)

    def _forks(self) -> Iterator[Finding]:
        if self.evidence.doubled:
            index = min(self.evidence.doubled)
            at = next(iter(self.evidence.by_index.get(index, ())), None)
            text = f"at line {index}: the key signed, or the store knows, another line there"
            yield self._finding(Kind.FORKED, text, index, index, at)
        for branch in self._branches:
            first, last = branch[0].index, branch[-1].index
            text = f"at line {first}: lines {first} to {last} go on from there in another way"
            yield self._finding(Kind.FORKED, text, first, last, branch[0])

    def _missing(self, strays: list[_Somewhere], forked: int) -> Iterator[Finding]:
        evidence = self.evidence
        there = {*evidence.good, *self._changed}
        missing = [index for index in range(evidence.begin, min(evidence.end, forked)) if index not in there]
        for first, last in list(_runs(missing)):
            begin = first
            for stray in self._between(strays, first, last):
                if begin > last:
                    break
                strays.remove(stray)
                yield self._finding(Kind.CHANGED, f"line {begin}", begin, begin, stray)
                begin += 1
            if begin > last:
                continue
            span = _span(begin, last)
            if last == evidence.end - 1:
                yield self._finding(Kind.CUT, f"{span}, the end", begin, last, None)
            else:
                yield self._finding(Kind.REMOVED, span, begin, last, None)

    def _between(self, strays: Sequence[_Somewhere], first: int, last: int) -> list[_Somewhere]:
        """Return the strays that stand where lines are missing."""
        good = self.evidence.good
        before = good[first - 1][0].place if first - 1 in good else -1
        after = good[last + 1][-1].place if last + 1 in good else None
        found = [each for each in strays if each.place > before and (after is None or each.place < after)]
        return found if after is not None or first - 1 in good else []

    def _beginning(self) -> Iterator[Finding]:
        evidence, begin = self.evidence, self.evidence.begin
        said = evidence.statements.get(begin)
        if begin == 0 or begin in self._changed or (said is not None and said.cause in lines.OPENINGS):
            return
        at = next(iter(evidence.good.get(begin, ())), None)
        yield self._finding(Kind.CUT, f"the lines before line {begin}", 0, begin - 1, at)

    def _finding(self, kind: Kind, text: str, first: int, last: int, at: _Somewhere | None) -> Finding:
        if at is None:
            return Finding(kind, text, self._log, first, last)
        return Finding(kind, text, self._log, first, last, at.file, at.number)


def _span(first: int, last: int) -> str:
    return f"line {first}" if first == last else f"lines {first} to {last}"


def _runs(indices: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Return first and last of each run of consecutive numbers."""
    if not indices:
        return
    first = indices[0]
    for one, other in pairwise(indices):
        if other != one + 1:
            yield first, one
            first = other
    yield first, indices[-1]


def _longest_increasing(records: Sequence[Record]) -> list[Record]:
    """Return as many as possible, in the order given, whose indices grow."""
    ends: list[int] = []  # the lowest index that a sequence of each length ends with
    last: list[int] = []  # and where that stands
    before: list[int] = []
    for place, each in enumerate(records):
        length = bisect_left(ends, each.index)
        before.append(last[length - 1] if length else -1)
        if length == len(ends):
            ends.append(each.index)
            last.append(place)
        else:
            ends[length], last[length] = each.index, place
    found: list[Record] = []
    place = last[-1] if last else -1
    while place >= 0:
        found.append(records[place])
        place = before[place]
    return found[::-1]
