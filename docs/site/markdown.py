"""Markdown, as small as the site needs it: fences left alone, links rewritten, texts made safe."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Final

_FENCE: Final = re.compile(r"(^ *```.*?^ *```$)", re.MULTILINE | re.DOTALL)
_LINK: Final = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")
_SPECIAL: Final = re.compile(r"([\\*_{}\[\]<>|#$~])")


def outside_fences(text: str, change: Callable[[str], str]) -> str:
    """Return `text` with `change` made to all that is not a block of code."""
    parts = _FENCE.split(text)
    return "".join(part if index % 2 else change(part) for index, part in enumerate(parts))


def fences(text: str, change: Callable[[str], str]) -> str:
    """Return `text` with `change` made to each block of code, its fences included."""
    return _FENCE.sub(lambda found: change(found[0]), text)


def links(text: str, change: Callable[[str], str | None]) -> str:
    """Return `text` with the target of each link changed; a link without a target becomes its text."""

    def changed(found: re.Match[str]) -> str:
        target = change(found[3])
        return found[2] if target is None else f"{found[1]}[{found[2]}]({target})"

    return outside_fences(text, lambda part: _LINK.sub(changed, part))


def escaped(text: str) -> str:
    """Return `text` as Markdown that shows it; code between backticks stays code, and nothing breaks a table."""
    parts = re.split(r"(`[^`]*`)", " ".join(text.split()))
    return "".join(
        part.replace("|", "\\|") if index % 2 else _SPECIAL.sub(r"\\\1", part) for index, part in enumerate(parts)
    )


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; cells are Markdown already."""
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
