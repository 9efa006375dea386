"""Drawn policies, the requests that a bearer of them makes, and what our engine says to each."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from kms_actors.auth.principal import Capability
from kms_actors.errors import PermissionDenied
from kms_actors.policy.acl import Acl, compile_acl
from kms_actors.policy.document import parse

#: Stands for the mount in drawn paths.
MOUNT: Final = "kv"
_CAPABILITIES: Final = ("create", "read", "update", "delete", "list", "patch", "sudo", "scan")
#: Values that rules name and requests send: no number is equal to a number, and no text to a number, there.
_TEXTS: Final = ("x", "xy", "yx", "", "*", "é")
_ITEMS: Final[tuple[Any, ...]] = (*_TEXTS, "x*", "*x", "*x*", "*", True, ["x"], {"k": "x"}, ["x", True])
_SENT: Final[tuple[Any, ...]] = (*_TEXTS, True, False, None, 7, 1.5, ["x"], {"k": "x"}, ["x", True], [])
_FIELDS: Final = ("a", "b", "A", "data")


class Rule(NamedTuple):
    """A path and what is said of it."""

    path: str
    inside: Mapping[str, Any]


class Request(NamedTuple):
    """A use of a token: of a verb, with fields in a body or a query, and a TTL of wrapping in seconds."""

    verb: str
    path: str
    sent: Mapping[str, Any]
    wrap: int | None = None


class Case(NamedTuple):
    """Policies of one token, in HCL or JSON, and what is asked."""

    texts: tuple[str, ...]
    paths: tuple[str, ...]
    requests: tuple[Request, ...]


class Draw:
    """Case `number` of `seed`, on a mount."""

    def __init__(self, seed: str, number: int, mount: str) -> None:
        self._random = random.Random(f"policies/{seed}/{number}")
        self._mount = mount

    def case(self, paths: int, requests: int) -> Case:
        policies = [self._policy() for _ in range(self._random.randint(1, 3))]
        texts = tuple(self._random.choice((hcl, as_json))(rules) for rules in policies)
        asked = [self._path() for _ in range(paths)]
        return Case(texts, tuple(dict.fromkeys(asked)), tuple(self._request() for _ in range(requests)))

    def _policy(self) -> list[Rule]:
        return [Rule(self._pattern(), self._inside()) for _ in range(self._random.randint(0, 7))]

    def _pattern(self) -> str:
        """Return a path of a rule: mostly below the mount, with segments of few names, so that rules meet."""
        segments = [self._one("a", "b", "ab", "+", "+", "", "a+", "+a") for _ in range(self._random.randint(0, 3))]
        first = self._one(self._mount, self._mount, self._mount, self._mount[:-1], "+", "")
        path = "/".join(filter(None, [first])) + "".join(f"/{segment}" for segment in segments)
        path += self._one("", "", "*", "/*", "/")
        return "a" if "+*" in path else "/" * self._seldom(4) + path

    def _inside(self) -> dict[str, Any]:
        if self._seldom(8):
            return {"policy": self._one("read", "write", "sudo", "deny")}
        inside: dict[str, Any] = {"capabilities": self._some(_CAPABILITIES, 5)}
        if self._seldom(12):
            inside["capabilities"].append("deny")
        for name in ("allowed_parameters", "denied_parameters"):
            if self._seldom(5):
                inside[name] = {self._one(*_FIELDS, "*"): self._some(_ITEMS, 3) for _ in range(self._one(0, 1, 2))}
        if self._seldom(8):
            inside["required_parameters"] = self._some(_FIELDS[:3], 2)
        if self._seldom(8):
            least, most = sorted((self._one(0, 10, 20, 30), self._one(10, 20, 30)))
            inside |= {
                "min_wrapping_ttl": self._one(least, f"{least}s"),
                "max_wrapping_ttl": self._one(most, f"{most}s"),
            }
        if self._seldom(8):
            inside["pagination_limit"] = self._one(0, 1, 5, "5")
        return inside

    def _path(self) -> str:
        """Return a path that may be asked for, with a slash at its end or not."""
        segments = [self._one("a", "b", "ab", "abc", "+", "a+", "é") for _ in range(self._random.randint(0, 3))]
        first = "a" if self._seldom(4) else self._mount
        return "/".join([first, *segments]) + ("/" if self._seldom(3) else "")

    def _request(self) -> Request:
        verb = self._one("GET", "POST", "POST", "POST", "LIST", "DELETE", "PATCH", "SCAN")
        segments = [self._one("a", "b", "ab", "abc") for _ in range(self._random.randint(1, 3))]
        path = "/".join([self._mount, *segments])
        wrap = self._one(10, 15, 25, 40) if self._seldom(5) else None
        if verb in {"LIST", "SCAN"}:
            limit = {"limit": self._one("1", "5", "7", "0", "max", "-1", "x")} if self._seldom(2) else {}
            return Request(verb, path + "/", limit, wrap)
        values = [value for value in _TEXTS if value] if verb == "GET" else _SENT
        sent = {self._one(*_FIELDS): self._one(*values) for _ in range(self._one(0, 1, 1, 2))}
        return Request(verb, path, {} if verb == "DELETE" else sent, wrap)

    def _some(self, choices: Sequence[Any], most: int) -> list[Any]:
        return [self._random.choice(choices) for _ in range(self._random.randint(0, most))]

    def _one(self, *choices: Any) -> Any:
        return self._random.choice(choices)

    def _seldom(self, one_in: int) -> bool:
        return self._random.randrange(one_in) == 0


def hcl(rules: Sequence[Rule]) -> str:
    """Return the rules in HCL."""
    blocks = [f"path {_text(rule.path)} {{\n{_members(rule.inside)}}}\n" for rule in rules]
    return "# drawn\n" + "".join(blocks)


def as_json(rules: Sequence[Rule]) -> str:
    """Return the rules in JSON; what it cannot say there, the reference drops: then in HCL."""
    if any(_has_true(rule.inside) for rule in rules) or not rules:
        return hcl(rules)
    members = ", ".join(f"{json.dumps(rule.path)}: {json.dumps(rule.inside)}" for rule in rules)
    return f'{{"path": {{{members}}}}}'


def _members(inside: Mapping[str, Any]) -> str:
    return "".join(f"  {name} = {_value(value)}\n" for name, value in inside.items())


def _value(value: Any) -> str:
    if isinstance(value, dict):
        members = ", ".join(f"{_text(name)} = {_value(inner)}" for name, inner in value.items())
        return f"{{ {members} }}"
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    return _text(value) if isinstance(value, str) else json.dumps(value)


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def _has_true(value: Any) -> bool:
    """Tell whether there is a boolean, a list in a list, or a rule without anything but objects in it."""
    if isinstance(value, Mapping):
        return all(isinstance(inner, Mapping) for inner in value.values()) or any(map(_has_true, value.values()))
    if isinstance(value, list):
        return any(isinstance(inner, bool | list | dict) for inner in value)
    return False


def compiled(texts: Sequence[str]) -> Acl:
    """Return what the policies give, by our engine."""
    return compile_acl([parse(f"p{number}", text) for number, text in enumerate(texts)])


_NEEDED: Final = {
    "GET": Capability.READ,
    "LIST": Capability.LIST,
    "SCAN": Capability.SCAN,
    "DELETE": Capability.DELETE,
    "PATCH": Capability.PATCH,
}


def allows(acl: Acl, request: Request, *, there: bool) -> bool:
    """Tell whether our engine lets a request through; `there`: something lies at its path."""
    listing = request.verb in {"LIST", "SCAN"}
    rule = acl.rule(request.path, listing=listing)
    if rule is None:
        return False
    written = Capability.UPDATE if there else Capability.CREATE
    if not rule.permits(_NEEDED.get(request.verb, written)):
        return False
    try:
        rule.check_wrapping(request.wrap)
        if listing:
            rule.limited(request.sent)
        elif request.verb != "DELETE":
            rule.check_parameters(request.sent)
    except PermissionDenied:
        return False
    return True
