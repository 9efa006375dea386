"""What the bearer of several policies may do: compiled once, asked for each request.

A decision is one look-up in a dictionary for a path seen before; else it is that of `paths`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any, Final

import msgspec

from kms_actors.auth.principal import MadeOf
from kms_actors.policy.builtin import ROOT
from kms_actors.policy.document import Policy
from kms_actors.policy.paths import FORBIDDEN, Kind, Place, Prefixes, Segments, Sorted, place_of, prefix_priority
from kms_actors.policy.rule import Rule, merge
from kms_actors.policy.steps import Steps, drained
from kms_actors.policy.templates import ForbiddenValue, Subject, fill

#: Decisions of each kind that are remembered, and the longest path among them, in characters.
KEPT: Final = 128
_KEPT_PATH: Final = 256
#: Bytes that a rule takes compiled, beside its texts; and a remembered decision.
_RULE_BYTES: Final = 700
_KEPT_BYTES: Final = 200
#: Rules that are taken in between two pauses.
_STEP: Final = 100

Tables = tuple[dict[str, Rule], dict[str, Rule], dict[str, Rule]]


class Acl:
    """The rules of a bearer. Immutable but for what it remembers.

    `ends_at` is when the first of its rules ends, in seconds since 1970: from then on, compile anew.
    `made_of` has the name and the stamp of each policy that it was made of, as who compiled it said. `withheld` names
    the policy for whose sake all of them give nothing: a value of its template is one that it must not have.
    """

    __slots__ = (
        "_exact", "_kept", "_listed", "_prefix_rules", "_prefixes", "_segments", "_sorted", "_touched", "ends_at",
        "is_root", "made_of", "size", "withheld",
    )  # fmt: skip

    def __init__(
        self,
        tables: Tables,
        segments: Segments[Rule] | None,
        *,
        root: bool = False,
        ends_at: float | None = None,
        made_of: MadeOf = (),
        withheld: str | None = None,
    ) -> None:
        self._exact, self._prefix_rules, _ = tables
        self._prefixes: Final = Prefixes(self._prefix_rules)
        self._segments: Final = segments
        self._sorted: Sorted[Rule] | None = None
        self._kept: Final[dict[str, Rule | None]] = {}
        self._listed: Final[dict[str, Rule | None]] = {}
        self._touched: Final[dict[str, bool]] = {}
        self.is_root: Final = root
        self.ends_at: Final = ends_at
        self.made_of: Final = made_of
        self.withheld: Final = withheld
        texts = sum(_texts(rule) for table in tables for rule in table.values())
        self.size: Final = sum(map(len, tables)) * _RULE_BYTES + 4 * texts + 2 * KEPT * _KEPT_BYTES

    def rule(self, path: str, *, listing: bool = False) -> Rule | None:
        """Return the rule that speaks for `path`, without `/v1/`, or None where nothing may be done.

        `listing`: a list of `a/b/` may be given by a rule for `a/b` as well, if none speaks for `a/b/`; what
        `sys/capabilities` shows is found so too.
        """
        kept = self._listed if listing else self._kept
        try:
            return kept[path]
        except KeyError:
            rule = self._find(path, listing)
        if len(path) <= _KEPT_PATH:
            if len(kept) >= KEPT:
                del kept[next(iter(kept))]
            kept[path] = rule
        return rule

    def touches(self, prefix: str) -> bool:
        """Tell whether something may be done at or below a mount's path, which ends in a slash."""
        known = self._touched.get(prefix)
        if known is None:
            known = self.is_root or self._touches(prefix)
            if len(self._touched) < KEPT:
                self._touched[prefix] = known
        return known

    def resultant(self) -> dict[str, Any]:
        """Return what `sys/internal/ui/resultant-acl` shows; rules with `+` are not among it, as in the reference."""
        if self.is_root:
            return {"root": True}
        return {"root": False, "exact_paths": _shown(self._exact), "glob_paths": _shown(self._prefix_rules)}

    def _find(self, path: str, listing: bool) -> Rule | None:
        rule = self._exact.get(path)
        if rule is None and listing:
            rule = self._exact.get(path.removesuffix("/"))
        if rule is None:
            rule = self._pattern(path)
        if rule is None and listing and path.endswith("/"):
            rule = self._pattern(path[:-1])
        return rule

    def _pattern(self, path: str) -> Rule | None:
        rule = self._prefixes.longest(path)
        if self._segments is None:
            return rule
        found = self._segments.first(path)
        if found is None:
            return rule
        if rule is not None and prefix_priority(rule.path[:-1]) > found[0]:
            return rule
        return found[1]

    def _touches(self, path: str) -> bool:
        rule = self.rule(path, listing=True)
        if self._sorted is None:
            self._sorted = Sorted(self._exact)
        reaching = self._segments.reaching(path) if self._segments is not None else ()
        rules = chain(
            (rule, self._prefixes.longest(path)), self._sorted.below(path), self._prefixes.below(path), reaching
        )
        return any(rule is not None and not rule.empty for rule in rules)


