"""The page of metrics: the table and the signs of `docs/operations.md`, which a test holds to what a node exposes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

_OPERATIONS: Final = Path(__file__).parents[1] / "operations.md"
_ROW: Final = re.compile(r"^\| `\w+` \| \w+ \|.*\|$", re.MULTILINE)


def page() -> str:
    """Return the page; rows are in the order of their names.

    Raises:
        ValueError: the table is not where it was.

    """
    text = _OPERATIONS.read_text(encoding="utf-8")
    rows = sorted(_ROW.findall(_below(text, "Metrics")), key=lambda row: row.split("`")[1])
    watched = _below(text, "What to watch").strip()
    if not rows or not watched:
        raise ValueError("docs/operations.md has no table of metrics: mend docs/site/metrics.py")
    listed = "\n".join(rows)
    return f"""# Metrics

What a node shows Prometheus at `GET /metrics` on its metrics port (`[metrics]` in the
[configuration](config/configuration.md#metrics)). Labels are routes and codes, never what a caller sent. How several
processes are put together is told in [operations](operations.md#metrics).

| metric | type | meaning |
|---|---|---|
{listed}

## What to watch

{watched}
"""


def _below(text: str, title: str) -> str:
    found = re.split(r"^#", text.partition(f"# {title}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]
    return found.replace("](#", "](operations.md#")
