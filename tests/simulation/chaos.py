"""What goes wrong in a simulation, and when: weather, and disasters of nodes, drawn from the seed."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from typing import Final

from kms_actors.actors.cluster.changes import HEAD, LOG
from kms_actors.errors import KmsError
from kms_actors.store.api import Transaction
from tests.simulation.database import VERSIONS
from tests.simulation.native import Weather
from tests.simulation.node import SimulatedNode
from tests.simulation.world import World

#: Steps of a wall clock, in seconds.
_STEPS: Final = (-3600.0 * 3, -5.0, 0.7, 90.0, 3600.0 * 3, 3600.0 * 24 * 365)

#: How many times as long it is from one fault to the next by night.
_SELDOM: Final = 20


def rough(chance: random.Random) -> Weather:
    """Draw a weather in which calls fail, each in its own way."""
    rate = chance.choice((0.0, 0.01, 0.05))
    return Weather(
        delay=chance.choice((0.0004, 0.002, 0.02)),
        slow=chance.choice((0.0, 0.02, 0.1)),
        lost=chance.choice((0.0, 0.0, 0.003)),
        conflict=rate,
        unknown=chance.choice((0.0, 0.02, 0.1)),
        too_old=rate / 5,
        future=rate / 5,
        watch_late=chance.choice((0.0, 0.5, 5.0)),
        watch_false=chance.choice((0.0, 0.3)),
    )


class Chaos:
    """Makes things go wrong until `stop`, which mends all of them."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._chance = world.sky.chance
        self._tasks: set[asyncio.Task[None]] = set()
        kinds = (
            self._kill,
            self._stand_still,
            self._cut_off,
            self._step,
            self._jump,
            self._stall,
            self._turn,
            self._garble,
            self._move,
        )
        # A few kinds a run, so that they meet in many ways, and some runs have the worst of one.
        self._kinds: list[Callable[[SimulatedNode], Awaitable[None]]] = self._chance.sample(
            kinds, self._chance.randint(1, len(kinds))
        )
        self._pause = self._chance.choice((0.5, 2.0, 8.0))

    async def run(self) -> None:
        """Go on until cancelled."""
        while True:
            pause = self._pause if self._world.day.is_set() else self._pause * _SELDOM
            await asyncio.sleep(self._chance.expovariate(1 / pause))
            node = self._chance.choice(self._world.nodes)
            task = asyncio.ensure_future(self._chance.choice(self._kinds)(node))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        """Mend everything: good weather, clocks set right, all nodes alive."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.sleep(0)
        self._world.sky.weather = Weather()
        for node in self._world.nodes:
            node.process.skew = 0.0
            node.process.go_on(self._world.now)
            if node.process.dead:
                await node.start()

    async def _kill(self, node: SimulatedNode) -> None:
        if node.process.dead:
            return
        self._world.fault("kill", node.name)
        node.kill()
        await asyncio.sleep(self._chance.random() * 5)
        await node.start()

    async def _stand_still(self, node: SimulatedNode) -> None:
        self._world.fault("standstill", node.name)
        process = node.process
        process.stand_still(self._world.now)
        try:
            await asyncio.sleep(self._chance.choice((0.05, 1.0, 5.0, 20.0)) * self._chance.random())
        finally:
            process.go_on(self._world.now)

    async def _cut_off(self, node: SimulatedNode) -> None:
        self._world.fault("partition", node.name)
        cut_off = self._world.sky.weather.cut_off
        cut_off.add(node.name)
        try:
            await asyncio.sleep(self._chance.choice((0.3, 3.0, 12.0)) * self._chance.random())
        finally:
            cut_off.discard(node.name)

    async def _step(self, node: SimulatedNode) -> None:
        node.process.skew = self._chance.choice(_STEPS)
        self._world.fault("clock step", node.name, node.process.skew)
        await asyncio.sleep(self._chance.random() * 20)
        node.process.skew = 0.0

    async def _jump(self, _: SimulatedNode) -> None:
        self._world.fault("versions jump")
        self._world.sky.database.jump(100 * VERSIONS)

    async def _garble(self, _: SimulatedNode) -> None:
        """Have a line in the change log that no node can read."""
        self._world.fault("bad line")

        async def write(tr: Transaction) -> None:
            tr.set_versionstamped(LOG, b"", b"\xc1")
            tr.add(HEAD, 1)

        with contextlib.suppress(KmsError):
            await self._world.store.run(write)

    async def _move(self, _: SimulatedNode) -> None:
        """Move all data into another cluster, whose versions are lower."""
        self._world.fault("moved")
        self._world.sky.database.move()

    async def _stall(self, _: SimulatedNode) -> None:
        self._world.fault("slow disk")
        self._world.sky.weather.stalled = self._world.now + self._chance.random() * 3

    async def _turn(self, _: SimulatedNode) -> None:
        self._world.fault("weather")
        before = self._world.sky.weather
        after = rough(self._chance)
        after.cut_off, after.stalled = before.cut_off, before.stalled
        self._world.sky.weather = after
