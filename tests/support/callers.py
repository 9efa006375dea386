"""Many requests at once to several nodes, over connections that are kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple

from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector

from tests.support.node import Node

#: What a caller sees of a node that dies, or stands still, before it answers.
UNANSWERED: Final = (ClientError, TimeoutError, ConnectionError)
PATIENCE: Final = 30.0


class Reply(NamedTuple):
    """Status and JSON body; None for an empty one."""

    status: int
    json: Any

    @property
    def data(self) -> Any:
        assert self.status == 200, self
        return self.json["data"]


class Callers:
    """Callers with one token; nodes are named by their place in the cluster."""

    def __init__(self, session: ClientSession, nodes: Sequence[Node], token: str) -> None:
        self._session = session
        self._bases = [f"{node.address}/v1/" for node in nodes]
        self.token = token
        self._headers = {"X-Vault-Token": token}

    def with_token(self, token: str) -> Callers:
        other = Callers(self._session, (), token)
        other._bases = self._bases
        return other

    async def get(self, node: int, path: str) -> Reply:
        return await self.call(node, "GET", path)

    async def post(self, node: int, path: str, body: Any = None) -> Reply:
        return await self.call(node, "POST", path, body)

    async def call(self, node: int, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        """Send one request; raises one of UNANSWERED where no whole answer comes. Headers have underscores."""
        url = self._bases[node] + path
        sent = self._headers | {name.replace("_", "-"): value for name, value in headers.items()}
        async with self._session.request(method, url, json=body, headers=sent) as response:
            return Reply(response.status, await response.json() if response.content_length else None)


@asynccontextmanager
async def calling(nodes: Sequence[Node], token: str, *, patience: float = PATIENCE) -> AsyncIterator[Callers]:
    """Open connections; a request is given up after `patience` seconds."""
    connector = TCPConnector(limit=0)
    async with ClientSession(connector=connector, timeout=ClientTimeout(patience)) as session:
        yield Callers(session, nodes, token)


async def spread(count: int, workers: int, work: Callable[[int, int], Awaitable[None]]) -> None:
    """Await `work(worker, turn)` `count` times in all; each worker takes its turns one after the other."""

    async def run(worker: int, turns: Iterable[int]) -> None:
        for turn in turns:
            await work(worker, turn)

    async with asyncio.TaskGroup() as group:
        for worker in range(workers):
            group.create_task(run(worker, range(worker, count, workers)))


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that `share` of all are not above."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
