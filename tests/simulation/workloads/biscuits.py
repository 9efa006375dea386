"""Biscuits that are revoked: those of a vault's users, and those of the cluster's operators."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from tests.simulation.workloads.base import Clients
from tests.simulation.world import VAULT


class Biscuits(Clients):
    """A revoked biscuit is refused on every node, at the latest when its lease ends."""

    async def prepare(self) -> None:
        self._number = 0

    def clients(self) -> list[Coroutine[Any, Any, None]]:
        return [self._users(), self._operators()]

    async def _users(self) -> None:
        while True:
            await self.pause(4)
            await self._life(self.world.issuer.tenant(VAULT), "GET", "secret/data/r/a")

    async def _operators(self) -> None:
        while True:
            await self.pause(4)
            await self._life(self.world.issuer.cluster_operator(), "GET", "auth/token/lookup-self")

    async def _life(self, token: str, method: str, path: str) -> None:
        for node in self.world.nodes:
            self.seen_of(path, await self.world.ask(method, path, token, at=node))
        answer = await self.world.ask("POST", "auth/token/revoke-self", token)
        if not answer.good:
            return
        ended = answer.got
        for _ in range(self.chance.randint(4, 10)):
            await asyncio.sleep(self.chance.random() * 2)
            used = await self.world.ask(method, path, token)
            self.seen_of(path, used)
            if used.good:
                self.require(used.sent < ended + self.world.lease, "a revoked biscuit is refused", path, used, ended)

    def seen_of(self, path: str, answer: Any) -> None:
        """A cluster's operators are told of themselves whether a vault is sealed or not."""
        if path.startswith("secret/"):
            self.seen(answer)

    async def judge(self) -> None:
        await asyncio.sleep(0)
