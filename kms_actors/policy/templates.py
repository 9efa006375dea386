"""Rules that speak of who asks: `secret/data/{{identity.entity.name}}/*`.

A value enters a path as text and never as a pattern. Where there is none, the rule is left out for this bearer. One
that holds `*`, `+` or `/`, or is empty, would make another rule of it, so all policies of this bearer give nothing:
to leave the rule out would be no safer, since it may be one that denies. Source: Vault's page "Policies", Templated
Policies; the reference, whose options `allow_wildcards_in_identity_templates` and
`allow_slashes_in_identity_templates` let such values in for one policy.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

#: What a value may not hold unless its policy says so.
BLOCKED: Final = "*+/"


class Alias(msgspec.Struct, frozen=True):
    """How an entity is known to one login mount, which `accessor` names."""

    accessor: str
    id: str
    name: str
    metadata: Mapping[str, str] = {}
    custom_metadata: Mapping[str, str] = {}


class Group(msgspec.Struct, frozen=True):
    """A group that an entity is in, by itself or through another group."""

    id: str
    name: str
    metadata: Mapping[str, str] = {}


class Subject(msgspec.Struct, frozen=True):
    """What templates may know of who asks."""

    id: str
    name: str = ""
    metadata: Mapping[str, str] = {}
    aliases: tuple[Alias, ...] = ()
    groups: tuple[Group, ...] = ()

    def __repr__(self) -> str:
        return "<Subject>"

    @property
    def key(self) -> bytes:
        """Bytes that are equal for equal subjects."""
        return _ENCODER.encode(self)


_ENCODER: Final = msgspec.msgpack.Encoder(order="deterministic")


class BrokenTemplate(Exception):
    """A path whose braces do not pair, or that asks for what is not offered; the text says which."""


class ForbiddenValue(Exception):
    """A value that would make another rule of the one it is filled into."""


def is_template(path: str) -> bool:
    """Tell whether a path holds `{{…}}`; raises BrokenTemplate."""
    return any(asked for _, asked in _pieces(path))


def fill(path: str, subject: Subject | None, blocked: str = BLOCKED) -> str | None:
    """Return the path with its values, or None where one is missing; raises ForbiddenValue."""
    filled: list[str] = []
    for text, asked in _pieces(path):
        filled.append(text)
        if asked is None:
            continue
        value = _value(asked, subject)
        if value is None:
            return None
        if not value or any(character in value for character in blocked):
            raise ForbiddenValue
        filled.append(value)
    return "".join(filled)


def _pieces(path: str) -> list[tuple[str, str | None]]:
    """Return texts, each with what is asked for after it; the last with None."""
    head, *rest = path.split("{{")
    if "}}" in head:
        raise BrokenTemplate("'}}' without '{{' in the path")
    pieces: list[tuple[str, str | None]] = []
    text = head
    for piece in rest:
        asked, *after = piece.split("}}")
        if len(after) != 1:
            raise BrokenTemplate("'{{' and '}}' do not pair in the path")
        asked = asked.strip()
        if asked.startswith("time."):
            raise BrokenTemplate("templates of time are not supported")
        pieces.append((text, asked))
        text = after[0]
    return [*pieces, (text, None)]


def _value(asked: str, subject: Subject | None) -> str | None:
    if subject is None:
        return None
    if asked.startswith("identity.entity."):
        return _of_entity(asked.removeprefix("identity.entity."), subject)
    if asked.startswith("identity.groups."):
        return _of_group(asked.removeprefix("identity.groups."), subject.groups)
    return None


def _of_entity(asked: str, subject: Subject) -> str | None:
    if asked == "id":
        return subject.id or None
    if asked == "name":
        return subject.name or None
    kind, _, rest = asked.partition(".")
    if kind == "metadata":
        return subject.metadata.get(rest)
    if kind == "aliases":
        accessor, _, field = rest.partition(".")
        alias = next((alias for alias in subject.aliases if alias.accessor == accessor), None)
        return None if alias is None else _of_alias(field, alias)
    return None


def _of_alias(asked: str, alias: Alias) -> str | None:
    if asked == "id":
        return alias.id or None
    if asked == "name":
        return alias.name or None
    kind, _, name = asked.partition(".")
    if kind == "metadata":
        return alias.metadata.get(name)
    if kind == "custom_metadata":
        return alias.custom_metadata.get(name)
    return None


def _of_group(asked: str, groups: tuple[Group, ...]) -> str | None:
    by, _, rest = asked.partition(".")
    name, _, field = rest.partition(".")
    if by not in {"ids", "names"}:
        return None
    group = next((group for group in groups if name == (group.id if by == "ids" else group.name)), None)
    if group is None:
        return None
    if field == "id":
        return group.id or None
    if field == "name":
        return group.name or None
    kind, _, key = field.partition(".")
    return group.metadata.get(key) if kind == "metadata" else None
