"""Templates: an entity with awkward names and metadata logs in at the reference, and our engine decides the same."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import NamedTuple
from uuid import uuid4

import pytest

from kms_actors.policy.acl import compile_acl
from kms_actors.policy.document import parse
from kms_actors.policy.templates import BLOCKED, Alias, Group, Subject
from tests.differential.pair import Side

_MOST = 400  # texts in one request: the reference takes no more than a thousand
#: Metadata of the entity and of its group; `empty` is a deviation, see below.
_METADATA = {
    "plain": "red",
    "dashed-key": "d",
    "star": "a*",
    "plus": "+",
    "slash": "a/b",
    "braces": "{{x}}",
    "other": "ü",
}
_ASKED = (
    *("identity.entity.id", "identity.entity.name", " identity.entity.name ", "identity.entity.metadata"),
    *(f"identity.entity.metadata.{key}" for key in (*_METADATA, "none")),
    *(f"identity.entity.aliases.ACCESSOR.{field}" for field in ("id", "name", "metadata.none", "other")),
    *(f"identity.entity.aliases.ACCESSOR.custom_metadata.{key}" for key in ("floor", "none")),
    *("identity.entity.aliases.other.name", "identity.entity.aliases.ACCESSOR", "identity.entity.groups.names"),
    *("identity.groups.ids.GROUP.name", "identity.groups.ids.GROUP.id", "identity.groups.ids.none.name"),
    *("identity.groups.names.GROUPNAME.id", "identity.groups.names.GROUPNAME.metadata.plain"),
    *("identity.groups.names.GROUPNAME.metadata.star", "identity.groups.names.none.id", "identity.groups.other.x.id"),
    *("bogus", "identity", "", "identity.entity", "identity.entity.metadata."),
)


class Known(NamedTuple):
    """Who logged in at the reference: the token, and what is known of its bearer."""

    side: Side
    token: str
    policy: str
    subject: Subject

    def write(self, text: str, settings: dict[str, bool]) -> None:
        """Write the bearer's policy."""
        answer = self.side("PUT", f"sys/policies/acl/{self.policy}", {"policy": text, **settings})
        assert answer.status == 204, answer

    def capabilities(self, paths: list[str]) -> list[list[str]] | None:
        """Return what the bearer may do at each path; None where all is refused."""
        found = []
        for start in range(0, len(paths), _MOST):
            some = paths[start : start + _MOST]
            answer = self.side("POST", "sys/capabilities", {"token": self.token, "paths": some})
            if answer.status == 403:
                return None
            assert answer.status == 200, answer
            found += [sorted(answer.data[path]) for path in some]
        return found


@pytest.fixture(scope="module")
def known(reference: Side) -> Iterator[Known]:
    name = f"tpl{uuid4().hex[:8]}"

    def make(path: str, body: object) -> dict[str, str]:
        answer = reference("POST", path, body)
        assert answer.status in (200, 204), answer
        return dict(answer.data or {})

    make(f"sys/auth/{name}", {"type": "userpass"})
    accessor = reference("GET", "sys/auth").data[f"{name}/"]["accessor"]
    make(f"auth/{name}/users/bob", {"password": "p", "token_policies": name, "token_no_default_policy": True})
    entity = make("identity/entity", {"name": f"{name} entity", "metadata": _METADATA | {"empty": ""}})["id"]
    custom = {"floor": "4"}
    alias = {"name": "bob", "canonical_id": entity, "mount_accessor": accessor, "custom_metadata": custom}
    alias_id = make("identity/entity-alias", alias)["id"]
    group = {"name": f"{name}-group", "member_entity_ids": [entity], "metadata": _METADATA}
    group_id = make("identity/group", group)["id"]
    raw = reference._exchange("POST", f"/v1/auth/{name}/login/bob", b'{"password": "p"}', {})[1]
    subject = Subject(
        entity,
        f"{name} entity",
        _METADATA | {"empty": ""},
        (Alias(accessor, alias_id, "bob", {}, custom),),
        (Group(group_id, f"{name}-group", _METADATA),),
    )
    yield Known(reference, json.loads(raw)["auth"]["client_token"], name, subject)
    for path in (f"sys/auth/{name}", f"identity/group/id/{group_id}", f"identity/entity/id/{entity}"):
        reference("DELETE", path)


