"""A policy that gives and takes while tokens that have it work."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Final

from tests.simulation.moments import Spans
from tests.simulation.workloads.base import Clients

_GIVES: Final = 'path "secret/data/p" { capabilities = ["create", "update", "read"] }'
_TAKES: Final = 'path "secret/data/p" { capabilities = ["deny"] }'


class Policies(Clients):
    """What a policy has taken changes nothing from that moment on."""

    async def prepare(self) -> None:
        self._taken = Spans()
        await self.world.expect("POST", "sys/policies/acl/door", self.world.root, {"policy": _GIVES})
        body = {"policies": ["door"], "ttl": "700h"}  # as many nights as anyone asks for
        made = await self.world.expect("POST", "auth/token/create", self.world.root, body)
        self._token = made.body["auth"]["client_token"]
        await asyncio.sleep(self.world.lease)

    def clients(self) -> list[Coroutine[Any, Any, None]]:
        return [self._keeper(), self._visitor(), self._visitor()]

    async def _keeper(self) -> None:
        while True:
            await self.pause(4)
            answer = await self.world.ask("POST", "sys/policies/acl/door", self.world.root, {"policy": _TAKES})
            self.changed(answer)
            if answer.good:
                self._taken.begin(answer.got)
            await self.pause(2)
            self._taken.end(self.world.now)
            answer = await self.world.ask("POST", "sys/policies/acl/door", self.world.root, {"policy": _GIVES})
            self.changed(answer)
            if answer.unknown:
                self._taken.doubt(answer.got)

    async def _visitor(self) -> None:
        while True:
            write = self.chance.random() < 0.5
            if write:
                answer = await self.world.ask("POST", "secret/data/p", self._token, {"data": {}})
                self.changed(answer)
            else:
                answer = await self.world.ask("GET", "secret/data/p", self._token)
                self.seen(answer)
            if answer.good:
                taken = self._taken.covers(answer.sent, answer.got, 0 if write else self.world.lease)
                self.require(not taken, "what a policy has taken is not done any more", answer)
            await self.pause(0.5)

    async def judge(self) -> None:
        await self.world.expect("POST", "sys/policies/acl/door", self.world.root, {"policy": _GIVES})
        await asyncio.sleep(self.world.lease)
        for node in self.world.nodes:
            answer = await self.world.ask("POST", "secret/data/p", self._token, {"data": {}}, at=node)
            self.require(answer.good, "what a policy gives is had on every node", answer)
