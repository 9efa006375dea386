"""A random walk over a few entities, aliases and groups, made of a seed alone.

Ids are each server's own: a step names them by symbols like `$e1`, which stand for what the answer of the step that
made them said. A symbol that stands for nothing yet is an id that nobody has.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from tests.differential.draw import ODD

NOBODY: Final = "11111111-1111-4111-8111-111111111111"
MOUNTS: Final = ("$up", "$other", "$token")
_ENTITIES: Final = ("e0", "e1", "e2")
_GROUPS: Final = ("g0", "g1", "g2", "x0")


class IdentityStep(NamedTuple):
    """One request; `keeps` is the symbol of the id in its answer."""

    method: str
    path: str
    body: Any = None
    keeps: str = ""


class Walk:
    """Requests about identities with names of their own."""

    def __init__(self, seed: str, number: int) -> None:
        self._random = random.Random(f"{seed}/identity/{number}")
        self._name = f"w{number}"

    def steps(self, count: int) -> Iterator[IdentityStep]:
        """Yield what makes some of each, and `count` requests."""
        for name in _ENTITIES:
            yield IdentityStep("POST", "entity", {"name": self._named(name)}, name)
        for name in _GROUPS:
            kind = "external" if name.startswith("x") else "internal"
            yield IdentityStep("POST", "group", {"name": self._named(name), "type": kind}, name)
        operations = list(_OPERATIONS)
        for operation in self._random.choices(operations, [_OPERATIONS[each] for each in operations], k=count):
            yield operation(self)

    def _one(self, *choices: Any) -> Any:
        return self._random.choice(choices)

    def _seldom(self, one_in: int) -> bool:
        return self._random.randrange(one_in) == 0

    def _named(self, name: str) -> str:
        return f"{self._name}-{name}"

    def _entity(self) -> str:
        return NOBODY if self._seldom(25) else f"${self._one(*_ENTITIES)}"

    def _group(self) -> str:
        return NOBODY if self._seldom(25) else f"${self._one(*_GROUPS)}"

    def _alias(self) -> str:
        return f"$a{self._random.randrange(4)}"

    def _settings(self) -> dict[str, Any]:
        body: dict[str, Any] = {}
        if self._seldom(2):
            body["policies"] = self._one([], ["b", "A"], "x, y,x", None, ["root"], [""], [5])
        if self._seldom(2):
            body["metadata"] = self._one({}, {"a": "b"}, "a=b", ["a=b", "c=d"], None, {"n": 1, "t": True}, {"": "x"})
        return body

    def _write_entity(self) -> IdentityStep:
        body = self._settings()
        if self._seldom(3):
            body["disabled"] = self._one(True, False, "true", 0)
        return self._written("entity", body, _ENTITIES, self._entity)

    def _write_group(self) -> IdentityStep:
        body = self._settings()
        if self._seldom(3):
            body["member_entity_ids"] = [self._entity() for _ in range(self._random.randrange(3))]
        if self._seldom(3):
            body["member_group_ids"] = [self._group() for _ in range(self._random.randrange(3))]
        if self._seldom(12):
            body["type"] = self._one("internal", "external", "other")
        return self._written("group", body, _GROUPS, self._group)

    def _written(
        self, kind: str, body: dict[str, Any], names: tuple[str, ...], id_: Callable[[], str]
    ) -> IdentityStep:
        name = self._named(self._one(*names))
        if self._seldom(3):
            body["name"] = self._one(name, name.upper())
            return IdentityStep("POST", f"{kind}/id/{id_()}", body)
        if self._seldom(2):
            return IdentityStep("POST", f"{kind}/name/{name}", body)
        return IdentityStep("POST", kind, {**body, "name": name})

    def _write_alias(self) -> IdentityStep:
        number = self._random.randrange(4)
        custom = {"k": ""} if self._seldom(12) else {"k": number}
        body = {"name": self._named(f"a{number}"), "mount_accessor": self._one(*MOUNTS), "custom_metadata": custom}
        if not self._seldom(6):
            body["canonical_id"] = self._entity()
        return IdentityStep("POST", "entity-alias", body, f"a{number}")

    def _change_alias(self) -> IdentityStep:
        body: dict[str, Any] = {}
        if self._seldom(2):
            body["name"] = self._named(f"a{self._random.randrange(4)}")
        if self._seldom(3):
            body["mount_accessor"] = self._one(*MOUNTS, "none")
        if self._seldom(2):
            body["canonical_id"] = self._entity()
        return IdentityStep("POST", f"entity-alias/id/{self._alias()}", body)

    def _write_group_alias(self) -> IdentityStep:
        number = self._random.randrange(2)
        body = {"name": self._named(f"ga{number}"), "mount_accessor": self._one(*MOUNTS), "canonical_id": "$x0"}
        if self._seldom(8):
            body["canonical_id"] = self._group()
        if self._seldom(3):
            return IdentityStep("POST", f"group-alias/id/$ga{number}", body)
        return IdentityStep("POST", "group-alias", body, f"ga{number}")

    def _merge(self) -> IdentityStep:
        body = {"from_entity_ids": [self._entity()], "to_entity_id": self._entity(), "force": True}
        return IdentityStep("POST", "entity/merge", body)

    def _read(self) -> IdentityStep:
        kind = self._one("entity", "group")
        names, id_ = (_ENTITIES, self._entity) if kind == "entity" else (_GROUPS, self._group)
        if self._seldom(2):
            return IdentityStep("GET", f"{kind}/id/{id_()}")
        return IdentityStep("GET", f"{kind}/name/{self._one(str, str.upper)(self._named(self._one(*names)))}")

    def _read_alias(self) -> IdentityStep:
        if self._seldom(3):
            return IdentityStep("GET", f"group-alias/id/$ga{self._random.randrange(2)}")
        return IdentityStep("GET", f"entity-alias/id/{self._alias()}")

    def _look_up(self) -> IdentityStep:
        kind = self._one("entity", "group")
        of_entity = kind == "entity"
        alias = self._random.randrange(2)
        body = self._one(
            {"id": self._entity() if of_entity else self._group()},
            {"name": self._named(self._one(*(_ENTITIES if of_entity else _GROUPS)))},
            {"alias_id": f"$a{alias}" if of_entity else f"$ga{alias}"},
            {
                "alias_name": self._named(f"a{alias}" if of_entity else f"ga{alias}").upper(),
                "alias_mount_accessor": self._one(*MOUNTS),
            },
            {},
            {"name": "x", "id": "y"},
            {"alias_name": "x"},
        )
        return IdentityStep("POST", f"lookup/{kind}", body)

    def _list(self) -> IdentityStep:
        return IdentityStep("LIST", self._one("group/id", "group/name", "group-alias/id", "entity-alias/id"))

    def _delete(self) -> IdentityStep:
        step: IdentityStep = self._one(
            lambda: IdentityStep("DELETE", f"entity-alias/id/{self._alias()}"),
            lambda: IdentityStep("DELETE", f"group-alias/id/$ga{self._random.randrange(2)}"),
            lambda: IdentityStep("DELETE", f"group/id/{self._group()}"),
            lambda: IdentityStep("DELETE", f"group/name/{self._named(self._one(*_GROUPS))}"),
            lambda: IdentityStep("DELETE", f"entity/name/{self._named(self._one(*_ENTITIES))}"),
            lambda: IdentityStep("POST", "entity/batch-delete", {"entity_ids": [self._entity(), NOBODY]}),
        )()
        return step

    def _odd(self) -> IdentityStep:
        """Return a request with one field that is wrong, or does not belong there."""
        step: IdentityStep = self._one(self._write_entity, self._write_group)()
        name = self._one("policies", "metadata", "disabled", "type", "nosuch")
        return step._replace(body={**step.body, name: self._one(*ODD)})


_OPERATIONS: Final[Mapping[Callable[[Walk], IdentityStep], int]] = {
    Walk._write_entity: 12,
    Walk._write_group: 16,
    Walk._write_alias: 10,
    Walk._change_alias: 8,
    Walk._write_group_alias: 6,
    Walk._merge: 2,
    Walk._read: 16,
    Walk._read_alias: 6,
    Walk._look_up: 8,
    Walk._list: 4,
    Walk._delete: 3,
    Walk._odd: 5,
}
