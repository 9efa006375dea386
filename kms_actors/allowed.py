"""What a field's type allows, in words: what a person reads who gave another value, which is not repeated."""

from __future__ import annotations

import types
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from msgspec import Meta

_PLAIN: Final[dict[Any, str]] = {
    str: "text",
    bool: "`true` or `false`",
    int: "a whole number",
    float: "a number",
    dict: "a table",
}


def allowed(kind: Any) -> str:
    """Return what values of `kind` are; `Meta(extra={"allowed": …})` has the words where the type has none."""
    if get_origin(kind) is Annotated:
        inner, *metas = get_args(kind)
        words = [_limited(allowed(inner), meta) for meta in metas if isinstance(meta, Meta)]
        return next((text for text in words if text != allowed(inner)), allowed(inner))
    if get_origin(kind) is Literal:
        return _either([f"`{value}`" for value in get_args(kind)])
    if get_origin(kind) in (Union, types.UnionType):
        return _either([allowed(part) for part in get_args(kind) if part is not types.NoneType])
    if get_origin(kind) is tuple:
        return _list(get_args(kind))
    return _PLAIN.get(kind, "a table")


def _limited(words: str, meta: Meta) -> str:
    if meta.extra and "allowed" in meta.extra:
        return str(meta.extra["allowed"])
    if meta.ge is not None and meta.le is not None:
        return f"{words} from {meta.ge} to {meta.le}"
    limits = (("at least", meta.ge), ("above", meta.gt), ("at most", meta.le))
    bounds = [f"{text} {limit}" for text, limit in limits if limit is not None]
    if meta.min_length:
        bounds.append("not empty")
    return ", ".join([words, *bounds])


def _list(parts: tuple[Any, ...]) -> str:
    if len(parts) == 2 and parts[1] is Ellipsis:
        return f"a list, each {allowed(parts[0])}"
    return "a pair of " + _either(sorted({allowed(part) for part in parts}))


def _either(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"
