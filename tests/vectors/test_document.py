"""docs/vectors.md counts what the tests run."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from tests.vectors import tables
from tests.vectors.catalogue import SOURCES
from tests.vectors.vector import Source

DOCUMENT = (Path(__file__).parents[2] / "docs" / "vectors.md").read_text(encoding="utf-8")


def rows(title: str) -> list[str]:
    """Return the rows of the table under a heading."""
    section = re.split(r"^#", DOCUMENT.partition(f"## {title}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]
    return [line for line in section.splitlines() if line.startswith("|")][2:]


@pytest.mark.parametrize(
    ("title", "table"),
    [
        ("Sources", tables.sources),
        ("Left out", tables.reasons),
        ("Taken or refused", tables.choices),
    ],
)
def test_table(title: str, table: Callable[[Iterable[Source]], Iterator[str]]) -> None:
    expected = list(table(SOURCES))
    assert rows(title) == expected, "\n" + "\n".join(expected)


def test_totals() -> None:
    assert tables.totals(SOURCES) in " ".join(DOCUMENT.split())
