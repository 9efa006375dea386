"""What was looked at, and what was found: a line each, or JSON."""

from __future__ import annotations

import enum
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

import click

from kms_actors.cli.manners import FAILED, named, tell


class Kind(enum.Enum):
    """How a thing stands."""

    GOOD = "good"
    WARNING = "warning"  # it works, but should be looked after
    WRONG = "wrong"  # it does not work


class Finding(NamedTuple):
    """Of one thing; the text says how it is, and of what is not good what to do."""

    kind: Kind
    what: str
    text: str


_COLOURS: Final = {Kind.GOOD: "green", Kind.WARNING: "yellow", Kind.WRONG: "red"}


def good(what: str, text: str) -> Finding:
    """Return that a thing is as it should be."""
    return Finding(Kind.GOOD, what, text)


def warning(what: str, text: str) -> Finding:
    """Return that a thing should be looked after."""
    return Finding(Kind.WARNING, what, text)


def in_file(path: Path, finding: Finding) -> Finding:
    """Name the file where a finding is about a key in it."""
    return finding._replace(text=named(path, finding.text))


def wrong(what: str, text: str) -> Finding:
    """Return that a thing does not work."""
    return Finding(Kind.WRONG, what, text)


def show(findings: Iterable[Finding]) -> None:
    """Print findings as they come, and exit with 1 if something is wrong."""
    some_wrong = False
    for kind, what, text in findings:
        some_wrong |= kind is Kind.WRONG
        words = f"{click.style(f'{kind.value:8}', fg=_COLOURS[kind])}{what}: {text}"
        tell({"state": kind.value, "what": what, "text": text}, words, "" if kind is Kind.GOOD else words)
    sys.exit(FAILED if some_wrong else 0)
