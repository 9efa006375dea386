"""JSON of tokens and of key sets, which anybody may have written: one object, bounded before it is parsed.

Two names that are equal are refused (RFC 7519, section 4): programs differ in which of them counts. So are NaN,
infinities, and numbers that are none in another program.
"""

from __future__ import annotations

import json
import re
from math import isfinite
from typing import Any, Final

from kms_actors.errors import InvalidRequest

#: Objects and lists within each other.
MAX_DEPTH: Final = 16
#: Digits of a whole number: what a claim counts fits in 64 bits.
_MOST_DIGITS: Final = 20

_STRINGS: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"', re.DOTALL)
_NO_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))


class _Refused(ValueError):
    pass


def read_object(text: bytes, what: str) -> dict[str, Any]:
    """Return the object that `text` is; `what` is what errors call it.

    Raises:
        InvalidRequest: no JSON object, nested too deep, with a name twice, or with a number that is none.

    """
    if _depth(text) > MAX_DEPTH:
        raise InvalidRequest(f"{what} is nested deeper than {MAX_DEPTH} levels")
    try:
        found = json.loads(
            text.decode(),  # JSON in other encodings is none (RFC 8259, section 8.1)
            object_pairs_hook=_object,
            parse_constant=_no_number,
            parse_int=_whole,
            parse_float=_finite,
        )
    except (ValueError, RecursionError):
        raise InvalidRequest(f"{what} is not a JSON object that can be read") from None
    if not isinstance(found, dict):
        raise InvalidRequest(f"{what} is not a JSON object")
    return found


def _depth(text: bytes) -> int:
    depth = deepest = 0
    for bracket in _STRINGS.sub(b"", text).translate(None, _NO_BRACKETS):
        depth += 1 if bracket in b"[{" else -1
        deepest = max(deepest, depth)
    return deepest


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Refused
    return found


def _no_number(_: str) -> None:
    raise _Refused


def _whole(digits: str) -> int:
    if len(digits) > _MOST_DIGITS:
        raise _Refused
    return int(digits)


def _finite(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        raise _Refused
    return number
