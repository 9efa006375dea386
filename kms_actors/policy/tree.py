"""What a policy's text is read into: members with keys and values, each with the place it was written at.

HCL and JSON give the same. Places are offsets in characters; line and column are told when an error needs them.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import msgspec

from kms_actors.errors import InvalidRequest

#: Objects and lists within each other.
MAX_DEPTH: Final = 32


class Key(msgspec.Struct, frozen=True):
    """A key or a label of a block."""

    text: str
    at: int


class Literal(msgspec.Struct, frozen=True):
    """A value; `written` is what a number looked like."""

    value: str | int | float | bool
    written: str
    at: int


class ListNode(msgspec.Struct, frozen=True):
    """Values in order."""

    items: tuple[Node, ...]
    at: int


class ObjectNode(msgspec.Struct, frozen=True):
    """Members in the order they were written; equal keys may come again."""

    members: tuple[Member, ...]
    at: int


class Member(msgspec.Struct, frozen=True):
    """`keys` has one entry, and more for a block with labels: `path "secret/*" { … }`."""

    keys: tuple[Key, ...]
    value: Node

    @property
    def name(self) -> str:
        return self.keys[0].text

    @property
    def at(self) -> int:
        return self.keys[0].at


Node: TypeAlias = Literal | ListNode | ObjectNode


class Source:
    """The text of a policy; each of its lines ends in one newline."""

    __slots__ = ("json", "text", "what")

    def __init__(self, text: str, what: str = "policy") -> None:
        self.text: Final = text.replace("\r\n", "\n")
        self.json: Final = text.lstrip().startswith("{")
        self.what: Final = what

    def where(self, at: int) -> tuple[int, int]:
        """Return line and column of an offset, both counted from one."""
        return self.text.count("\n", 0, at) + 1, at - self.text.rfind("\n", 0, at)

    def error(self, at: int, reason: str) -> InvalidRequest:
        """Return the error to raise; `reason` names keys, never values that may be secret."""
        line, column = self.where(at)
        return InvalidRequest(f"failed to parse {self.what}: line {line}, column {column}: {reason}")
