"""An ACL policy: its text read into rules, or refused with line and column.

What the reference knows and this server does not do (control groups, MFA, filters of lists) is refused: a policy that
is taken means what it says. Source: Vault's page "Policies"; the reference's own keys.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

import msgspec

from kms_actors.auth.principal import Capability
from kms_actors.durations import parse_duration
from kms_actors.policy import hcl
from kms_actors.policy.paths import FORBIDDEN, Place, place_of
from kms_actors.policy.rule import Rule
from kms_actors.policy.steps import Steps, drained
from kms_actors.policy.templates import BLOCKED, BrokenTemplate, is_template
from kms_actors.policy.tree import Key, ListNode, Literal, Member, Node, ObjectNode, Source

#: Rules of one policy, and bytes of one path.
MAX_RULES: Final = 2_000
MAX_PATH: Final = 1_024

_DENY: Final = "deny"
_NAMES: Final = frozenset({*Capability, _DENY})
_READ: Final = ("read", "list")
_WRITE: Final = ("create", "read", "update", "delete", "list")
#: What `policy = "…"` of the oldest policies stands for.
_OLD: Final = {"deny": (_DENY,), "read": _READ, "write": _WRITE, "sudo": (*_WRITE, "sudo")}
_REFUSED: Final = {
    "control_group": "control groups are not supported",
    "mfa_methods": "MFA methods are not supported",
    "list_scan_response_keys_filter_path": "filters of lists are not supported",
}
_NOT_A_LIST: Final = "a list is expected"
_SECOND: Final = 10**9
_LONGEST: Final = 100 * 365 * 86_400 * _SECOND


class PathRule(msgspec.Struct, frozen=True):
    """One rule as it was written. `place` is None for a template, whose path is known once its values are."""

    rule: Rule
    place: Place | None
    expires_at: float | None = None  # seconds since 1970


class Policy(msgspec.Struct, frozen=True):
    """A policy that was read.

    `blocked` are the characters that values of templates may not hold. From `expires_at` on, in seconds since 1970,
    it gives nothing.
    """

    name: str
    rules: tuple[PathRule, ...] = ()
    blocked: str = BLOCKED
    expires_at: float | None = None


def parse(name: str, text: str, blocked: str = BLOCKED) -> Policy:
    """Return the policy of a text in HCL or JSON.

    Raises:
        InvalidRequest: with line and column of what cannot be.

    """
    return drained(reading(name, text, blocked))


def reading(name: str, text: str, blocked: str = BLOCKED, expires_at: float | None = None) -> Steps[Policy]:
    """Do as `parse`, a rule a step."""
    members, source = hcl.read(text)
    rules: list[PathRule] = []
    for member in members:
        if member.name == "path":
            rules.append(_rule(member, source))
            if len(rules) > MAX_RULES:
                raise source.error(member.at, f"more than {MAX_RULES:,} rules")
        elif member.name == "name":
            _text(_single(member, source), source)  # taken, and without effect, as in the reference
        else:
            raise source.error(member.at, f"invalid key {_shown(member.name)}")
        yield
    return Policy(name, tuple(rules), blocked, expires_at)


def _rule(block: Member, source: Source) -> PathRule:
    _, *labels = block.keys
    if len(labels) != 1:
        raise source.error(block.at, 'a path has one label: path "secret/*" { … }')
    label, node = labels[0], _object(block.value, source)
    found: dict[str, Any] = {}
    names: list[str] = []
    for member in node.members:
        if member.name in _REFUSED:
            raise source.error(member.at, _REFUSED[member.name])
        read = _READERS.get(member.name)
        if read is None:
            raise source.error(member.at, f"invalid key {_shown(member.name)}")
        value: Any = read(_single(member, source), source)
        if member.name == "capabilities":
            names += value
        elif isinstance(value, tuple):
            found[member.name] = found.get(member.name, ()) + value
        elif isinstance(value, dict):
            found[member.name] = _joined(found.get(member.name, {}), value)
        else:
            found[member.name] = value
    names += _OLD.get(found.pop("policy", ""), ())
    expires_at = found.pop("expiration", None)
    found.pop("comment", None)
    place, path = _path(label, source)
    if _DENY in names:
        return PathRule(Rule(path, denies=True), place, expires_at)
    least, most = found.get("min_wrapping_ttl", 0), found.get("max_wrapping_ttl", 0)
    if least and most and most < least:
        raise source.error(label.at, "max_wrapping_ttl is less than min_wrapping_ttl")
    capabilities = frozenset(map(Capability, names))
    return PathRule(Rule(path, capabilities, **found), place, expires_at)


def _path(label: Key, source: Source) -> tuple[Place | None, str]:
    path = label.text.removeprefix("/")
    if len(path.encode()) > MAX_PATH:
        raise source.error(label.at, f"a path has at most {MAX_PATH:,} bytes")
    if FORBIDDEN in path:
        raise source.error(label.at, f"invalid use of wildcards: '{FORBIDDEN}' is forbidden")
    try:
        template = is_template(label.text)
    except BrokenTemplate as broken:
        raise source.error(label.at, str(broken)) from None
    return (None, label.text) if template else (place_of(path), path)


def _joined(first: dict[str, tuple[Any, ...]], second: dict[str, tuple[Any, ...]]) -> dict[str, tuple[Any, ...]]:
    """Join parameters of one rule that were given in parts: equal names give one list."""
    joined = dict(first)
    for name, values in second.items():
        joined[name] = joined.get(name, ()) + values
    return joined


def _single(member: Member, source: Source) -> Node:
    if len(member.keys) > 1:
        raise source.error(member.keys[1].at, f"{_shown(member.name)} has no label")
    return member.value


def _object(node: Node, source: Source) -> ObjectNode:
    if not isinstance(node, ObjectNode):
        raise source.error(node.at, "an object is expected")
    return node


def _text(node: Node, source: Source) -> str:
    if not isinstance(node, Literal) or isinstance(node.value, bool | float):
        raise source.error(node.at, "a text is expected")
    return node.value if isinstance(node.value, str) else node.written


def _texts(node: Node, source: Source) -> tuple[str, ...]:
    if not isinstance(node, ListNode):
        raise source.error(node.at, _NOT_A_LIST)
    return tuple(_text(item, source) for item in node.items)


def _capabilities(node: Node, source: Source) -> tuple[str, ...]:
    names = _texts(node, source)
    for name, item in zip(names, node.items if isinstance(node, ListNode) else (), strict=True):
        if name not in _NAMES:
            raise source.error(item.at, f"invalid capability {_shown(name)}")
    return names


def _old_policy(node: Node, source: Source) -> str:
    name = _text(node, source)
    if name and name not in _OLD:
        raise source.error(node.at, f"invalid policy {_shown(name)}")
    return name


def _parameters(node: Node, source: Source) -> dict[str, tuple[Any, ...]]:
    """Return values by lower-cased names; each name has a list, or an object, which stands for a list of one."""
    found: dict[str, tuple[Any, ...]] = {}
    for member in _object(node, source).members:
        value = _single(member, source)
        if isinstance(value, Literal):
            raise source.error(value.at, _NOT_A_LIST)
        name = member.name.lower()
        items = value.items if isinstance(value, ListNode) else (value,)
        found[name] = found.get(name, ()) + tuple(_plain(item, source) for item in items)
    return found


def _plain(node: Node, source: Source) -> Any:
    if isinstance(node, Literal):
        return node.value
    if isinstance(node, ListNode):
        return [_plain(item, source) for item in node.items]
    plain: dict[str, Any] = {}
    for member in node.members:
        if member.name in plain:
            raise source.error(member.at, f"{_shown(member.name)} is given twice")
        plain[member.name] = _plain(_single(member, source), source)
    return plain


def _ttl(node: Node, source: Source) -> int:
    """Return nanoseconds: whole seconds, as number or text, or `1h30m`."""
    value = node.value if isinstance(node, Literal) else None
    nanoseconds: int | None = None
    if isinstance(value, int) and not isinstance(value, bool):
        nanoseconds = value * _SECOND
    elif isinstance(value, str):
        digits = value.isascii() and value.isdecimal() and len(value) < 20
        nanoseconds = int(value) * _SECOND if digits else parse_duration(value) if value else 0
    if nanoseconds is None or not 0 <= nanoseconds <= _LONGEST:
        raise source.error(node.at, "a duration is expected: whole seconds, or as 1h30m")
    return nanoseconds


def _limit(node: Node, source: Source) -> int:
    text = _text(node, source)
    if not text.isascii() or not text.removeprefix("-").isdecimal() or len(text) > 10:
        raise source.error(node.at, "a whole number is expected")
    return max(0, int(text))


def _moment(node: Node, source: Source) -> float | None:
    """Return seconds since 1970 of an RFC 3339 time, or of a number of seconds; None for an empty text."""
    text = _text(node, source)
    if not text:
        return None
    try:
        if text.isascii() and text.isdecimal() and len(text) < 12:
            return float(text)
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is not None and "T" in text:
            return moment.timestamp()
    except (ValueError, OverflowError):
        pass
    raise source.error(node.at, "a time is expected: RFC 3339, or seconds since 1970")


def _nothing(_: Node, __: Source) -> None:
    """Take whatever it is."""


_READERS: Final[Mapping[str, Callable[[Node, Source], Any]]] = {
    "comment": _nothing,
    "policy": _old_policy,
    "capabilities": _capabilities,
    "allowed_parameters": _parameters,
    "denied_parameters": _parameters,
    "required_parameters": _texts,
    "min_wrapping_ttl": _ttl,
    "max_wrapping_ttl": _ttl,
    "pagination_limit": _limit,
    "expiration": _moment,
}


def _shown(key: str) -> str:
    return repr(key if len(key) <= 64 else f"{key[:64]}…")
