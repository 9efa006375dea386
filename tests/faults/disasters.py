"""What happens to nodes and their database in the middle of load. Each ends with all of them running again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from tests.faults.load import Load
from tests.support.fdb_cluster import FdbCluster
from tests.support.node import Node
from tests.support.node_cluster import SIZE, NodeCluster

Disaster = Callable[[NodeCluster, Load, int], Awaitable[None]]

#: Seconds of a standstill, by turn: within the lease, past it, past every time-out of the store.
STANDSTILLS: Final = (1.0, 3.0, 9.0)
#: Requests that the other nodes must acknowledge meanwhile.
MEANWHILE: Final = 20


async def database_stands_still(cluster: NodeCluster, load: Load, turn: int) -> None:
    server = _server(cluster)
    server.pause()
    await asyncio.sleep(STANDSTILLS[turn % len(STANDSTILLS)])
    server.resume()


async def database_is_killed(cluster: NodeCluster, load: Load, turn: int) -> None:
    server = _server(cluster)
    server.kill()
    await asyncio.sleep(turn % 3)
    await asyncio.to_thread(server.start)


async def node_stands_still(cluster: NodeCluster, load: Load, turn: int) -> None:
    node = _node(cluster, turn)
    node.pause()
    await load.goes_on(MEANWHILE)
    await asyncio.sleep(STANDSTILLS[turn % len(STANDSTILLS)] / 3)
    node.resume()


async def node_is_killed(cluster: NodeCluster, load: Load, turn: int) -> None:
    node = _node(cluster, turn)
    await asyncio.to_thread(node.kill)
    await load.goes_on(MEANWHILE)
    await asyncio.to_thread(cluster.restart, node)


async def all_are_killed(cluster: NodeCluster, load: Load, turn: int) -> None:
    for node in cluster.nodes:
        await asyncio.to_thread(node.kill)
    if cluster.database.server is not None:
        await database_is_killed(cluster, load, turn)
    await asyncio.gather(*(asyncio.to_thread(cluster.restart, node) for node in cluster.nodes))


#: Of any engine, and of one with a server of its own.
DISASTERS: Final[list[Disaster]] = [node_is_killed, all_are_killed]
SERVER_DISASTERS: Final[list[Disaster]] = [database_stands_still, database_is_killed, node_stands_still]


def _server(cluster: NodeCluster) -> FdbCluster:
    assert cluster.database.server is not None
    return cluster.database.server


def _node(cluster: NodeCluster, turn: int) -> Node:
    return cluster.nodes[turn % SIZE]
