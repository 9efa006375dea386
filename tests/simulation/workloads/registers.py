"""KV secrets as registers with check-and-set: strictly serialisable, whatever happens."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Coroutine
from typing import Any, Final

from tests.simulation.moments import Latest
from tests.simulation.node import Answer
from tests.simulation.workloads.base import Clients

_PATHS: Final = ("a", "b")


class Registers(Clients):
    """Each value is written once. A version's number orders it among all of its path."""

    async def prepare(self) -> None:
        self._number = 0
        self._values: dict[str, dict[int, str]] = defaultdict(dict)  # by path and version, as far as known
        self._places: dict[tuple[str, str], int] = {}  # of a value: its version
        self._refused: set[str] = set()
        self._begun: dict[str, float] = {}
        self._latest: dict[str, Latest] = defaultdict(Latest)
        self._known: dict[str, int] = defaultdict(int)

    def clients(self) -> list[Coroutine[Any, Any, None]]:
        return [self._client() for _ in range(3)]

    async def _client(self) -> None:
        while True:
            path = self.chance.choice(_PATHS)
            if self.chance.random() < 0.5:
                await self._write(path)
            else:
                await self._read(path)
            await self.pause()

    async def _write(self, path: str) -> None:
        self._number += 1
        value = f"v{self._number}"
        body: dict[str, Any] = {"data": {"value": value}}
        cas = self._known[path] if self.chance.random() < 0.5 else None
        if cas is not None:
            body["options"] = {"cas": cas}
        self._begun[value] = self.world.now
        answer = await self.world.ask("POST", f"secret/data/r/{path}", self.world.user, body)
        self.changed(answer)
        if answer.good:
            version = answer.data["version"]
            self.require(
                cas is None or version == cas + 1, "check-and-set gives the next version", path, cas, version
            )
            self._found(path, version, value, answer)
            self.require(
                version > self._latest[path].before(answer.sent), "a write is behind all before it", path, answer
            )
            self._latest[path].add(answer.got, version)
        elif not answer.unknown:
            self.require(cas is not None, "a write is refused for its check-and-set only", path, answer)
            self._refused.add(value)

    async def _read(self, path: str, token: str = "") -> None:
        answer = await self.world.ask("GET", f"secret/data/r/{path}", token or self.world.user)
        self.seen(answer)
        if answer.status == 404:
            self.require(not self._latest[path].before(answer.sent), "what was written is there", path, answer)
        elif answer.good:
            version, value = answer.data["metadata"]["version"], answer.data["data"]["value"]
            self._found(path, version, value, answer)
            self.require(version >= self._latest[path].before(answer.sent), "a read sees all before it", path, answer)
            self._latest[path].add(answer.got, version)

    def _found(self, path: str, version: int, value: str, answer: Answer) -> None:
        """Compare a version with what else is known of it."""
        known = self._values[path].setdefault(version, value)
        self.require(known == value, "a version has one value", path, version, known, value)
        place = self._places.setdefault((path, value), version)
        self.require(place == version, "a write is applied once", path, value, place, version)
        self.require(value not in self._refused, "what was refused is not there", path, value)
        self.require(self._begun[value] <= answer.got, "a value is written before it is read", path, value)
        self._known[path] = max(self._known[path], version)

    async def judge(self) -> None:
        for path in _PATHS:
            for node in self.world.nodes:
                answer = await self.world.ask("GET", f"secret/data/r/{path}", self.world.user, at=node)
                self.require(answer.good or answer.status == 404, "a healthy cluster answers", path, answer)
                if not answer.good:
                    self.require(not self._values[path], "what was written is there", path)
                    continue
                last = answer.data["metadata"]["version"]
                self.require(last >= max(self._values[path], default=0), "no version is lost", path, last)
                for version in range(max(1, last - 9), last + 1):
                    old = await self.world.ask(
                        "GET", f"secret/data/r/{path}?version={version}", self.world.user, at=node
                    )
                    self.require(old.good, "each version is there", path, version, old)
                    self._found(path, version, old.data["data"]["value"], old)
            await asyncio.sleep(0)
