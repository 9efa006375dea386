"""What one evaluation of an expression in a check may cost, from its text alone.

Operations stand there as for a stack. Each value gets a weight, the bytes that an operation on it may go through:
a text its length, an element of a collection as much as it takes to copy it. A sum of texts or sets weighs as much as
both; so whatever grows, grows in the count, too.
Source: schema.proto of the biscuit specification.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from kms_actors.auth import wire
from kms_actors.auth.symbols import Symbols
from kms_actors.auth.wire import Field, TokenRefused

_DEPTH: Final = 8  # of closures
_SMALL: Final = 8  # weight of a number, a date, a truth
LEAST_ELEMENT: Final = 4  # bytes that an element of a collection takes in a token
_PER_ELEMENT: Final = 200  # weight of an element of a collection
_PER_MICROSECOND: Final = 4000  # weight that an operation goes through
_ADDITION: Final = 4  # a text that is made is compared with all that were made before
_PER_CHARACTER: Final = 10  # compiling a regular expression, which is done at each use
_STEPS: Final = 200  # of a regular expression's states over the text, in a microsecond
#: Unicode classes, counted repetition and case folding make automata of any size.
_EXPENSIVE_PATTERN: Final = re.compile(r"(?<!\\)(?:\\\\)*(?:\\[A-Za-z]|\{|\(\?)")

# Kinds of operations.
_PARENTHESES: Final = 1
_EXTERNAL_UNARY: Final = 4
_REGEX: Final = 8
_ADD: Final = 9
_EXTERNAL_BINARY: Final = 28
#: Binary operations whose outcome is a number or a truth: all but sums, what takes parts of collections, and unknown.
_TO_SMALL: Final = frozenset(range(28)) - {_ADD, 15, 16, 23, 24, 27}


class Bounds(NamedTuple):
    """What no value of the token or the server exceeds; more work than `budget` need not be counted."""

    longest: int  # bytes of a text
    fact: int  # bytes of a fact of the token
    elements: int  # of a collection
    budget: int

    @property
    def any(self) -> int:
        """The weight of any value."""
        return max(self.longest, self.elements * _PER_ELEMENT)

    @property
    def of_facts(self) -> int:
        """The weight of what a variable takes from a fact."""
        return max(self.longest, collection(self.fact))


def collection(encoded: int) -> int:
    """Return the weight of a collection that takes so many bytes in a token."""
    return encoded // LEAST_ELEMENT * _PER_ELEMENT


def work(expression: list[Field], bounds: Bounds, table: Symbols) -> int:
    """Return about how many microseconds an evaluation takes at most; past the budget, some number above it."""
    return _Evaluation(bounds, table).run(messages(expression, 1), 0)[0]


def messages(fields: list[Field], number: int) -> list[bytes]:
    """Return the messages or texts in a repeated field."""
    values = [value for found, value in fields if found == number]
    if any(isinstance(value, int) for value in values):
        raise TokenRefused("token is not a biscuit")
    return [value for value in values if isinstance(value, bytes)]


class _Evaluation:
    def __init__(self, bounds: Bounds, table: Symbols) -> None:
        self._bounds = bounds
        self._table = table

    def run(self, operations: list[bytes], depth: int) -> tuple[int, int]:
        """Return the work of the operations, and the weight of what they leave."""
        if depth > _DEPTH:
            raise TokenRefused("closures are nested too deep")
        done = 0
        stack: list[int] = []
        before: list[Field] = []
        for encoded in operations:
            operation = wire.read(encoded)
            if len(operation) != 1 or not isinstance(content := operation[0][1], bytes):
                raise TokenRefused("token is not a biscuit")
            fields = wire.read(content)
            match operation[0][0]:
                case 1:
                    left = self._value(fields, content, depth)
                    spent = 1 + left // _PER_MICROSECOND
                case 2:
                    spent, left = self._unary(_kind(fields), self._taken(stack))
                case 3:
                    last = self._taken(stack)
                    spent, left = self._binary(_kind(fields), self._taken(stack), last, before)
                case 4:
                    spent, left = self._closure(fields, depth)
                case _:
                    raise TokenRefused("token is not a biscuit")
            stack.append(left)
            before = fields if operation[0][0] == 1 else []
            done += spent
            if done > self._bounds.budget:
                break
        return done, self._taken(stack)

    def _taken(self, stack: list[int]) -> int:
        """Take the last value; one that is not there fails the evaluation, and until then may be anything."""
        return stack.pop() if stack else self._bounds.any

    def _value(self, fields: list[Field], encoded: bytes, depth: int) -> int:
        """Return the weight of a value that stands there, or of whatever a variable holds."""
        match [number for number, _ in fields]:
            case [2] | [4] | [6] | [8]:
                return _SMALL
            case [3]:
                return len(self._table[fields[0][1]].encode())
            case [5] | [7] | [9] | [10]:
                return collection(len(encoded))
            case [1] if depth == 0:
                return self._bounds.of_facts
        return self._bounds.any

    def _closure(self, body: list[Field], depth: int) -> tuple[int, int]:
        """A closure with parameters runs for each element of a collection."""
        spent, left = self.run(messages(body, 2), depth + 1)
        return spent * (self._bounds.elements if any(number == 1 for number, _ in body) else 1), left

    def _unary(self, kind: int, weight: int) -> tuple[int, int]:
        if kind == _EXTERNAL_UNARY:
            raise TokenRefused("a check calls a function that is not there")
        return 1 + weight // _PER_MICROSECOND, weight if kind == _PARENTHESES else _SMALL

    def _binary(self, kind: int, first: int, last: int, before: list[Field]) -> tuple[int, int]:
        both = first + last
        if kind == _EXTERNAL_BINARY:
            raise TokenRefused("a check calls a function that is not there")
        if kind == _REGEX:
            return self._regex(before), _SMALL
        if kind == _ADD:
            return _ADDITION + 8 * both // _PER_MICROSECOND, both
        return 1 + both // _PER_MICROSECOND, _SMALL if kind in _TO_SMALL else both

    def _regex(self, pattern: list[Field]) -> int:
        """Return the work of one match; the pattern has to stand there as a text, so that its length is known."""
        if [number for number, _ in pattern] != [3]:
            raise TokenRefused("the pattern of a regular expression is not a plain string")
        text = self._table[pattern[0][1]]
        if _EXPENSIVE_PATTERN.search(text):
            raise TokenRefused("a regular expression may not use {n}, (?…) or a class such as \\w")
        length = len(text.encode())
        return length * _PER_CHARACTER + length * self._bounds.longest // _STEPS


def _kind(fields: list[Field]) -> int:
    """Return the kind of an operation; the library keeps 32 bits of an enumeration."""
    kinds = [kind for number, kind in fields if number == 1]
    if len(kinds) != 1 or not isinstance(kinds[0], int):
        raise TokenRefused("token is not a biscuit")
    return kinds[0] & 0xFFFFFFFF
