"""What goes wrong while calls are recorded: nodes, and the database, killed and started again, or standing still."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from typing import Final

from tests.support.node_cluster import NodeCluster

#: Seconds of a standstill: below, and above, what a node may serve from memory without word from the store.
_STANDSTILL: Final = (0.1, 3.0)


class Faults:
    """One at a time, after a pause of `pause` seconds in the mean, until `goes_on` says otherwise."""

    def __init__(self, cluster: NodeCluster, seed: int, pause: float) -> None:
        self._cluster = cluster
        self._random = random.Random(seed)
        self._pause = pause
        self.happened: Counter[str] = Counter()

    async def run(self, goes_on: Callable[[], bool]) -> None:
        kinds = [self._kill_node, self._stop_node]
        if self._cluster.database.server is not None:
            kinds += [self._kill_database, self._stop_database]
        while goes_on():
            await asyncio.sleep(self._random.uniform(0.5, 1.5) * self._pause)
            kind = self._random.choice(kinds)
            await kind()
            self.happened[kind.__name__.lstrip("_").replace("_", " ")] += 1

    async def _kill_node(self) -> None:
        node = self._random.choice(self._cluster.nodes)
        await asyncio.to_thread(node.kill)
        await asyncio.sleep(self._random.uniform(0, 1))
        await asyncio.to_thread(self._cluster.restart, node)

    async def _stop_node(self) -> None:
        node = self._random.choice(self._cluster.nodes)
        node.pause()
        try:
            await asyncio.sleep(self._random.uniform(*_STANDSTILL))
        finally:
            node.resume()

    async def _kill_database(self) -> None:
        server = self._cluster.database.server
        assert server is not None
        server.kill()
        await asyncio.sleep(self._random.uniform(0, 1))
        await asyncio.to_thread(server.start)

    async def _stop_database(self) -> None:
        server = self._cluster.database.server
        assert server is not None
        server.pause()
        try:
            await asyncio.sleep(self._random.uniform(*_STANDSTILL))
        finally:
            server.resume()
