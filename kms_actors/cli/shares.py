"""Shares of a master key, as somebody gives them to a command: in files, piped in, or typed unseen."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click

from kms_actors.errors import InvalidRequest

#: A line of what `create` and `vault operator init` print, or a share alone.
_SHARE: Final = re.compile(r"\s*(?:Unseal Key \d+:)?\s*([A-Za-z0-9+/_=-]{44,66})\s*")
#: Other lines of theirs, which hold no share.
_OTHER: Final = re.compile(r"\s*(?:Key Check Value:.*|Initial Root Token:.*|\[.*\]|\w+ = .*|#.*)?\s*")
_LONGEST: Final = 1 << 16  # characters of a file or of standard input


def shares_in(path: Path) -> Iterator[str]:
    """Yield the shares in a file. OSError if it cannot be read, InvalidRequest for a line that is no share."""
    with path.open(encoding="utf-8", errors="replace") as file:
        yield from _in_lines(file.read(_LONGEST), f"{path}: ")


def given_shares() -> Iterator[str]:
    """Yield the shares on standard input, or ask a person for them; raises InvalidRequest likewise."""
    if not _terminal():
        yield from _in_lines(sys.stdin.read(_LONGEST))
        return
    while text := click.prompt(
        "Unseal Key (empty: no more)", default="", show_default=False, hide_input=True, err=True
    ):
        yield from _in_lines(text)


def _terminal() -> bool:
    return sys.stdin.isatty()


def _in_lines(text: str, whose: str = "") -> Iterator[str]:
    """Yield the share in each line; a line that is none is refused, and not repeated."""
    for line in text.splitlines():
        found = _SHARE.fullmatch(line)
        if found is not None:
            yield found[1]
        elif not _OTHER.fullmatch(line):
            raise InvalidRequest(f"{whose}a line is no share: 44 characters of base64 or 66 of hex")
