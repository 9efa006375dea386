"""Clients that are seen on whatever nodes, while counting is disabled and enabled again."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any, Final

from kms_actors.activity.records import Month
from kms_actors.actors.activity.storage import CLIENT, months_kept
from kms_actors.errors import KmsError
from kms_actors.store import keyspace
from kms_actors.store.api import Transaction
from kms_actors.store.keyspace import TenantKeys
from tests.simulation.node import VAULT
from tests.simulation.workloads.base import Clients

_CONFIG: Final = "sys/internal/counters/config"
_REPORT: Final = "sys/internal/counters/activity"
_CLIENTS: Final = 6
#: Virtual seconds in which what nodes have seen is written.
_WRITTEN: Final = 25.0


class Activity(Clients):
    """What is counted of a month is what is kept of it: each client once, whatever nodes have seen it."""

    async def prepare(self) -> None:
        self._tokens: dict[int, str] = {}

    def clients(self) -> list[Coroutine[Any, Any, None]]:
        return [*(self._client(number) for number in range(_CLIENTS)), self._operator(), self._looks()]

    async def _make(self, number: int) -> str:
        body = {"policies": [f"client-{number}"], "ttl": "700h"}
        answer = await self.world.expect("POST", "auth/token/create", self.world.root, body)
        token: str = answer.body["auth"]["client_token"]
        return token

    async def _client(self, number: int) -> None:
        while True:
            await self.pause(2)
            if number not in self._tokens or self.chance.random() < 0.2:
                body = {"policies": [f"client-{number}"], "ttl": "700h"}
                answer = await self.world.ask("POST", "auth/token/create", self.world.root, body)
                self.changed(answer)
                if answer.good:
                    self._tokens[number] = answer.body["auth"]["client_token"]
            elif number in self._tokens:
                answer = await self.world.ask("GET", "auth/token/lookup-self", self._tokens[number])
                self.seen(answer)

    async def _operator(self) -> None:
        while True:
            await self.pause(8)
            for enabled in ("disable", "enable"):
                self.changed(await self.world.ask("POST", _CONFIG, self.world.root, {"enabled": enabled}))
                await self.pause(2)

    async def _looks(self) -> None:
        while True:
            await self.pause(4)
            with contextlib.suppress(KmsError):  # the weather is bad outside of nodes, too
                self._check(*await self.world.store.run(_kept))
            answer = await self.world.ask("GET", _REPORT, self.world.root)
            self.seen(answer)

    def _check(self, months: dict[int, Month], clients: dict[int, int]) -> None:
        for number, month in months.items():
            there = clients.get(number, 0)
            self.require(there == month.clients, "each client of a month is counted once", there, month.clients)

    async def judge(self) -> None:
        await self.world.expect("POST", _CONFIG, self.world.root, {"enabled": "enable"})
        await asyncio.sleep(self.world.lease)
        tokens = [await self._make(number) for number in range(_CLIENTS)]
        for node in self.world.nodes:
            for token in tokens:
                answer = await self.world.ask("GET", "auth/token/lookup-self", token, at=node)
                self.require(answer.good, "who has a token uses it on every node", answer)
        await asyncio.sleep(_WRITTEN)
        months, clients = await self.world.store.run(_kept)
        self._check(months, clients)
        report = await self.world.expect("GET", _REPORT, self.world.root)
        total = report.data["total"]["clients"]
        self.require(total == sum(clients.values()), "a report tells what is kept", total, clients)
        self.require(total >= _CLIENTS, "who is seen is counted", total)


async def _kept(tr: Transaction) -> tuple[dict[int, Month], dict[int, int]]:
    """Return what is counted of the vault's months, and how many clients each has."""
    number = await tr.get(keyspace.vault(VAULT))
    assert number is not None
    keys = TenantKeys(int.from_bytes(number, "little"))
    clients: dict[int, int] = {}
    for key in await tr.get_keys(*keys.span(CLIENT), limit=10_000):
        month = keys.parts(key)[1]
        clients[month] = clients.get(month, 0) + 1
    return await months_kept(tr, keys), clients
