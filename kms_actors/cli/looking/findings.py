"""What was looked at, and what was found: a line each, or JSON."""

from __future__ import annotations

import enum
import json
import sys
from collections.abc import Iterable
from typing import Final, NamedTuple

import click


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


def wrong(what: str, text: str) -> Finding:
    """Return that a thing does not work."""
    return Finding(Kind.WRONG, what, text)


def show(findings: Iterable[Finding], *, as_json: bool) -> None:
    """Print findings as they come, and exit with 1 if something is wrong."""
    some_wrong = False
    for kind, what, text in findings:
        some_wrong |= kind is Kind.WRONG
        if as_json:
            click.echo(json.dumps({"state": kind.value, "what": what, "text": text}))
        else:
            click.echo(f"{click.style(f'{kind.value:8}', fg=_COLOURS[kind])}{what}: {text}")
    sys.exit(1 if some_wrong else 0)
