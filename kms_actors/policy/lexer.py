"""The tokens of HCL 1 and of JSON, in time that grows with the text alone.

All repetitions of the expressions here are possessive: none gives back what it took, so none is tried twice.
Source: the scanner of HCL 1, whose rules for strings, `${…}` and here-documents are kept.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Final, NamedTuple, NoReturn

from kms_actors.policy.tree import Source


class Token(NamedTuple):
    """`kind`: `name`, `text`, `number`, `word` (true, false, null), `end`, or the sign itself."""

    kind: str
    value: str
    at: int


_SKIPPED: Final = re.compile(r"(?:[ \t\r\n]++|\#[^\n]*+|//[^\n]*+|/\*(?:[^*]++|\*(?!/))*+\*/)*+")
_HCL: Final = re.compile(
    r"""(?P<name>[^\W\d][\w.-]*+)
    |"(?P<plain>[^"\\\n$]*+)"
    |(?P<sign>[\[\]{},=])
    |(?P<number>-?(?:0[xX][0-9a-fA-F]++|[0-9]++(?:\.[0-9]*+)?(?:[eE][+-]?[0-9]++)?)|\.[0-9]++(?:[eE][+-]?[0-9]++)?)
    |(?P<quote>")
    |(?P<here><<(?P<indented>-?)(?P<anchor>\w++)\r?\n)
    |(?P<end>\Z)""",
    re.VERBOSE,
)
_JSON: Final = re.compile(
    r"""[ \t\r\n]*+(?:(?P<text>"(?:[^"\\\x00-\x1f]++|\\.)*+")
    |(?P<sign>[\[\]{},:])
    |(?P<number>-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?)
    |(?P<word>true|false|null)
    |(?P<end>\Z))""",
    re.VERBOSE,
)
_INSIDE: Final = re.compile(r'[^"\\\n$]++')
_ESCAPE: Final = re.compile(
    r"""\\(?:(?P<letter>[abfnrtv\\"])|(?P<octal>[0-7]{3})
    |x(?P<byte>[0-9a-fA-F]{2})|u(?P<short>[0-9a-fA-F]{4})|U(?P<long>[0-9a-fA-F]{8}))""",
    re.VERBOSE,
)
#: Characters of a text that has escapes, and of a here-document.
MAX_STRING: Final = 16_384
_TOO_LONG: Final = f"a text is longer than {MAX_STRING:,} characters"
_LETTERS: Final = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\", '"': '"'}


def hcl_tokens(source: Source) -> Iterator[Token]:
    """Give the tokens of HCL, the last of kind `end`; raises InvalidRequest with line and column."""
    text, at = source.text, 0
    while True:
        at = _skip(text, at)
        match = _HCL.match(text, at)
        if match is None:
            _refuse(source, at)
        kind = match.lastgroup
        if kind == "plain":
            yield Token("text", match["plain"], at)
        elif kind == "sign":
            yield Token(match["sign"], match["sign"], at)
        elif kind == "name":
            name = match["name"]
            yield Token("word" if name in {"true", "false"} else "name", name, at)
        elif kind == "number":
            yield Token("number", match["number"], at)
        elif kind == "end":
            yield Token("end", "", at)
            return
        else:
            value, end = _string(source, at) if kind == "quote" else _here(source, match)
            yield Token("text", value, at)
            at = end
            continue
        at = match.end()


def json_tokens(source: Source) -> Iterator[Token]:
    """Give the tokens of JSON, as `hcl_tokens` does."""
    text, at = source.text, 0
    while True:
        match = _JSON.match(text, at)
        if match is None:
            raise source.error(_blank(text, at), "this is no JSON")
        kind = match.lastgroup or ""
        value, start, at = match[kind], match.start(kind), match.end()
        if kind == "text":
            value = _json_string(source, value, start)
        yield Token(value if kind == "sign" else kind, value, start)
        if kind == "end":
            return


def _skip(text: str, at: int) -> int:
    match = _SKIPPED.match(text, at)
    return match.end() if match is not None else at


def _blank(text: str, at: int) -> int:
    while at < len(text) and text[at] in " \t\r\n":
        at += 1
    return at


def _refuse(source: Source, at: int) -> NoReturn:
    if source.text.startswith("/*", at):
        raise source.error(at, "the comment has no end")
    if source.text.startswith("<<", at):
        raise source.error(at, "a here-document begins with << or <<-, a word, and the end of the line")
    raise source.error(at, "no such character here")


def _string(source: Source, start: int) -> tuple[str, int]:
    """Read what the quick expression does not: escapes, and `${…}`, of which nothing is unescaped."""
    text, at, braces = source.text, start + 1, 0
    pieces: list[str] = []
    while at < min(len(text), start + MAX_STRING):
        character = text[at]
        run = _INSIDE.match(text, at)
        if run is not None:
            piece, end = run[0], run.end()
            if braces:
                piece, end, braces = _interpolated(piece, at, braces)
        elif character == "\\":
            value, end = _escape(source, at)
            piece = text[at:end] if braces else value
        elif character == "$" and not braces and text.startswith("${", at):
            piece, end, braces = "${", at + 2, 1
        elif character == '"' and not braces:
            return "".join(pieces), at + 1
        elif character == "\n" and not braces:
            break
        else:
            piece, end = character, at + 1
        pieces.append(piece)
        at = end
    too_long = at < len(text) and text[at] != "\n"
    raise source.error(start, _TOO_LONG if too_long else "the text has no end")


def _interpolated(run: str, at: int, braces: int) -> tuple[str, int, int]:
    """Return the part of a run that lies within `${…}`, where it ends, and how many braces are open there."""
    for index, character in enumerate(run):
        braces += (character == "{") - (character == "}")
        if not braces:
            return run[: index + 1], at + index + 1, 0
    return run, at + len(run), braces


def _escape(source: Source, at: int) -> tuple[str, int]:
    match = _ESCAPE.match(source.text, at)
    if match is None:
        raise source.error(at, "no such escape")
    if match["letter"]:
        return _LETTERS[match["letter"]], match.end()
    octal = match["octal"]
    code = int(octal, 8) if octal else int(match["byte"] or match["short"] or match["long"], 16)
    if code > 0x10FFFF or 0xD800 <= code < 0xE000 or (code > 0x7F and (octal or match["byte"])):
        raise source.error(at, "the escape is no character")
    return chr(code), match.end()


def _here(source: Source, match: re.Match[str]) -> tuple[str, int]:
    """Read a here-document up to a line that holds nothing but its anchor."""
    text, start, anchor = source.text, match.end(), match["anchor"]
    at = start
    lines: list[str] = []
    while (end := text.find("\n", at)) >= 0:
        line = text[at:end]
        if line.strip(" \t\r\v\f") == anchor and line.rstrip("\r").endswith(anchor):
            return _unindented(lines, line[: line.index(anchor)], indented=bool(match["indented"])), end
        lines.append(line + "\n")
        at = end + 1
        if at > start + MAX_STRING:
            raise source.error(match.start(), _TOO_LONG)
    raise source.error(match.start(), "the here-document has no end")


def _unindented(lines: list[str], indent: str, *, indented: bool) -> str:
    if indented and all(line.startswith(indent) for line in lines):
        lines = [line[len(indent) :] for line in lines]
    return "".join(lines)


def _json_string(source: Source, text: str, at: int) -> str:
    try:
        value = str(json.loads(text)) if "\\" in text else text[1:-1]
        value.encode()
    except ValueError:
        raise source.error(at, "no such escape, or half of a character") from None
    return value
