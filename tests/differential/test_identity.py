"""Random walks over identities on both servers: same statuses and data, but for ids, times and a table of deviations.

`KMS_DIFFERENTIAL_SEED` and `KMS_DIFFERENTIAL_WALKS` choose the walks; a failure names what makes them again.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, NamedTuple

import pytest

from tests.differential.deviation import drawn_seed
from tests.differential.identity_walk import NOBODY, IdentityStep, Walk
from tests.differential.pair import Answer, Pair, Side

SEED = drawn_seed()
WALKS = int(os.environ.get("KMS_DIFFERENTIAL_WALKS", "8"))
STEPS = 50

_ID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_SYMBOL: Final = re.compile(r"\$\w+")
_MADE_UP: Final = re.compile(r"(entity|group)_[0-9a-f]{8}(\.root)?")
#: What a text says of a value that was sent, or is said of one in other words.
_REWORDED: Final = (
    (r"(invalid (?:mount accessor|entity ID|member group ID|group type))\b.*", r"\1"),
    (r'failed to load metadata pair \(.*?"\): ', ""),
    (r"(?s)^(?:Field validation failed: )?error converting input for field (\"\w+\"): .*", r"wrong type of \1"),
    # Of several, the one with the first id is told.
    (r"^(invalid member group ID|cyclic relationship|member group ID).*", "wrong member group"),
    (r" $", ""),
)
#: Fields that are not compared: times, how often a group was written, and how many it has where it has one twice.
_UNCOMPARED: Final = frozenset({"creation_time", "last_update_time", "modify_index", "num_member_entities"})


class Ours(NamedTuple):
    """One server, and what symbols stand for there."""

    side: Side
    ids: dict[str, str]

    def ask(self, step: IdentityStep) -> Answer:
        """Ask, and take in the id of what was made."""
        answer = self.side(step.method, f"identity/{self._told(step.path)}", self._told(step.body))
        if step.keeps and answer.status == 200:
            self.ids[f"${step.keeps}"] = answer.data["id"]
        return _compared(answer, {id_: symbol for symbol, id_ in self.ids.items()})

    def _told(self, value: Any) -> Any:
        if isinstance(value, str):
            return _SYMBOL.sub(lambda found: self.ids.get(found[0], NOBODY), value)
        if isinstance(value, dict):
            return {name: self._told(each) for name, each in value.items()}
        return [self._told(each) for each in value] if isinstance(value, list) else value


def _compared(answer: Answer, symbols: dict[str, str]) -> Answer:
    """Return what must be equal. Where one server answers 500 to a mistake of the caller's, both said 400."""
    errors = answer.errors
    for pattern, becomes in _REWORDED:
        errors = tuple(re.sub(pattern, becomes, text) for text in errors)
    status = 400 if answer.status == 500 and errors else answer.status
    return answer._replace(status=status, data=_plain(answer.data, symbols), errors=errors)


def _plain(value: Any, symbols: dict[str, str]) -> Any:
    if isinstance(value, str):
        value = symbols.get(value, value)
        return "<id>" if _ID.fullmatch(value) else _MADE_UP.sub(r"\1_<made up>", value)
    if isinstance(value, dict):
        named = {name: each for name, each in value.items() if name not in _UNCOMPARED}
        plain = sorted((_plain(name, symbols), _plain(each, symbols)) for name, each in named.items())
        return [pair for pair in plain if pair[1] not in ([], None)] or None
    if isinstance(value, list):
        plain = [_plain(each, symbols) for each in value]
        return sorted({repr(each): each for each in plain}.values(), key=repr) or None
    return value


class Deviation(NamedTuple):
    """A difference that is meant, with steps that show it; the walk ends there where both then hold other things."""

    reason: str
    applies: Callable[[IdentityStep, Answer, Answer], bool]
    example: tuple[IdentityStep, ...]
    ends: bool = True


def _without(field: str, answer: Answer) -> Answer:
    return answer._replace(data=_cut(field, answer.data))


def _cut(field: str, value: Any) -> Any:
    if isinstance(value, list):
        return [_cut(field, each) for each in value if not (isinstance(each, tuple) and each[0] == field)]
    return tuple(_cut(field, each) for each in value) if isinstance(value, tuple) else value


def _made(*names: str) -> tuple[IdentityStep, ...]:
    return tuple(IdentityStep("POST", "entity", {"name": f"example-{name}"}, name) for name in names)


def _alias(name: str, entity: str, **more: Any) -> IdentityStep:
    body = {"name": f"example-{name}", "mount_accessor": "$up", "canonical_id": f"${entity}", **more}
    return IdentityStep("POST", "entity-alias", body, name)


