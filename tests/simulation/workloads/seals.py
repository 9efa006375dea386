"""A vault that is sealed, and unsealed again, while others work in it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from tests.simulation.workloads.base import Clients


class Seals(Clients):
    """`World.sealed` is what all other workloads are judged by."""

    async def prepare(self) -> None:
        await asyncio.sleep(0)

    def clients(self) -> list[Coroutine[Any, Any, None]]:
        return [self._operator()]

    async def _operator(self) -> None:
        while True:
            await self.rest(6)
            answer = await self.world.ask("PUT", "sys/seal", self.world.operator)
            if answer.good:
                self.world.sealed.begin(answer.got)
            await self.pause(2)
            self.world.sealed.end(self.world.now)
            for shares in (self.world.shares, self.world.other_shares):
                for share in shares[:2]:
                    answer = await self.world.ask("PUT", "sys/unseal", self.world.operator, {"key": share})
                    if answer.unknown:
                        self.world.sealed.doubt(answer.got)

    async def judge(self) -> None:
        await asyncio.sleep(0)
