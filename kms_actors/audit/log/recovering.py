"""The logs at the end of a file: how far each goes, for a process that goes on with one."""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from kms_actors.audit.log import lines
from kms_actors.audit.log.lines import FINGERPRINT, Line, Torn
from kms_actors.audit.log.notes import Verifier
from kms_actors.audit.log.tree import CompactRange
from kms_actors.audit.log.writing import State

#: Halves of lines that are named at once: each kill leaves one at most.
_MOST_NAMED: Final = 64


@dataclass
class Found:
    """A log from its first control line that was read."""

    first: int  # the number of that line
    tree: CompactRange
    head: bytes  # base64 of the last line's leaf
    fingerprints: list[bytes] = field(default_factory=list)
    heads: dict[int, str] = field(default_factory=dict)  # leaves of control lines, by the number of lines up to each
    sound: bool = True

    @property
    def state(self) -> State:
        """What is needed to go on."""
        return State(self.tree.copy(), self.head, tuple(self.fingerprints))


def recover(entries: Iterable[bytes], verifier: Callable[[str], Verifier]) -> tuple[dict[str, Found], set[str]]:
    """Return the logs in the last lines of a file, and the ids of those whose control lines are all further above."""
    found: dict[str, Found] = {}
    unfound: set[str] = set()
    for entry in entries:
        line = lines.parse(entry)
        if line is None:
            continue
        known = found.get(line.log)
        edge = None if line.control is None else _edge(entry, line, verifier(line.log))
        if known is None:
            if edge is None:
                unfound.add(line.log)
                continue
            known = found[line.log] = Found(line.index, edge.copy(), line.prev)
            unfound.discard(line.log)
        _go_on(known, line, edge)
    return found, unfound


def unnamed(entries: Sequence[bytes], verifier: Callable[[str], Verifier]) -> list[Torn]:
    """Return what killed processes left of lines at the end of a file, and no control line there names."""
    named: set[Torn] = set()
    torn: list[Torn] = []
    for place, entry in enumerate(entries, 1):
        line = lines.parse(entry)
        if line is None:
            if entry and (place == len(entries) or not _is_whole(entry)):  # the last one has no newline
                torn.append(Torn.of(entry))
        elif line.control is not None and (said := lines.statement(line, verifier(line.log))) is not None:
            named.update(said.torn)
    return [each for each in torn if each not in named][-_MOST_NAMED:]


def _is_whole(entry: bytes) -> bool:
    """Tell whether this is JSON behind what a device begins its lines with: no half of a line is."""
    try:
        msgspec.json.decode(entry[max(0, entry.find(b"{")) :])
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def _edge(entry: bytes, line: Line, verifier: Verifier) -> CompactRange | None:
    said = lines.statement(line, verifier)
    return said.tree if said is not None and lines.is_whole(entry, line, verifier) else None


def _go_on(known: Found, line: Line, edge: CompactRange | None) -> None:
    control = line.control is not None
    if (line.index, line.prev) != (known.tree.size, known.head) or (control and edge != known.tree):
        known.sound = False
        return
    known.tree.append(line.leaf)
    known.head = b2a_base64(line.leaf, newline=False)
    if control:
        known.fingerprints = []
        known.heads[known.tree.size] = known.head.decode()
    known.fingerprints.append(line.leaf[:FINGERPRINT])
