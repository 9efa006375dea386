"""Nobody without the key can change, cut, swap, add or fork lines of a log and not be told which.

A drawn attempt of each kind on a log of two workers in two files. `KMS_AUDIT_TAMPERINGS` and `KMS_AUDIT_LINES` make
the run a long one (`make audit-test`); a failure prints its seed.
"""

from __future__ import annotations

import functools
import os
import random
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from kms_actors.audit.log import base64, lines
from kms_actors.audit.log.findings import Finding, Kind, Report
from kms_actors.audit.log.notes import Signer
from kms_actors.audit.log.tree import leaf_hash
from kms_actors.audit.log.verification import verify
from kms_actors.audit.log.writing import BLANK, Log, State
from tests.support.proven_log import SCOPE, Written, device_line, write_logs

_TAMPERINGS = int(os.environ.get("KMS_AUDIT_TAMPERINGS", "200"))
_LINES = int(os.environ.get("KMS_AUDIT_LINES", "600"))
_SEED = int(os.environ.get("KMS_AUDIT_SEED", "1"))

Lines = list[tuple[str, bytes]]
#: Tells whether findings name what was done.
Named = Callable[[list[Finding]], bool]


@functools.cache
def written(count: int = _LINES) -> Written:
    return write_logs(7, count, each=40 if count < 10_000 else 512)


def report(made: Written, tampered: Lines | None = None, *, anchored: bool = True) -> Report:
    return verify(lambda: made.files(tampered), made.trust, made.anchors if anchored else [])


def chained(made: Written, tampered: Lines, place: int) -> Lines:
    """Return lines whose chain is right again from `place` on: what somebody can do who has no key."""
    log = made.placed[place][0]
    head = None
    for number in range(place, len(tampered)):
        name, line = tampered[number]
        parsed = lines.parse(line[:-1])
        if parsed is None or parsed.log != log:
            continue
        if head is not None:
            line = line.replace(b'"prev":"%b"' % parsed.prev, b'"prev":"%b"' % head)
            tampered[number] = name, line
        again = lines.parse(line[:-1])
        assert again is not None
        head = base64.encode(again.leaf).encode()
    return tampered


def names(kind: Kind, places: set[tuple[str, int]]) -> Named:
    """Expect these lines and no others to be named, all of one kind."""

    def named(findings: list[Finding]) -> bool:
        found = {
            (each.log, index)
            for each in findings
            if each.first is not None and each.last is not None
            for index in range(each.first, each.last + 1)
        }
        return found == places and {each.kind for each in findings} == {kind}

    return named


def edit(made: Written, draw: random.Random) -> tuple[Lines, Named]:
    """Another byte somewhere in a line, its proof and signatures included."""
    place = draw.randrange(len(made.lines))
    name, line = made.lines[place]
    at = draw.randrange(len(line) - 1)
    other = draw.choice([byte for byte in range(32, 127) if byte != line[at]])
    tampered = list(made.lines)
    tampered[place] = name, line[:at] + bytes([other]) + line[at + 1 :]
    return tampered, names(Kind.CHANGED, {made.placed[place]})


def rewrite(made: Written, draw: random.Random) -> tuple[Lines, Named]:
    """Another line, and the chain behind it made anew up to the end."""
    place = draw.choice([n for n, (_, line) in enumerate(made.lines) if b'"control":' not in line])
    name, line = made.lines[place]
    tampered = list(made.lines)
    tampered[place] = name, line.replace(b"secret/data/", b"secret/dxta/")
    log, index = made.placed[place]

    def named(findings: list[Finding]) -> bool:
        first = min(findings, key=lambda each: each.first or 0)
        return first.kind in {Kind.CHANGED, Kind.FORKED} and (first.log, first.first) == (log, index)

    return chained(made, tampered, place), named


def sign_anew(made: Written, draw: random.Random) -> tuple[Lines, Named]:
    """The same, and all control lines behind it made anew, too, with another key."""
    place = draw.choice([n for n, (_, line) in enumerate(made.lines) if b'"control":' not in line])
    log, index = made.placed[place]
    state = BLANK
    for number in range(place):
        if made.placed[number][0] == log:
            entry = made.lines[number][1][:-1]
            tree = state.tree.copy()
            tree.append(leaf_hash(entry))
            state = State(tree, base64.encode(leaf_hash(entry)).encode())
    forged = Log(log, Signer(f"{SCOPE}/{log}", Ed25519PrivateKey.generate()), state)
    tampered = list(made.lines)
    for number in range(place, len(tampered)):
        name, line = tampered[number]
        if made.placed[number][0] == log:
            told = lines.parse(line[:-1])
            assert told is not None
            own = forged.checkpoint(lines.INTERVAL, "") if told.control else forged.add(device_line(draw, number))
            tampered[number] = name, own

    def named(findings: list[Finding]) -> bool:
        spans = [(each.first, each.last) for each in findings if each.log == log]
        return any(first <= index <= last for first, last in spans if first is not None and last is not None)

    return tampered, named


