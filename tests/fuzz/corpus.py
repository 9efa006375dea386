"""Inputs that are kept: a file for each parser, in which each line is one, in base64; `#` begins a remark."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from tests.fuzz.parsers.target import Target

FOLDER: Final = Path(__file__).with_name("corpus")


def kept(name: str) -> list[bytes]:
    """Return what is kept for a parser."""
    path = FOLDER / f"{name}.txt"
    if not path.exists():
        return []
    lines = path.read_text(encoding="ascii").splitlines()
    return [base64.b64decode(line, validate=True) for line in lines if line and not line.startswith("#")]


def inputs(name: str, target: Target) -> list[bytes]:
    """Return what a parser is begun with: its seeds, and what is kept."""
    return list(dict.fromkeys([*target.seeds(), *kept(name)]))


def keep(name: str, found: Iterable[bytes]) -> None:
    """Add inputs to what is kept for a parser; remarks stay."""
    path = FOLDER / f"{name}.txt"
    there = path.read_text(encoding="ascii").splitlines() if path.exists() else []
    new = {base64.b64encode(data).decode() for data in found} - set(there)
    path.write_text("".join(f"{line}\n" for line in [*there, *sorted(new, key=lambda line: (len(line), line))]))