def _named(asked: str, subject: Subject) -> str:
    group = subject.groups[0]
    names = {"ACCESSOR": subject.aliases[0].accessor, "GROUPNAME": group.name, "GROUP": group.id}
    for name, value in names.items():
        asked = asked.replace(name, value)
    return asked


#: Characters that values may not hold, the settings of a policy that say so, and metadata that holds none of them.
_SETTINGS: tuple[tuple[str, dict[str, bool], tuple[str, ...]], ...] = (
    (BLOCKED, {}, ("star", "plus", "slash")),
    ("*+", {"allow_slashes_in_identity_templates": True}, ("star", "plus")),
    ("/", {"allow_wildcards_in_identity_templates": True}, ("slash",)),
    ("", {"allow_slashes_in_identity_templates": True, "allow_wildcards_in_identity_templates": True}, ()),
)
_FORBIDDEN = [(blocked, settings, key) for blocked, settings, keys in _SETTINGS for key in keys]


@pytest.mark.parametrize(("blocked", "settings", "forbidden"), _SETTINGS)
def test_both_fill_templates_alike(
    known: Known, blocked: str, settings: dict[str, bool], forbidden: tuple[str, ...]
) -> None:
    asked = [_named(each, known.subject) for each in _ASKED if each.rpartition(".")[2] not in forbidden]
    text = "\n".join(
        f'path "tpl/{number}/{{{{{each}}}}}" {{ capabilities = ["read"] }}\n'
        f'path "tpl/{number}x{{{{{each}}}}}/x" {{ capabilities = ["list"] }}'
        for number, each in enumerate(asked)
    )
    known.write(text, settings)
    subject = known.subject
    values = ["", "abc", "a", "a/b", "*", "+", "a*", "bob", "4", "d", "ü", "{{x}}", "red", subject.id, subject.name]
    values += [subject.aliases[0].id, subject.groups[0].id, subject.groups[0].name]
    ends = [end for value in values for end in (f"/{value}", f"x{value}/x")]
    paths = [f"tpl/{number}{end}" for number in range(len(asked)) for end in ends]
    acl = compile_acl([parse("p", text, blocked)], subject)
    rules = [acl.rule(path, listing=True) for path in paths]
    ours = [["deny"] if rule is None else rule.shown for rule in rules]
    theirs_of = known.capabilities(paths)
    assert theirs_of is not None
    found = zip(paths, ours, theirs_of, strict=True)
    assert [(path, mine, theirs) for path, mine, theirs in found if mine != theirs] == []
    assert ours.count(["read"]) > 10


@pytest.mark.parametrize(("blocked", "settings", "key"), _FORBIDDEN)
def test_both_give_nothing_at_all_for_a_value_that_is_forbidden(
    known: Known, blocked: str, settings: dict[str, bool], key: str
) -> None:
    text = f"""path "tpl/*" {{ capabilities = ["read"] }}
        path "tpl/{{{{identity.entity.metadata.{key}}}}}" {{ capabilities = ["deny"] }}"""
    known.write(text, settings)
    assert known.capabilities(["tpl/a"]) is None
    assert compile_acl([parse("p", text, blocked)], known.subject).rule("tpl/a") is None


def test_an_empty_value_widens_no_rule_here(known: Known) -> None:
    text = 'path "tpl/{{identity.entity.metadata.empty}}*" { capabilities = ["read"] }'
    known.write(text, {})
    assert known.capabilities(["tpl/anything"]) == [["read"]]
    assert compile_acl([parse("p", text)], known.subject).rule("tpl/anything") is None
