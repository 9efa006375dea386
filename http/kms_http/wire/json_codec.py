"""JSON of requests and answers: bounded before it is parsed, exact in its numbers.

Bytes after the first value are ignored, as in Vault; NaN, Infinity and numbers beyond a double are refused.
"""

from __future__ import annotations

import json
import re
from array import array
from collections.abc import Generator, Iterator
from itertools import accumulate
from typing import Any, Final

from kms_actors.errors import InvalidRequest
from kms_actors.exact_json import RawJson, dumps
from kms_actors.exact_json import loads as decode

__all__ = ["MAX_DEPTH", "MAX_ELEMENTS", "RawJson", "check", "checking", "dumps", "loads", "parse"]

#: Objects and lists within each other; orjson writes up to 254, and an envelope needs a few.
MAX_DEPTH: Final = 128

#: Members and entries in all, which bounds what parsing allocates to some 150 bytes for each.
MAX_ELEMENTS: Final = 200_000

#: Bytes of a body behind whose first value something else may stand; to find its end takes several passes.
MAX_FIRST_VALUE: Final = 4 << 20

#: Bytes of a body from which it may be dear beyond its length, by escapes, and by long numbers, whose parsing takes
#: the square of their length. Escapes (some write each `/` of base64 as one), and digits of numbers of 128 and more.
_LARGE: Final = 2 << 20
_MOST_ESCAPES: Final = 1_000_000
_STRIDE: Final = 64
_MOST_LONG_DIGITS: Final = 256 * 1024
_TWO_DIGITS: Final = re.compile(rb"(?=[0-9][0-9])")
_NOT_STRUCTURE: Final = bytes(set(range(256)) - set(b'[]{},"\\'))
_STEPS: Final = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")  # +1 and -1 as signed bytes


def loads(body: bytes) -> Any:
    """Return the first JSON value of `body`, checked against the bounds.

    Raises:
        InvalidRequest: not JSON, or nested deeper or larger than allowed.

    """
    check(body)
    return parse(body)


def parse(body: bytes) -> Any:
    """As `loads`, of a body that was checked."""
    try:
        return decode(body)
    except ValueError:
        if len(body) > MAX_FIRST_VALUE:
            raise InvalidRequest("error parsing JSON") from None
        return _first_value(body)


def check(body: bytes, max_depth: int = MAX_DEPTH, max_elements: int = MAX_ELEMENTS) -> None:
    """Refuse a body nested or filled beyond the bounds, without parsing it.

    Time is linear in the body's length; what strings hold does not count. Raises InvalidRequest.
    """
    for _ in checking(body, max_depth, max_elements):
        pass


def checking(body: bytes, max_depth: int = MAX_DEPTH, max_elements: int = MAX_ELEMENTS) -> Iterator[None]:
    """As `check`, a pass over the body at a time."""
    if len(body) <= max_elements and _opening(body) <= max_depth:  # a small body shows at once that it is harmless
        return
    if len(body) > _LARGE:
        _refuse_what_takes_long(body)
        yield
    structure = body.translate(None, _NOT_STRUCTURE)
    if len(structure) <= max_elements and _opening(structure) <= max_depth:
        return
    yield
    structure = yield from _without_strings(body, structure, max_elements)
    yield
    if structure.count(b",") + _opening(structure) > max_elements:
        raise _too_many(max_elements)
    brackets = structure.replace(b",", b"")
    inner = brackets.replace(b"{}", b"")  # a batch is flat objects in a list: this spares counting them
    if _opening(inner) >= max_depth and _depth(brackets) > max_depth:
        raise InvalidRequest(f"JSON input is nested deeper than {max_depth} levels")


def _refuse_what_takes_long(body: bytes) -> None:
    """Refuse a body of many escapes, or one that is to a large part digits in a row.

    Of the latter, every 64th byte is looked at first: of 128 digits in a row, two in a row of those are digits.
    """
    if body.count(b"\\") > _MOST_ESCAPES:
        raise InvalidRequest(f"JSON input holds more than {_MOST_ESCAPES} escapes")
    sample = body[::_STRIDE]
    most = _MOST_LONG_DIGITS // _STRIDE
    for found in _TWO_DIGITS.finditer(sample):
        start = found.start() * _STRIDE
        if body[start : start + _STRIDE].isdigit():
            most -= 1
            if most < 0:
                raise InvalidRequest("JSON input holds numbers that are too long")


def _opening(text: bytes) -> int:
    return text.count(b"[") + text.count(b"{")


def _without_strings(body: bytes, structure: bytes, max_elements: int) -> Generator[None, None, bytes]:
    """Return brackets and commas outside strings.

    Where no string holds any of them, or an escape, the quotes of `structure` stand in even runs and all vanish
    in pairs. The first string that does hold one leaves an odd run, so a quote is left over.
    """
    if b"\\" not in structure:
        paired = structure.replace(b'""', b"")
        if b'"' not in paired:
            return paired
        yield
    unescaped = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    yield
    if unescaped.count(b'"') > 4 * max_elements:  # an element is a value and, in objects, a name
        raise _too_many(max_elements)
    outside = unescaped.split(b'"')[::2]
    yield
    return b"".join(outside).translate(None, _NOT_STRUCTURE)


def _too_many(max_elements: int) -> InvalidRequest:
    return InvalidRequest(f"JSON input holds more than {max_elements} elements")


def _depth(brackets: bytes) -> int:
    return max(accumulate(array("b", brackets.translate(_STEPS))))


def _first_value(body: bytes) -> Any:
    """Parse what is refused as a whole: another value may follow the first."""
    try:
        text = body.decode().lstrip(" \t\r\n")
        _, end = json.JSONDecoder().raw_decode(text)
        return decode(text[:end].encode())
    except (ValueError, RecursionError):
        raise InvalidRequest("error parsing JSON") from None
