"""Groups within groups: no cycles, and who is in what."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence, Set

#: Returns of each group the ids of those it is a member of, all at once.
ReadParents = Callable[[Sequence[str]], Awaitable[Sequence[Iterable[str]]]]


async def ancestors(groups: Iterable[str], read_parents: ReadParents) -> Set[str]:
    """Return `groups`, and all that they are in by others: one reading a level."""
    found: set[str] = set()
    level = set(groups)
    while level:
        found |= level
        parents = await read_parents(sorted(level))
        level = {parent for each in parents for parent in each} - found
    return found


def cyclic(members: Iterable[str], above: Set[str]) -> str | None:
    """Return a member that the group it is to be in is in itself; `above` has that group and all its ancestors."""
    return next((member for member in members if member in above), None)
