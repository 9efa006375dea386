"""Lines of audit logs found by what they say: a path, an accessor, a value by its HMAC."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from kms_actors.audit.log.verifying import Read


class Wanted(NamedTuple):
    """What a line must say: all of it. `paths` may end in `*`; of `accessors` and `values` each is one by itself."""

    path: str | None = None
    accessors: Sequence[str] = ()
    values: Sequence[str] = ()


def search(reads: Iterable[Read], wanted: Wanted) -> Iterator[Read]:
    """Return the lines that say what is wanted; control lines say nothing."""
    texts = [[msgspec.json.encode(text) for text in each] for each in (wanted.accessors, wanted.values) if each]
    for each in reads:
        entry = each.entry
        if each.line is not None and each.line.control is not None:
            continue
        # Most lines are told apart without being parsed.
        if not all(any(text in entry for text in alternatives) for alternatives in texts):
            continue
        if _says(entry, wanted):
            yield each


def _says(entry: bytes, wanted: Wanted) -> bool:
    try:
        parsed = msgspec.json.decode(entry[entry.index(b"{") :])
    except (ValueError, msgspec.DecodeError):
        return False
    if not isinstance(parsed, dict):
        return False
    parsed.pop("proof", None)
    return (
        (wanted.path is None or _matches(_at(parsed, "request", "path"), wanted.path))
        and (not wanted.accessors or not _accessors(parsed).isdisjoint(wanted.accessors))
        and (not wanted.values or _holds(parsed, frozenset(wanted.values)))
    )


def _matches(path: Any, wanted: str) -> bool:
    if wanted.endswith("*"):
        return isinstance(path, str) and path.startswith(wanted[:-1])
    return bool(path == wanted)


def _accessors(parsed: dict[str, Any]) -> set[Any]:
    """Return the accessors of whoever asked, and of the token that an answer gives."""
    places = (
        ("auth", "accessor"),
        ("request", "client_token_accessor"),
        ("response", "auth", "accessor"),
        ("response", "wrap_info", "accessor"),
        ("response", "wrap_info", "wrapped_accessor"),
    )
    return {found for place in places if isinstance(found := _at(parsed, *place), str)}


def _at(parsed: Any, *names: str) -> Any:
    for name in names:
        parsed = parsed.get(name) if isinstance(parsed, dict) else None
    return parsed


def _holds(parsed: Any, values: frozenset[str]) -> bool:
    """Tell whether any text anywhere in it is one of the values."""
    waiting = [parsed]
    while waiting:
        each = waiting.pop()
        if isinstance(each, str):
            if each in values:
                return True
        elif isinstance(each, dict):
            waiting += each.values()
        elif isinstance(each, list):
            waiting += each
    return False
