"""What all workloads are: clients that work until they are stopped, and a judgement of what they were answered."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine
from typing import Any, Protocol

from tests.simulation.node import Answer
from tests.simulation.world import Broken, World


class Workload(Protocol):
    """Made anew for each run."""

    async def prepare(self) -> None:
        """Set up what the clients need, in good weather."""

    def clients(self) -> list[Coroutine[Any, Any, None]]:
        """Return the clients, which go on for ever."""

    async def judge(self) -> None:
        """Raise `Broken` where a promise was broken; the weather is good again, and nobody else at work."""


class Clients:
    """What workloads do the same way."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.chance: random.Random = world.chance

    async def pause(self, seconds: float = 1.0) -> None:
        """Let a drawn while pass: mostly none, at times long."""
        drawn = self.chance.random()
        await asyncio.sleep(drawn * 0.02 if drawn < 0.6 else drawn * seconds * 4)
        await self.world.day.wait()

    async def rest(self, seconds: float) -> None:
        """Let a drawn while pass, `seconds` in the mean."""
        await asyncio.sleep(self.chance.expovariate(1 / seconds))
        await self.world.day.wait()

    def require(self, holds: bool, promise: str, *what: object) -> None:
        """Raise `Broken` where a promise does not hold."""
        if not holds:
            raise Broken(f"{self.world.now:.6f}: {promise}: {what}")

    def changed(self, answer: Answer) -> None:
        """Note a change of the vault that was answered as done: none may be where it was certainly sealed."""
        if answer.good:
            self.require(
                not self.world.sealed.covers(answer.sent, answer.got), "nothing is changed in a sealed vault", answer
            )

    def seen(self, answer: Answer) -> None:
        """Note a use of the vault that was answered: none may be once its seal was heard of."""
        if answer.good:
            sealed = self.world.sealed.covers(answer.sent, answer.got, self.world.lease)
            self.require(not sealed, "a sealed vault gives no answer", answer)
