"""How much work the blocks that holders add may cause.

The library looks at its time limit between steps only, and one step can be anything: a check over the
product of many facts, closures within closures, a regular expression of a million states. Any holder of any
token could so stop a node. Hence a bound from the text alone, before it is run: work is counted as
combinations of facts times operations, each about a microsecond. The first two blocks are the issuer's, and
are trusted.
Source: schema.proto of the biscuit specification.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from kms_actors.auth import wire
from kms_actors.auth.wire import Field, TokenRefused

BUDGET: Final = 20_000
_DEPTH: Final = 8  # of closures
_ELEMENT: Final = 4  # least bytes that an element of a collection takes
_REGEX: Final = 8  # kind of a binary operation
_PER_CHARACTER: Final = 10  # compiling a regular expression, which is done at each use
#: Unicode classes, counted repetition and case folding make automata of any size.
_EXPENSIVE_PATTERN: Final = re.compile(r"(?<!\\)(?:\\\\)*(?:\\[A-Za-z]|\{|\(\?)")


def require_cheap(token: wire.Token) -> None:
    """Refuse rules in holders' blocks, and checks that could cost more than the budget."""
    contents = [wire.read(block.payload) for block in token.blocks]
    facts = sum(len(_all(fields, 4)) for fields in contents)
    elements = sum(len(block.payload) for block in token.blocks) // _ELEMENT
    strings = [value.decode(errors="replace") for fields in contents for value in _all(fields, 1)]
    work = 0
    for fields in contents[2:]:
        if _all(fields, 5):
            raise TokenRefused("a holder's block has a rule; it may only have checks and facts")
        for check in _all(fields, 6):
            for query in _all(wire.read(check), 1):
                work += _query(wire.read(query), facts, _Bounds(elements, strings))
    if work > BUDGET:
        raise TokenRefused("the checks of holders' blocks are too costly")


class _Bounds(NamedTuple):
    elements: int  # of any collection in the token
    strings: list[str]  # all of the token


def _query(query: list[Field], facts: int, bounds: _Bounds) -> int:
    """Each predicate meets at most all facts of the token and the one of its name that the server supplies."""
    operations = sum(_operations(wire.read(expression), 1, bounds) for expression in _all(query, 3))
    combinations: int = (1 + facts) ** len(_all(query, 2))
    return combinations * (1 + operations)


def _operations(fields: list[Field], number: int, bounds: _Bounds, depth: int = 0) -> int:
    """Count the operations in field `number`; a closure with parameters runs for each element of a collection."""
    if depth > _DEPTH:
        raise TokenRefused("closures are nested too deep")
    work = 0
    before: list[Field] = []
    for encoded in _all(fields, number):
        operation = wire.read(encoded)
        for closure in _all(operation, 4):
            body = wire.read(closure)
            elements = bounds.elements if _parameters(body) else 1
            work += elements * _operations(body, 2, bounds, depth + 1)
        if any(_is_regex(binary) for binary in _all(operation, 3)):
            work += _regex(before, bounds.strings)
        work += 1
        before = operation
    return work


def _regex(pattern: list[Field], strings: list[str]) -> int:
    """Return the work of one match; the pattern has to stand there as a string, so that its length is known."""
    values = _all(pattern, 1)
    if len(pattern) != 1 or len(values) != 1 or [number for number, _ in wire.read(values[0])] != [3]:
        raise TokenRefused("the pattern of a regular expression is not a plain string")
    if any(_EXPENSIVE_PATTERN.search(one) for one in strings):
        raise TokenRefused("a regular expression may not use {n}, (?…) or a class such as \\w")
    return _PER_CHARACTER * max(map(len, strings), default=0)


def _is_regex(binary: bytes) -> bool:
    # The library keeps 32 bits of an enumeration.
    return any(
        number == 1 and isinstance(kind, int) and kind & 0xFFFFFFFF == _REGEX for number, kind in wire.read(binary)
    )


def _parameters(closure: list[Field]) -> bool:
    return any(number == 1 for number, _ in closure)


def _all(fields: list[Field], number: int) -> list[bytes]:
    """Return the messages or texts in a repeated field."""
    values = [value for found, value in fields if found == number]
    if any(isinstance(value, int) for value in values):
        raise TokenRefused("token is not a biscuit")
    return [value for value in values if isinstance(value, bytes)]
