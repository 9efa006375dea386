"""The rules of a cubbyhole: how much a token may keep, and what a list of it shows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from kms_actors.cubbyhole.records import Held
from kms_actors.errors import InvalidRequest

#: What one token may keep: entries, and bytes of their paths and contents.
MOST_ENTRIES: Final = 1000
MOST_BYTES: Final = 1 << 20
#: Bytes of a path.
MAX_PATH: Final = 4096


def size_of(path: str, document: bytes) -> int:
    """Return what an entry counts; raises InvalidRequest for a path that cannot be stored."""
    try:
        length = len(path.encode())
    except UnicodeEncodeError:
        raise InvalidRequest("the path is not UTF-8") from None
    if length > MAX_PATH:
        raise InvalidRequest(f"the path is longer than {MAX_PATH} bytes")
    return length + len(document)


def written(held: Held, before: int | None, size: int) -> Held:
    """Return what is held once an entry of `size` is written where one of `before` was; None: where none was.

    Raises:
        InvalidRequest: that is more than a token may keep.

    """
    after = Held(entries=held.entries + (before is None), bytes=held.bytes + size - (before or 0))
    if after.entries > MOST_ENTRIES:
        raise InvalidRequest(f"a cubbyhole has at most {MOST_ENTRIES} entries")
    if after.bytes > MOST_BYTES:
        raise InvalidRequest(f"a cubbyhole has at most {MOST_BYTES} bytes")
    return after


def removed(held: Held, before: int) -> Held | None:
    """Return what is held without an entry of `before`; None: nothing."""
    if held.entries <= 1:
        return None
    return Held(entries=held.entries - 1, bytes=max(0, held.bytes - before))


def names(paths: Iterable[str], folder: str) -> list[str]:
    """Return the names right below `folder` of paths that are sorted and all lie there; folders end with a slash."""
    found: list[str] = []
    for path in paths:
        name, slash, _ = path[len(folder) :].partition("/")
        if not found or found[-1] != name + slash:
            found.append(name + slash)
    return found
