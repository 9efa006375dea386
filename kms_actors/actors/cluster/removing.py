"""Very many records removed a page a transaction, so that nobody waits for it: of mounts, and of vaults that go."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from kms_actors.store.api import Transaction
from kms_actors.store.pages import behind

#: Records removed in one transaction: fewer where that takes longer than `_LONG` seconds, more where `_SHORT`.
LEAST: Final = 16
MOST: Final = 1000
_LONG: Final = 0.1
_SHORT: Final = 0.03


def next_size(size: int, seconds: float, most: int = MOST) -> int:
    """Return how many records the next page is to have, where one of `size` took so long."""
    if seconds > _LONG:
        return max(LEAST, size // 2)
    return min(most, size * 2) if seconds < _SHORT else size


async def remove_page(tr: Transaction, spans: Iterable[tuple[bytes, bytes]], size: int) -> int:
    """Remove the first `size` records of some spans; return how many there were, fewer once nothing is left."""
    removed = 0
    for begin, end in spans:
        found = await tr.get_keys(begin, end, limit=size - removed) if removed < size else []
        if found:
            tr.clear_range(found[0], behind(found[-1]))
            removed += len(found)
    return removed
