"""A policy's text, HCL 1 or JSON, as members of one kind, one after the other.

As in the reference, a text whose first character is `{` is JSON. Of HCL there is what policies use: blocks with
labels, attributes, lists, objects, numbers, booleans, texts, here-documents and comments; no expressions. JSON has no
blocks: an object of objects, `"path": {"a": {…}, "b": {…}}`, is read as the blocks `path "a" {…}` and `path "b" {…}`.

A member is read when it is asked for, so that who reads a long text can pause between them; how long one takes is
bounded by its tokens.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

from kms_actors.errors import InvalidRequest
from kms_actors.policy.lexer import Token, hcl_tokens, json_tokens
from kms_actors.policy.tree import MAX_DEPTH, Key, ListNode, Literal, Member, Node, ObjectNode, Source

#: Bytes of a text, and tokens of one member of it.
MAX_TEXT: Final = 256 * 1024
MAX_TOKENS: Final = 2_000
_INT64: Final = 1 << 63


def read(text: str, what: str = "policy") -> tuple[Iterator[Member], Source]:
    """Return the members, to be read one by one, and the source, which tells places; errors call the text `what`.

    Raises, the iterator too:
        InvalidRequest: it is too long, too deep, or no such text; with line and column.

    """
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise InvalidRequest(f"failed to parse {what}: it is not all characters") from None
    if size > MAX_TEXT:
        raise InvalidRequest(f"failed to parse {what}: it is longer than {MAX_TEXT:,} bytes")
    source = Source(text, what)
    for character in "\0\ue123":
        if character in source.text:
            raise source.error(source.text.index(character), "no such character here")
    parser = _Json(source, json_tokens(source)) if source.json else _Hcl(source, hcl_tokens(source))
    return parser.members(), source


class _Parser:
    """One token of look-ahead over a text."""

    def __init__(self, source: Source, tokens: Iterator[Token]) -> None:
        self._source = source
        self._tokens = tokens
        self._depth = 0
        self._taken = 0
        self._now = next(tokens)

    def members(self) -> Iterator[Member]:
        """Give the members of the whole text."""
        for member in self._members():
            yield member
            self._taken = 0

    def _members(self) -> Iterator[Member]:
        raise NotImplementedError

    def _take(self) -> Token:
        token = self._now
        if token.kind != "end":
            self._taken += 1
            if self._taken > MAX_TOKENS:
                raise self._source.error(token.at, f"a rule has more than {MAX_TOKENS:,} words and signs")
            self._now = next(self._tokens)
        return token

    def _expect(self, kind: str, reason: str) -> Token:
        if self._now.kind != kind:
            raise self._source.error(self._now.at, reason)
        return self._take()

    def _deeper(self, at: int) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._source.error(at, f"more than {MAX_DEPTH} objects and lists within each other")

    def _literal(self) -> Literal | None:
        token = self._now
        if token.kind == "text":
            value: str | int | float | bool = token.value
        elif token.kind == "number":
            value = self._number(token)
        elif token.kind == "word" and token.value != "null":
            value = token.value == "true"
        else:
            return None
        self._take()
        return Literal(value, token.value, token.at)

    def _number(self, token: Token) -> int | float:
        try:
            number = _number(token.value)
        except ValueError:
            raise self._source.error(token.at, "no such number") from None
        if isinstance(number, int) and not -_INT64 <= number < _INT64:
            raise self._source.error(token.at, "the number takes more than 64 bits")
        return number


class _Hcl(_Parser):
    def _members(self) -> Iterator[Member]:
        while self._now.kind != "end":
            yield self._member()
            if self._now.kind == ",":
                self._take()

    def _member(self) -> Member:
        keys: list[Key] = []
        while self._now.kind in {"name", "text"}:
            token = self._take()
            keys.append(Key(token.value, token.at))
        if not keys:
            raise self._source.error(self._now.at, "a key is expected")
        if self._now.kind == "{":
            return Member(tuple(keys), self._object())
        if self._now.kind != "=":
            raise self._source.error(self._now.at, "'{' or '=' is expected after a key")
        if len(keys) > 1:
            raise self._source.error(self._now.at, "a block with labels is no attribute: '{' is expected, not '='")
        self._take()
        return Member(tuple(keys), self._value())

    def _value(self) -> Node:
        if self._now.kind == "{":
            return self._object()
        if self._now.kind == "[":
            return self._list()
        literal = self._literal()
        if literal is None:
            raise self._source.error(self._now.at, "a value is expected, and this is none")
        return literal

    def _object(self) -> ObjectNode:
        at = self._take().at
        self._deeper(at)
        members: list[Member] = []
        while self._now.kind != "}":
            if self._now.kind == "end":
                raise self._source.error(at, "the object has no end: '}' is missing")
            members.append(self._member())
            if self._now.kind == ",":
                self._take()
        self._take()
        self._depth -= 1
        return ObjectNode(tuple(members), at)

    def _list(self) -> ListNode:
        at = self._take().at
        self._deeper(at)
        items: list[Node] = []
        while True:
            while self._now.kind == ",":
                self._take()
            if self._now.kind == "]":
                break
            items.append(self._value())
            if self._now.kind not in {",", "]"}:
                raise self._source.error(self._now.at, "',' or ']' is expected in the list")
        self._take()
        self._depth -= 1
        return ListNode(tuple(items), at)


class _Json(_Parser):
    def _members(self) -> Iterator[Member]:
        for key in self._keys():
            if self._now.kind == "{":
                yield from self._blocks(key)
            elif self._now.kind == "[":
                at = self._now.at
                for _ in self._items():
                    if self._now.kind == "{":
                        yield from self._blocks(key)
                    else:
                        yield Member((key,), ListNode((self._value(),), at))
            else:
                yield Member((key,), self._value())
        self._expect("end", "nothing may follow the object")

    def _blocks(self, key: Key) -> Iterator[Member]:
        """Give what an object of objects, or of lists of them, stands for."""
        for label in self._keys():
            if self._now.kind == "[":
                for _ in self._items():
                    yield Member((key, label), self._value())
            else:
                yield Member((key, label), self._value())

    def _value(self) -> Node:
        if self._now.kind == "{":
            return self._object()
        if self._now.kind == "[":
            return self._list()
        literal = self._literal()
        if literal is None:
            raise self._source.error(self._now.at, "a value other than null is expected")
        return literal

    def _object(self) -> ObjectNode:
        at = self._now.at
        return ObjectNode(tuple(Member((key,), self._value()) for key in self._keys()), at)

    def _list(self) -> ListNode:
        at = self._now.at
        return ListNode(tuple(self._value() for _ in self._items()), at)

    def _keys(self) -> Iterator[Key]:
        """Give the keys of an object, each to be followed by a reading of its value."""
        self._deeper(self._expect("{", "an object is expected").at)
        first = True
        while self._now.kind != "}":
            if not first:
                self._expect(",", "',' or '}' is expected")
            first = False
            key = self._expect("text", "a key in quotes is expected")
            self._expect(":", "':' is expected")
            yield Key(key.value, key.at)
        self._take()
        self._depth -= 1

    def _items(self) -> Iterator[None]:
        """Stop before each item of a list, which is then to be read."""
        self._deeper(self._take().at)
        first = True
        while self._now.kind != "]":
            if not first:
                self._expect(",", "',' or ']' is expected")
            first = False
            yield
        self._take()
        self._depth -= 1


def _number(text: str) -> int | float:
    """Return the value of a number as HCL and Go write it: `0x1f`, `017`, `-5`, `1.5`, `1e3`; raises ValueError."""
    digits = text.removeprefix("-")
    if digits[:2] in {"0x", "0X"}:
        return int(text, 16)
    if digits.isdecimal():
        if len(digits) > 20:
            return _INT64
        return int(text, 8) if digits.startswith("0") else int(text)
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("not finite")
    return number