def cut(made: Written, draw: random.Random) -> tuple[Lines, Named]:
    """Some lines are taken out, or the end is cut off."""
    first = draw.randrange(1, len(made.lines))
    length = draw.choice([1, 2, 10, len(made.lines)])
    removed = {made.placed[place] for place in range(first, min(first + length, len(made.lines)))}
    tampered = made.lines[:first] + made.lines[first + length :]

    def named(findings: list[Finding]) -> bool:
        findings = [each for each in findings if each.kind is not Kind.UNPROVEN]
        kinds = {each.kind for each in findings}
        return kinds <= {Kind.REMOVED, Kind.CUT} and (
            names(Kind.REMOVED, removed)([each for each in findings if each.kind is Kind.REMOVED])
            if kinds == {Kind.REMOVED}
            else _covers(findings, removed)
        )

    return tampered, named


def _covers(findings: list[Finding], places: set[tuple[str, int]]) -> bool:
    found = {
        (each.log, index) for each in findings for index in range(each.first or 0, (each.last or 0) + 1) if each.log
    }
    return found == places


def swap(made: Written, draw: random.Random) -> tuple[Lines, Named]:
    """Two lines of a log stand in each other's place."""
    log = draw.choice([each.log for each in made.anchors])
    own = [place for place, (of, _) in enumerate(made.placed) if of == log]
    one, other = sorted(draw.sample(range(len(own)), 2))
    a, b = own[one], own[other]
    tampered = list(made.lines)
    tampered[a], tampered[b] = (made.lines[a][0], made.lines[b][1]), (made.lines[b][0], made.lines[a][1])
    first, last = made.placed[a][1], made.placed[b][1]

    def named(findings: list[Finding]) -> bool:
        moved = {each.first for each in findings if each.log == log and each.kind is Kind.MOVED}
        exact = last - first > 2
        within = all(index is not None and first <= index <= last for index in moved)
        return bool(moved) and within and (not exact or moved == {first, last}) and len(moved) == len(findings)

    return tampered, named


def insert(made: Written, draw: random.Random) -> tuple[Lines, Named]:
    """A line more: made up, a copy of another, or forged to fit what stands before it."""
    place = draw.randrange(1, len(made.lines) + 1)
    kind = draw.choice(["made up", "copy", "forged"])
    name, before = made.lines[place - 1]
    if kind == "made up":
        line = device_line(draw, 0)
    elif kind == "copy":
        line = draw.choice(made.lines)[1]
    else:
        parsed = lines.parse(before[:-1])
        assert parsed is not None
        head = base64.encode(parsed.leaf).encode()
        line = lines.placed(device_line(draw, 0), parsed.log.encode(), parsed.index + 1, head) + b"\n"
    tampered = [*made.lines[:place], (name, line), *made.lines[place:]]
    number = sum(of == name for of, _ in tampered[: place + 1])
    copies = {number}
    if kind == "copy":  # which of the two is the copy cannot be told by what they say
        copies |= {
            sum(of == file for of, _ in tampered[: n + 1]) for n, (file, each) in enumerate(tampered) if each == line
        }

    def named(findings: list[Finding]) -> bool:
        (found,) = findings
        return found.kind in {Kind.ADDED, Kind.FORKED} and found.line in copies

    return tampered, named


def fork(made: Written, draw: random.Random) -> tuple[Lines, Named]:
    """From a line on, other lines than those that were written: in their place, or beside them."""
    place = draw.choice([n for n, (_, line) in enumerate(made.lines) if b'"control":' not in line])
    log, index = made.placed[place]
    file = made.lines[place][0]
    parsed = lines.parse(made.lines[place][1][:-1])
    assert parsed is not None
    head, branch = parsed.prev, []
    for number in range(draw.randrange(2, 20)):
        entry = lines.placed(device_line(draw, number), log.encode(), index + number, head)
        again = lines.parse(entry)
        assert again is not None
        head = base64.encode(again.leaf).encode()
        branch.append((file, entry + b"\n"))
    beside = draw.random() < 0.5
    kept = [each for n, each in enumerate(made.lines) if n < place or beside or made.placed[n][0] != log]
    tampered = kept[:place] + branch + kept[place:] if draw.random() < 0.5 else kept + branch

    def named(findings: list[Finding]) -> bool:
        if any((each.kind, each.log, each.first) == (Kind.FORKED, log, index) for each in findings):
            return True
        # With all that was signed behind it gone, nobody can say where in a few lines it began.
        spans = [(each.first, each.last) for each in findings if each.log == log]
        return any(first <= index <= last for first, last in spans if first is not None and last is not None)

    return tampered, named


ATTEMPTS = (edit, rewrite, sign_anew, cut, swap, insert, fork)


def test_sound_logs_are_found_sound() -> None:
    made = written()
    found = report(made)
    assert found.findings == []
    assert found.lines == len(made.lines)
    assert {each.log: each.lines for each in found.logs} == {each.log: each.lines for each in made.anchors}
    assert all(each.closed and each.anchored == each.lines for each in found.logs)


@pytest.mark.parametrize("attempt", ATTEMPTS, ids=lambda each: each.__name__)
def test_what_was_done_is_named(attempt: Callable[[Written, random.Random], tuple[Lines, Named]]) -> None:
    made = written()
    for number in range(-(-_TAMPERINGS // len(ATTEMPTS))):
        seed = f"{_SEED} {attempt.__name__} {number}"
        tampered, named = attempt(made, random.Random(seed))
        found = report(made, tampered).findings
        assert found, seed
        assert named(found), f"seed {seed}: {[str(each) for each in found][:10]}"