def compile_acl(
    policies: Iterable[Policy], subject: Subject | None = None, *, now: float = 0.0, made_of: MadeOf = ()
) -> Acl:
    """Return what the bearer of `policies` may do; templates are filled with what is known of `subject`.

    `now`, in seconds since 1970, leaves out rules that have ended. The policy `root` allows everything, but only
    alone: no token has it together with others, so such a set allows nothing.
    """
    return drained(compiling(policies, subject, now=now, made_of=made_of))


def compiling(
    policies: Iterable[Policy], subject: Subject | None = None, *, now: float = 0.0, made_of: MadeOf = ()
) -> Steps[Acl]:
    """Do as `compile_acl`, some rules a step."""
    policies = tuple(policies)
    if any(policy.name == ROOT for policy in policies):
        return Acl(({}, {}, {}), None, root=len(policies) == 1, made_of=made_of)
    tables: Tables = ({}, {}, {})
    ends_at: float | None = None
    count = 0
    for policy in policies:
        for written in policy.rules:
            rule, place = written.rule, written.place
            end = _earlier(written.expires_at, policy.expires_at)
            if end is not None and end <= now:
                continue
            ends_at = _earlier(ends_at, end)
            if place is None:
                try:
                    place = _filled(rule.path, subject, policy.blocked)
                except ForbiddenValue:
                    return Acl(({}, {}, {}), None, made_of=made_of, withheld=policy.name)
                if place is None:
                    continue
                rule = _moved(rule, place)
            table = tables[place.kind]
            known = table.get(place.key)
            table[place.key] = rule if known is None else merge(known, rule)
            count += 1
            if not count % _STEP:
                yield
    segments: Segments[Rule] | None = None
    if tables[Kind.SEGMENTS]:
        segments = Segments()
        for path, rule in tables[Kind.SEGMENTS].items():
            segments.add(path, rule)
            count += 1
            if not count % _STEP:
                yield
    return Acl(tables, segments, ends_at=ends_at, made_of=made_of)


def _earlier(first: float | None, second: float | None) -> float | None:
    return second if first is None else first if second is None else min(first, second)


def _filled(path: str, subject: Subject | None, blocked: str) -> Place | None:
    filled = fill(path, subject, blocked)
    if filled is None:
        return None
    if FORBIDDEN in filled:
        raise ForbiddenValue
    return place_of(filled.removeprefix("/"))


def _moved(rule: Rule, place: Place) -> Rule:
    path = place.key + "*" if place.kind is Kind.PREFIX else place.key
    return msgspec.structs.replace(rule, path=path)


def _texts(rule: Rule) -> int:
    """Return about how many characters a rule's path and parameters have."""
    values = sum(
        len(name) + sum(len(str(value)) for value in items)
        for table in (rule.allowed_parameters, rule.denied_parameters)
        if table
        for name, items in table.items()
    )
    return len(rule.path) + values + sum(map(len, rule.required_parameters))


def _shown(table: Mapping[str, Rule]) -> dict[str, Any]:
    return {path: _rule_shown(rule) for path, rule in sorted(table.items())}


def _rule_shown(rule: Rule) -> dict[str, Any]:
    shown: dict[str, Any] = {"capabilities": rule.shown}
    for name in ("min_wrapping_ttl", "max_wrapping_ttl"):
        if getattr(rule, name):
            shown[name] = getattr(rule, name) // 10**9
    names = ("allowed_parameters", "denied_parameters", "required_parameters")
    return shown | {name: getattr(rule, name) for name in names if getattr(rule, name)}
