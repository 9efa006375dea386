"""Machines that log in on whatever nodes, while secret ids are destroyed, the role changed, the entity disabled."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Final

from tests.simulation.node import SimulatedNode
from tests.simulation.workloads.base import Clients

_ROLE: Final = "auth/approle/role/app"
_POLICIES: Final = ("one", "two")


class Logins(Clients):
    """Who has logged in a moment ago is answered from memory: never by what the same node was told is over."""

    async def prepare(self) -> None:
        self._destroyed: dict[str, tuple[float, SimulatedNode]] = {}  # by secret id: since when it is certain
        self._policy = _POLICIES[0], 0.0, self.world.nodes[0]  # and since when, told by whom
        self._entity = ""
        self._barred: tuple[float, SimulatedNode] | None = None  # while it certainly is disabled, as before
        await self.world.ask("POST", "sys/auth/approle", self.world.root, {"type": "approle"})
        await asyncio.sleep(self.world.lease)
        # What was destroyed is tried again: it would lock the role.
        tuned = {"user_lockout_config": {"lockout_disable": True}}
        await self.world.expect("POST", "sys/auth/approle/tune", self.world.root, tuned)
        await asyncio.sleep(self.world.lease)
        await self.world.expect("POST", _ROLE, self.world.root, self._role(_POLICIES[0]))
        found = await self.world.expect("GET", f"{_ROLE}/role-id", self.world.root)
        self._role_id = found.data["role_id"]
        await asyncio.sleep(self.world.lease)

    def clients(self) -> list[Coroutine[Any, Any, None]]:
        return [self._lives(), self._lives(), self._changes(), self._bars()]

    def _role(self, policy: str) -> dict[str, Any]:
        return {"token_type": "batch", "token_ttl": "1h", "token_policies": [policy]}

    async def _make(self) -> str | None:
        answer = await self.world.ask("POST", f"{_ROLE}/secret-id", self.world.root, {})
        self.changed(answer)
        return answer.data["secret_id"] if answer.good else None

    async def _lives(self) -> None:
        while True:
            await self.pause(2)
            secret_id = await self._make()
            if secret_id is None:
                continue
            users = [asyncio.ensure_future(self._use(secret_id)) for _ in range(3)]
            await self.pause(2)
            node = self.chance.choice(self.world.nodes)
            body = {"secret_id": secret_id}
            answer = await self.world.ask("POST", f"{_ROLE}/secret-id/destroy", self.world.root, body, at=node)
            self.changed(answer)
            if answer.good:
                self._destroyed[secret_id] = answer.got, node
            await asyncio.gather(*users)
            self._destroyed.pop(secret_id, None)

    async def _use(self, secret_id: str) -> None:
        """Log in again and again, for a while behind the secret id's end."""
        for _ in range(self.chance.randint(5, 15)):
            node = self.chance.choice(self.world.nodes)
            policy, since, told = self._policy
            barred = self._barred
            body = {"role_id": self._role_id, "secret_id": secret_id}
            answer = await self.world.ask("POST", "auth/approle/login", "", body, at=node)
            self.seen(answer)
            if answer.good:
                self._entity = answer.body["auth"]["entity_id"]
                if barred is not None and barred is self._barred:
                    heard = barred[0] + (0 if barred[1] is node else self.world.lease)
                    self.require(answer.sent < heard, "nobody logs in for an entity that is disabled", answer, heard)
                over, where = self._destroyed.get(secret_id, (None, None))
                if over is not None:
                    heard = over + (0 if where is node else self.world.lease)
                    self.require(answer.sent < heard, "nobody logs in by what was destroyed", answer, heard)
                heard = since + (0 if told is node else self.world.lease)
                if self._policy[1] == since and answer.sent >= heard:
                    given = answer.body["auth"]["token_policies"]
                    self.require(policy in given, "a login gives what its role says", answer, policy)
            await self.pause(0.3)

    async def _changes(self) -> None:
        """Change the role, and say what it certainly is."""
        number = 0
        while True:
            await self.pause(4)
            number += 1
            policy, node = _POLICIES[number % 2], self.chance.choice(self.world.nodes)
            self._policy = policy, float("inf"), node
            answer = await self.world.ask("POST", _ROLE, self.world.root, self._role(policy), at=node)
            self.changed(answer)
            if answer.good:
                self._policy = policy, answer.got, node
            elif answer.unknown:
                await asyncio.sleep(30)  # it may yet be made

    async def _bars(self) -> None:
        """Disable the entity for a while."""
        while True:
            await self.pause(4)
            if not self._entity:
                continue
            path, node = f"identity/entity/id/{self._entity}", self.chance.choice(self.world.nodes)
            answer = await self.world.ask("POST", path, self.world.root, {"disabled": True}, at=node)
            self.changed(answer)
            if answer.good:
                self._barred = answer.got, node
                await self.pause(2)
            self._barred = None
            self.changed(await self.world.ask("POST", path, self.world.root, {"disabled": False}))

    async def judge(self) -> None:
        if self._entity:
            path = f"identity/entity/id/{self._entity}"
            await self.world.expect("POST", path, self.world.root, {"disabled": False})
            await asyncio.sleep(self.world.lease)
        made = await self.world.expect("POST", f"{_ROLE}/secret-id", self.world.root, {})
        body = {"role_id": self._role_id, "secret_id": made.data["secret_id"]}
        for node in (*self.world.nodes, *self.world.nodes, *self.world.nodes):
            answer = await self.world.ask("POST", "auth/approle/login", "", body, at=node)
            self.require(answer.good, "who may log in does so on every node", answer)
