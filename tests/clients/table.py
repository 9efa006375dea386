"""The tables of clients, which the run of the matrix writes: docs/clients.md, and a short one in the README."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Final, NamedTuple

from tests.clients.matrix import CLIENTS, Client

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = ROOT / "docs" / "clients.md"
README: Final = ROOT / "README.md"
_BEGIN: Final = "<!-- written by `make test-clients`, from here -->"
_END: Final = "<!-- to here -->"
_BETWEEN: Final = re.compile(rf"(?<={re.escape(_BEGIN)}\n).*?(?={re.escape(_END)})", re.DOTALL)
_ROW: Final = re.compile(r"^\| (.+?) \| ([^|]+?) \| ([^|]+?) \|$", re.MULTILINE)


class Row(NamedTuple):
    """What a client was last seen to do, in which version."""

    version: str
    done: str


def rows() -> dict[str, Row]:
    """Return the rows of the page, by client."""
    return {title: Row(version, done) for title, version, done in _ROW.findall(_written(PAGE)) if title != "client"}


def write_tables(done: Mapping[str, Sequence[str]]) -> None:
    """Write what clients were seen to do; of those that are not in `done`, what was seen before stays."""
    known = rows()
    for client in CLIENTS:
        if client.title in done:
            known[client.title] = Row(client.version, sentence(done[client.title]))
    told = [(client, known[client.title]) for client in CLIENTS if client.title in known]
    lines = [f"| {client.title} | {row.version} | {row.done} |" for client, row in told]
    _write(PAGE, ["| client | version | what it was seen to do |", "|---|---|---|", *lines])
    _write(README, short_table(told))


def short_table(told: Sequence[tuple[Client, Row]]) -> list[str]:
    """Return the lines of the README's table: what was run, in which version, by kind."""
    lines = ["| | run against a node |", "|---|---|"]
    for kind, group in groupby(told, lambda each: each[0].kind):
        lines.append(f"| {kind} | {', '.join(f'{client.title} {row.version}' for client, row in group)} |")
    return lines


def sentence(done: Sequence[str]) -> str:
    """Return what was done, by area: `KV 2: written; read. Transit: encrypted`."""
    pairs = [line.partition(": ") for line in done]
    areas = groupby(pairs, lambda pair: pair[0])
    told = ". ".join(f"{area}: {'; '.join(what for _, _, what in group)}" for area, group in areas)
    return told.replace("|", "\\|")


def _written(document: Path) -> str:
    found = _BETWEEN.search(document.read_text(encoding="utf-8"))
    assert found, f"{document.name} has no place for the table"
    return found[0]


def readme_table() -> str:
    """Return the table of the README as it is."""
    return _written(README)


def _write(document: Path, lines: Sequence[str]) -> None:
    text = document.read_text(encoding="utf-8")
    _written(document)
    document.write_text(_BETWEEN.sub(lambda _: "\n".join(lines) + "\n", text), encoding="utf-8")
