"""Biscuits that are revoked: those of a vault's users, and those of the cluster's operators."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Final

from tests.simulation.node import VAULT
from tests.simulation.workloads.base import Clients

_SECRET: Final = "secret/data/for/biscuits"


class Biscuits(Clients):
    """A revoked biscuit is refused on every node, at the latest when its lease ends."""

    async def prepare(self) -> None:
        self._ended: list[tuple[str, str, str, float]] = []  # token, method, path, and when it was ended
        await self.world.expect("POST", _SECRET, self.world.user, {"data": {"n": 1}})

    def clients(self) -> list[Coroutine[Any, Any, None]]:
        return [self._users(), self._operators(), self._prober()]

    async def _users(self) -> None:
        while True:
            await self.pause(4)
            await self._life(self.world.issuer.tenant(VAULT, self._ttl()), "GET", _SECRET)

    async def _operators(self) -> None:
        while True:
            await self.pause(4)
            token = self.world.issuer.cluster_operator(self._ttl())
            await self._life(token, "GET", "auth/token/lookup-self")

    async def _prober(self) -> None:
        """Try tokens that were revoked a while ago: a revocation is not forgotten."""
        while True:
            await self.pause(2)
            if self._ended:
                await self._try(*self.chance.choice(self._ended))

    def _ttl(self) -> int | None:
        """Return how long a token lives: none ends before a run does."""
        return None if self.chance.random() < 0.3 else 86_400

    async def _life(self, token: str, method: str, path: str) -> None:
        for node in self.world.nodes:
            self.seen_of(path, await self.world.ask(method, path, token, at=node))
        answer = await self.world.ask("POST", "auth/token/revoke-self", token)
        if not answer.good:
            return
        ended = answer.got
        self._ended.append((token, method, path, ended))
        for _ in range(self.chance.randint(4, 10)):
            await asyncio.sleep(self.chance.random() * 2)
            await self._try(token, method, path, ended)

    async def _try(self, token: str, method: str, path: str, ended: float) -> None:
        used = await self.world.ask(method, path, token)
        self.seen_of(path, used)
        if used.good:
            self.require(used.sent < ended + self.world.lease, "a revoked biscuit is refused", path, used, ended)

    def seen_of(self, path: str, answer: Any) -> None:
        """A cluster's operators are told of themselves whether a vault is sealed or not."""
        if path.startswith("secret/"):
            self.seen(answer)

    async def judge(self) -> None:
        for ended in self._ended:
            await self._try(*ended)
