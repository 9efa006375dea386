"""Patterns of texts in which `*` stands for any text, also an empty one, and nothing else stands for anything."""

from __future__ import annotations

from collections.abc import Iterable


def matches(pattern: str, text: str) -> bool:
    """Tell whether a text fits, in time of their lengths' product at most: no expression is compiled."""
    first, *rest = pattern.split("*")
    if not rest:
        return pattern == text
    *middle, last = rest
    if not text.startswith(first) or len(text) < len(first) + len(last) or not text.endswith(last):
        return False
    place, end = len(first), len(text) - len(last)
    for part in middle:
        place = text.find(part, place, end)
        if place < 0:
            return False
        place += len(part)
    return True


def any_matches(patterns: Iterable[str], text: str) -> bool:
    """Tell whether a text fits one of them."""
    return any(matches(pattern, text) for pattern in patterns)
