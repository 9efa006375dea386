"""An entity has exactly the policies of itself and of all groups that can be reached from it, whatever came before.

The kind: a group is left out, stays in, or comes back, after some order of changes; or what is kept in memory is not
dropped. Random changes are made to a vault and to a model that keeps plain sets; after each, everybody is asked.
"""

from __future__ import annotations

import random
from typing import Any

import pytest

from kms_actors.actors.identity.resolving import resolve
from kms_actors.actors.identity.storage import IdentityReader
from kms_actors.errors import InvalidRequest
from kms_actors.identity import messages as identity
from kms_actors.identity.messages import Resolved, ResolveEntity
from kms_actors.identity.records import GroupType
from tests.actors.identity_tenant import SECOND, USERPASS, Tenant, alias_mount

WALKS = 6
STEPS = 25


class Model:
    """Who is in what, by names."""

    def __init__(self) -> None:
        self.policies: dict[str, set[str]] = {}
        self.parents: dict[str, set[str]] = {}  # of entities and of groups
        self.ids: dict[str, str] = {}

    def above(self, name: str) -> set[str]:
        found, rest = set[str](), list(self.parents[name])
        while rest:
            group = rest.pop()
            if group not in found:
                found.add(group)
                rest += self.parents[group]
        return found

    def of(self, name: str) -> set[str]:
        return self.policies[name].union(*(self.policies[group] for group in self.above(name)))


class Walk:
    """Random changes of one vault and of the model of it."""

    def __init__(self, tenant: Tenant, number: int) -> None:
        self.tenant = tenant
        self.random = random.Random(number)
        self.name = f"w{number}"
        self.model = Model()
        self.entities = [f"{self.name}-e{each}" for each in range(3)]
        self.groups = [f"{self.name}-g{each}" for each in range(4)]
        self.external = f"{self.name}-x"

    async def begin(self) -> None:
        for name in self.entities:
            made = await self.tenant.log_in(name)
            self._note(name, made.entity_id)
        for name in self.groups:
            self._note(name, (await self.tenant.ask(identity.WriteGroup(name=name))).id)
        outside = await self.tenant.ask(identity.WriteGroup(name=self.external, type=GroupType.EXTERNAL))
        self._note(self.external, outside.id)
        mount = alias_mount(USERPASS)
        await self.tenant.ask(identity.WriteGroupAlias(None, self.external, mount, outside.id))

    async def step(self) -> None:
        self.tenant.now += SECOND
        await self.random.choice((self._give, self._put_people, self._put_groups, self._log_in))()

    def _note(self, name: str, id_: str) -> None:
        self.model.ids[name], self.model.policies[name], self.model.parents[name] = id_, set(), set()

    def _some(self, names: list[str]) -> set[str]:
        return set(self.random.sample(names, self.random.randrange(len(names) + 1)))

    def _ids(self, names: set[str]) -> tuple[str, ...]:
        return tuple(self.model.ids[name] for name in names)

    async def _give(self) -> None:
        name = self.random.choice([*self.entities, *self.groups, self.external])
        policies = self._some(["a", "b", "c", "d"])
        kind: Any = identity.WriteEntity if name in self.entities else identity.WriteGroup
        await self.tenant.ask(kind(self.model.ids[name], policies=tuple(sorted(policies))))
        self.model.policies[name] = policies

    async def _put_people(self) -> None:
        group, people = self.random.choice(self.groups), self._some(self.entities)
        await self.tenant.ask(identity.WriteGroup(self.model.ids[group], entities=self._ids(people)))
        self._set(group, self.entities, people)

    async def _put_groups(self) -> None:
        group, members = self.random.choice(self.groups), self._some([*self.groups, self.external])
        cyclic = any(group == member or member in self.model.above(group) for member in members)
        try:
            await self.tenant.ask(identity.WriteGroup(self.model.ids[group], groups=self._ids(members)))
        except InvalidRequest:
            assert cyclic
            return
        assert not cyclic
        self._set(group, [*self.groups, self.external], members)

    async def _log_in(self) -> None:
        name, says = self.random.choice(self.entities), self.random.random() < 0.5
        found = await self.tenant.log_in(name, groups=[self.external] if says else [])
        self._set(self.external, [name], {name} if says else set())
        assert set(found.policies) == self.model.of(name)

    def _set(self, group: str, candidates: list[str], members: set[str]) -> None:
        for name in candidates:
            (self.model.parents[name].add if name in members else self.model.parents[name].discard)(group)


@pytest.mark.parametrize("number", range(WALKS))
async def test_policies_are_those_of_all_groups_that_can_be_reached(tenant: Tenant, number: int) -> None:
    walk = Walk(tenant, number)
    await walk.begin()
    for _ in range(STEPS):
        await walk.step()
        for name in walk.entities:
            kept: Resolved = await tenant.ask(ResolveEntity(walk.model.ids[name]))
            assert set(kept.policies) == walk.model.of(name)
            assert set(kept.groups) == set(walk._ids(walk.model.above(name)))
            assert {group.id for group in kept.subject.groups} == set(kept.groups)
            assert await stored(tenant, walk.model.ids[name]) == kept


async def stored(tenant: Tenant, entity: str) -> Resolved | None:
    return await tenant.store.run(lambda tr: resolve(IdentityReader(tr, tenant.context.keys, tenant.keyring), entity))
