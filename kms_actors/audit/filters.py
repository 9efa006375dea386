"""Filters: which requests a device writes entries of. A bounded part of Vault's grammar (go-bexpr).

    expression   =  term ("or" term)*
    term         =  factor ("and" factor)*
    factor       =  "not" factor | "(" expression ")" | match
    match        =  selector ("==" | "!=" | "contains" | "not contains") value
                 |  value ("in" | "not in") selector
                 |  selector ("is empty" | "is not empty")

Selectors are `mount_point`, `mount_type`, `namespace`, `operation` and `path`. Values are quoted, or words. Of texts,
`in` and `contains` look for a part. `matches` is refused: its expressions would have to be those of another language.

Source: Vault's page "Filter syntax for audit results".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from kms_actors.errors import InvalidRequest

MAX_LENGTH: Final = 2_048  # characters
MAX_MATCHES: Final = 64
MAX_DEPTH: Final = 16

SELECTORS: Final = ("mount_point", "mount_type", "namespace", "operation", "path")

#: Tells whether an entry with these facts, by selector, is written.
Filter = Callable[[Mapping[str, str]], bool]

_TOKEN: Final = re.compile(
    r"""\s*(?: (?P<quoted>"(?:[^"\\]|\\["\\])*"|`[^`]*`) | (?P<sign>==|!=|\(|\)) | (?P<word>[^\s()"`=!]+) )""",
    re.VERBOSE,
)
_KEYWORDS: Final = frozenset({"and", "or", "not", "in", "is", "empty", "contains", "matches"})


def parse(text: str) -> Filter:
    """Return the filter that a text describes; raises InvalidRequest, which says where it is wrong."""
    if len(text) > MAX_LENGTH:
        raise _wrong(f"longer than {MAX_LENGTH} characters")
    return _Parser(_tokens(text)).whole()


def _tokens(text: str) -> list[tuple[str, str]]:
    tokens: list[tuple[str, str]] = []
    position = 0
    while text[position:].strip():
        found = _TOKEN.match(text, position)
        if found is None:
            raise _wrong(f"not understood from character {position + 1} on")
        kind = found.lastgroup or ""
        value = found[kind]
        if kind == "quoted":
            value = value[1:-1] if value[0] == "`" else re.sub(r"\\(.)", r"\1", value[1:-1])
        elif kind == "word" and value in _KEYWORDS:
            kind = "keyword"
        tokens.append((kind, value))
        position = found.end()
    return tokens


class _Parser:
    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self._tokens = tokens
        self._place = 0
        self._depth = 0
        self._matches = 0

    def whole(self) -> Filter:
        found = self._any()
        if self._place < len(self._tokens):
            raise _wrong(f"{self._tokens[self._place][1]!r} is one too many")
        return found

    def _any(self) -> Filter:
        parts = [self._all()]
        while self._take("keyword", "or"):
            parts.append(self._all())
        return parts[0] if len(parts) == 1 else lambda facts: any(part(facts) for part in parts)

    def _all(self) -> Filter:
        parts = [self._factor()]
        while self._take("keyword", "and"):
            parts.append(self._factor())
        return parts[0] if len(parts) == 1 else lambda facts: all(part(facts) for part in parts)

    def _factor(self) -> Filter:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise _wrong(f"nested deeper than {MAX_DEPTH}")
        try:
            if self._take("keyword", "not"):
                inner = self._factor()
                return lambda facts: not inner(facts)
            if self._take("sign", "("):
                grouped = self._any()
                if not self._take("sign", ")"):
                    raise _wrong("a bracket is not closed")
                return grouped
            return self._match()
        finally:
            self._depth -= 1

    def _match(self) -> Filter:
        self._matches += 1
        if self._matches > MAX_MATCHES:
            raise _wrong(f"more than {MAX_MATCHES} comparisons")
        kind, first = self._operand()
        negated = self._take("keyword", "not")
        if self._take("keyword", "in"):
            return _contains(self._selector(), first, negated=negated)
        if kind == "quoted" or first not in SELECTORS:
            raise _wrong(f"{first!r} is no selector: one of {', '.join(SELECTORS)}")
        if self._take("keyword", "contains"):
            return _contains(first, self._operand()[1], negated=negated)
        if negated:
            raise _wrong("`not` stands before a comparison, or before `in` and `contains`")
        return self._compared(first)

    def _compared(self, selector: str) -> Filter:
        if self._take("sign", "=="):
            equal = self._operand()[1]
            return lambda facts: facts[selector] == equal
        if self._take("sign", "!="):
            other = self._operand()[1]
            return lambda facts: facts[selector] != other
        if self._take("keyword", "is"):
            filled = self._take("keyword", "not")
            if self._take("keyword", "empty"):
                return lambda facts: bool(facts[selector]) is filled
        if self._take("keyword", "matches"):
            raise _wrong("`matches` is not supported: use ==, !=, in, contains, is empty")
        raise _wrong(f"after {selector!r} comes no comparison")

    def _selector(self) -> str:
        kind, name = self._operand()
        if kind == "quoted" or name not in SELECTORS:
            raise _wrong(f"{name!r} is no selector: one of {', '.join(SELECTORS)}")
        return name

    def _operand(self) -> tuple[str, str]:
        if self._place == len(self._tokens):
            raise _wrong("it ends too early")
        kind, value = self._tokens[self._place]
        if kind not in {"quoted", "word"}:
            raise _wrong(f"{value!r} stands where a selector or a value is expected")
        self._place += 1
        return kind, value

    def _take(self, kind: str, value: str) -> bool:
        if self._place < len(self._tokens) and self._tokens[self._place] == (kind, value):
            self._place += 1
            return True
        return False


def _contains(selector: str, part: str, *, negated: bool) -> Filter:
    return lambda facts: (part in facts[selector]) is not negated


def _wrong(why: str) -> InvalidRequest:
    return InvalidRequest(f"invalid filter: {why}")