DEVIATIONS: Final = (
    Deviation(
        "one alias a mount, after a merge too",
        lambda step, ours, _: step.path == "entity/merge" and "conflicting mount accessors" in "".join(ours.errors),
        (
            *_made("m0", "m1", "m2"),
            _alias("b0", "m0"),
            _alias("b1", "m1"),
            IdentityStep("POST", "entity/merge", {"from_entity_ids": ["$m0", "$m1"], "to_entity_id": "$m2"}),
        ),
    ),
    Deviation(
        "custom metadata that are not sent stay",
        lambda step, ours, reference: (
            step.path == "entity-alias"
            and "custom_metadata" not in step.body
            and {ours.status, reference.status} == {200, 204}
        ),
        (*_made("m0"), _alias("b0", "m0", custom_metadata={"k": "v"}), _alias("b0", "m0")),
    ),
    Deviation(
        "a change that is refused changes nothing, custom metadata included",
        lambda step, ours, reference: (
            step.path.startswith(("entity", "lookup"))
            and ours != reference
            and _without("custom_metadata", ours) == _without("custom_metadata", reference)
        ),
        (
            *_made("m0"),
            _alias("b0", "m0", custom_metadata={"k": "v"}),
            _alias("b0", "nobody", custom_metadata={"k": "w"}),
            IdentityStep("GET", "entity/id/$m0"),
        ),
    ),
    Deviation(
        "a group that is gone is nobody's parent",
        lambda step, ours, reference: (
            (
                step.path.startswith(("group", "lookup/group"))
                and ours != reference
                and ours == _without("parent_group_ids", reference)
            )
            or (
                step.path == "group/id"
                and _without("num_parent_groups", ours) == _without("num_parent_groups", reference)
            )
        ),
        (
            IdentityStep("POST", "group", {"name": "example-g"}, "g"),
            IdentityStep("POST", "group", {"name": "example-h", "member_group_ids": ["$g"]}, "h"),
            IdentityStep("DELETE", "group/id/$h"),
            IdentityStep("GET", "group/id/$g"),
        ),
        ends=False,
    ),
    Deviation(
        "of two mistakes, a mount that is not there is told before an alias that is not",
        lambda step, ours, reference: (
            "alias" in step.path
            and (ours.status, reference.status) == (400, 400)
            and ours.errors == ("invalid mount accessor",)
        ),
        (IdentityStep("POST", f"entity-alias/id/{NOBODY}", {"mount_accessor": "none"}),),
        ends=False,
    ),
)


@pytest.fixture(scope="module")
def servers(pair: Pair) -> Iterator[tuple[Ours, Ours]]:
    """Both servers, with two login mounts each."""
    made = []
    for side in pair:
        for path in ("identity-up", "identity-other"):
            assert side("POST", f"sys/auth/{path}", {"type": "userpass"}).status == 204
        mounts = side("GET", "sys/auth").data
        symbols = {"$up": "identity-up/", "$other": "identity-other/", "$token": "token/"}
        made.append(Ours(side, {symbol: mounts[path]["accessor"] for symbol, path in symbols.items()}))
    yield made[0], made[1]
    for side in pair:
        for path in ("identity-up", "identity-other"):
            side("DELETE", f"sys/auth/{path}")


def _run(servers: tuple[Ours, Ours], steps: Iterable[IdentityStep], seen: list[Deviation]) -> str | None:
    """Walk up to the first difference; return it in words. The deviations on the way are added to `seen`."""
    for place, step in enumerate(steps):
        ours, reference = (server.ask(step) for server in servers)
        if ours == reference:
            continue
        meant = next((each for each in DEVIATIONS if each.applies(step, ours, reference)), None)
        if meant is None:
            return f"step {place}: {step}\n  ours      {ours}\n  reference {reference}"
        seen.append(meant)
        if meant.ends:
            break  # from here on they hold different things
    return None


def _undo(server: Ours) -> None:
    """Forget everything."""
    for kind in ("entity", "group"):
        listed = server.side("LIST", f"identity/{kind}/id")
        for id_ in listed.data["keys"] if listed.status == 200 else ():
            assert server.side("DELETE", f"identity/{kind}/id/{id_}").status == 204
    for symbol in [each for each in server.ids if each not in {"$up", "$other", "$token"}]:
        del server.ids[symbol]


def test_both_servers_know_the_same_people(servers: tuple[Ours, Ours]) -> None:
    found = []
    for number in range(WALKS):
        difference = _run(servers, Walk(SEED, number).steps(STEPS), [])
        if difference:
            found.append(f"walk {number}, {difference}")
        for server in servers:
            _undo(server)
    assert not found, f"KMS_DIFFERENTIAL_SEED={SEED}: {len(found)} of {WALKS} walks differ\n" + "\n".join(found)


@pytest.mark.parametrize("meant", DEVIATIONS, ids=lambda each: each.reason)
def test_each_deviation_is_still_one(servers: tuple[Ours, Ours], meant: Deviation) -> None:
    seen: list[Deviation] = []
    difference = _run(servers, meant.example, seen)
    for server in servers:
        _undo(server)
    assert difference is None
    assert seen == [meant], "the reference answers as this project does"
